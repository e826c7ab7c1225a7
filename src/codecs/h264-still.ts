import { SluiceError } from '../media/errors.ts';
import type { H264Parameters } from '../media/track.ts';
import { BitReader } from './bit-reader.ts';
import { BitWriter } from './bit-writer.ts';
import {
  NAL,
  parameterSetsIn,
  parseSpsCoding,
  readNalLength,
  removeEmulationPrevention,
  type SpsCoding,
} from './h264.ts';
import { cabacSkips, cavlcSkips, SKIP_QP } from './h264-skip-slice.ts';

/** Larger pictures are not repeated by skipping: level 6.2 ends here. */
const MAX_MACROBLOCKS = 139_264;
/** Where the memory of pictures is told what to forget, an end has to be found (H.264 7.4.3.3). */
const MAX_MARKINGS = 66;
const HIGHEST_IDR_ID = 65_535;

/** One picture that can be shown for as long as somebody looks. */
export interface Still {
  /**
   * The picture as an IDR access unit of its parameter sets and slices: no captions, no timing. Two that
   * follow each other have to have different `turn % 2`; turn 1 may also follow the picture that this was made from.
   */
  keyframe(turn: number): Uint8Array;
  /**
   * The same picture again, in a few bytes: the `count`th one after a keyframe, 1, 2, 3 …; null where the stream does not
   * allow it (interlaced, intra only) and keyframes have to be repeated.
   */
  readonly repeat: ((count: number) => Uint8Array) | null;
}

interface Pps {
  readonly id: number;
  readonly spsId: number;
  readonly cabac: boolean;
  readonly bottomFieldOrder: boolean;
  readonly sliceGroups: number;
  readonly weighted: boolean;
  readonly qp: number;
  readonly deblockingControl: boolean;
  readonly redundantPictures: boolean;
  readonly transform8x8: boolean;
  readonly scalingMatrix: boolean;
  /** Of Cb and Cr. */
  readonly chromaQpOffsets: readonly [number, number];
}

interface Coding {
  readonly sps: SpsCoding;
  readonly pps: Pps;
}

/**
 * Makes a still of a keyframe; null when it cannot be shown on its own, such as a step of a rolling intra refresh.
 *
 * @param accessUnit length-prefixed, with parameter sets of its own or without
 * @param parameters of the track
 */
export function makeStill(accessUnit: Uint8Array, parameters: H264Parameters): Still | null {
  const units = nalUnits(accessUnit, parameters.nalLengthSize);
  const pictures = units.filter((nal) => isSlice(nal));
  const [first] = pictures;
  if (first === undefined) return null;
  const own = parameterSetsIn(accessUnit, parameters.nalLengthSize);
  const sets = [
    ...(own.sps.length > 0 ? own.sps : parameters.sps),
    ...(own.pps.length > 0 ? own.pps : parameters.pps),
  ];
  const idr = pictures.every((nal) => typeOf(nal) === NAL.IDR);
  const assemble = (slices: readonly Uint8Array[]) =>
    withLengths([...sets, ...slices], parameters.nalLengthSize);
  try {
    const codingOf = readParameters(accessUnit, parameters);
    const idrId = idr ? idrIdOf(first, codingOf) : 0;
    const other = idrId === HIGHEST_IDR_ID ? 0 : idrId + 1;
    const made = (id: number) => assemble(pictures.map((nal) => asIdr(nal, codingOf, id)));
    const turns = [idr ? assemble(pictures) : made(idrId), made(other)] as const;
    const coding = codingOf(
      readSliceStart(new BitReader(removeEmulationPrevention(first.subarray(0, 64)))).ppsId,
    );
    return {
      keyframe: (turn) => (turn % 2 === 0 ? turns[0] : turns[1]),
      repeat: skips(coding, parameters.nalLengthSize),
    };
  } catch {
    // What cannot be read may still be decoded by others. A picture that is no IDR cannot, out of its place.
    if (!idr) return null;
    const whole = assemble(pictures);
    return { keyframe: () => whole, repeat: null };
  }
}

/** @returns what makes the access unit of the `count`th picture after the IDR; null where P pictures are not allowed */
function skips({ sps, pps }: Coding, nalLengthSize: number): ((count: number) => Uint8Array) | null {
  const macroblocks = sps.widthInMacroblocks * sps.heightInMapUnits;
  const plain = !sps.interlaced && !sps.separatePlanes && pps.sliceGroups === 1 && sps.pocType !== 1;
  if (!plain || sps.maxRefFrames === 0 || macroblocks > MAX_MACROBLOCKS || nalLengthSize < 2) return null;
  const data = pps.cabac ? cabacSkips(macroblocks) : cavlcSkips(macroblocks);
  return (count) => {
    const slice = new BitWriter();
    slice.bits(0x41, 8); // nal_ref_idc 2, nal_unit_type 1
    slice.unsignedExpGolomb(0); // first_mb_in_slice
    slice.unsignedExpGolomb(5); // slice_type: P, as all of the picture
    slice.unsignedExpGolomb(pps.id);
    slice.bits(count % 2 ** sps.frameNumBits, sps.frameNumBits);
    if (sps.pocType === 0) {
      slice.bits((2 * count) % 2 ** sps.pocBits, sps.pocBits);
      if (pps.bottomFieldOrder) slice.signedExpGolomb(0); // delta_pic_order_cnt_bottom
    }
    if (pps.redundantPictures) slice.unsignedExpGolomb(0); // redundant_pic_cnt
    slice.flag(true).unsignedExpGolomb(0); // num_ref_idx_active_override_flag: one, the picture before
    slice.flag(false); // ref_pic_list_modification_flag_l0
    if (pps.weighted) {
      slice.unsignedExpGolomb(0); // luma_log2_weight_denom
      if (sps.chromaFormat !== 0) slice.unsignedExpGolomb(0); // chroma_log2_weight_denom
      slice.flag(false); // luma_weight_l0_flag
      if (sps.chromaFormat !== 0) slice.flag(false); // chroma_weight_l0_flag
    }
    slice.flag(false); // adaptive_ref_pic_marking_mode_flag
    if (pps.cabac) slice.unsignedExpGolomb(0); // cabac_init_idc
    slice.signedExpGolomb(SKIP_QP - pps.qp); // slice_qp_delta
    if (pps.deblockingControl) slice.unsignedExpGolomb(1); // disable_deblocking_filter_idc
    return withLengths([addEmulationPrevention(data(slice).bytes)], nalLengthSize);
  };
}

interface SliceStart {
  readonly firstMacroblock: number;
  readonly sliceType: number;
  readonly ppsId: number;
}

/** Reads the NAL unit header and the fields that come before those that need a parameter set. */
function readSliceStart(reader: BitReader): SliceStart {
  reader.skip(8);
  const firstMacroblock = reader.unsignedExpGolomb();
  const sliceType = reader.unsignedExpGolomb();
  return { firstMacroblock, sliceType, ppsId: reader.unsignedExpGolomb() };
}

type CodingOf = (ppsId: number) => Coding;

/** frame_num and what says which field it is, if any. */
function readFrame(reader: BitReader, sps: SpsCoding) {
  if (sps.separatePlanes) throw new SluiceError('SLUICE_CODEC_MALFORMED', 'separate colour planes');
  const frameNum = reader.bits(sps.frameNumBits);
  const field = sps.interlaced && reader.flag();
  return { frameNum, field, bottom: field && reader.flag() };
}

function idrIdOf(nal: Uint8Array, codingOf: CodingOf): number {
  const reader = new BitReader(removeEmulationPrevention(nal.subarray(0, 64)));
  const { ppsId } = readSliceStart(reader);
  readFrame(reader, codingOf(ppsId).sps);
  return reader.unsignedExpGolomb();
}

/**
 * An intra slice as one of an IDR picture with this idr_pic_id (H.264 7.3.3). The header has to be written anew: what
 * follows may begin at another bit.
 */
function asIdr(nal: Uint8Array, codingOf: CodingOf, idrId: number, into: Coding | null = null): Uint8Array {
  const bytes = removeEmulationPrevention(nal);
  const reader = new BitReader(bytes);
  const { firstMacroblock, sliceType, ppsId } = readSliceStart(reader);
  const whole = [NAL.SLICE, NAL.IDR].some((type) => type === typeOf(nal));
  if (!whole || sliceType % 5 !== 2) throw new SluiceError('SLUICE_CODEC_MALFORMED', 'not an I slice');
  const { sps, pps } = codingOf(ppsId);
  const target = into ?? { sps, pps };
  const wasIdr = typeOf(nal) === NAL.IDR;
  const { field, bottom } = readFrame(reader, sps);
  if (wasIdr) reader.unsignedExpGolomb(); // idr_pic_id
  const pocLsb = sps.pocType === 0 ? reader.bits(sps.pocBits) : 0;
  const pocDeltas = sps.pocType === 1 && !sps.pocDeltaAlwaysZero ? 1 : 0;
  const bottomDelta = pps.bottomFieldOrder && !field && (sps.pocType === 0 || pocDeltas > 0) ? 1 : 0;
  const deltas = Array.from({ length: pocDeltas + bottomDelta }, () => reader.signedExpGolomb());
  const redundant = pps.redundantPictures ? reader.unsignedExpGolomb() : 0;
  // no_output_of_prior_pics_flag, long_term_reference_flag
  const marking = wasIdr ? reader.bits(2) : 0;
  if (!wasIdr && ((nal[0] as number) & 0x60) !== 0) skipMarking(reader);

  const header = new BitWriter();
  header.bits(((nal[0] as number) & 0x60 || 0x60) | NAL.IDR, 8);
  header.unsignedExpGolomb(firstMacroblock).unsignedExpGolomb(sliceType).unsignedExpGolomb(target.pps.id);
  header.bits(0, target.sps.frameNumBits);
  if (target.sps.interlaced) header.flag(field);
  if (field) header.flag(bottom);
  header.unsignedExpGolomb(idrId);
  if (target.sps.pocType === 0) header.bits(wasIdr && into === null ? pocLsb : 0, target.sps.pocBits);
  if (into === null) for (const delta of deltas) header.signedExpGolomb(delta);
  else if (into.sps.pocType === 0 && into.pps.bottomFieldOrder) header.signedExpGolomb(0);
  if (target.pps.redundantPictures) header.unsignedExpGolomb(redundant);
  header.bits(marking, 2);
  if (into === null && !pps.cabac) {
    return addEmulationPrevention(header.append(bytes, reader.position).bytes);
  }
  header.signedExpGolomb(pps.qp + reader.signedExpGolomb() - target.pps.qp); // slice_qp_delta
  copyDeblocking(reader, header, pps.deblockingControl, target.pps.deblockingControl);
  if (!pps.cabac) return addEmulationPrevention(header.append(bytes, reader.position).bytes);
  return addEmulationPrevention(header.align(1).append(bytes, Math.ceil(reader.position / 8) * 8).bytes);
}

/** disable_deblocking_filter_idc and the offsets, where each side has them. */
function copyDeblocking(reader: BitReader, header: BitWriter, has: boolean, wants: boolean): void {
  const filter = has ? reader.unsignedExpGolomb() : 0;
  const offsets = has && filter !== 1 ? [reader.signedExpGolomb(), reader.signedExpGolomb()] : [0, 0];
  if (wants) {
    header.unsignedExpGolomb(filter);
    if (filter !== 1) for (const offset of offsets) header.signedExpGolomb(offset);
  } else if (filter !== 0 || offsets.some((offset) => offset !== 0)) {
    throw new SluiceError('SLUICE_CODEC_MALFORMED', 'the deblocking cannot be written');
  }
}

/** What an encoder has to be told so that its picture fits into the parameter sets of a track. */
export interface PictureShape extends Pick<SpsCoding, 'width' | 'height' | 'colour'> {
  readonly cabac: boolean;
  readonly transform8x8: boolean;
  readonly chromaQpOffset: number;
}

/**
 * The shape of pictures in the first parameter sets of a track.
 *
 * @throws SluiceError SLUICE_CODEC_MALFORMED when they cannot be read, or no picture of another encoder would fit
 */
export function pictureShape(parameters: H264Parameters): PictureShape {
  const { sps, pps } = firstCoding(parameters);
  const { width, height, colour } = sps;
  const [chromaQpOffset, second] = pps.chromaQpOffsets;
  const plain = sps.chromaFormat === 1 && sps.bitDepth === 8 && !sps.interlaced && sps.pocType !== 1;
  const flat = !sps.scalingMatrix && !pps.scalingMatrix && second === chromaQpOffset;
  if (!plain || !flat || width % 2 !== 0 || height % 2 !== 0) {
    throw new SluiceError('SLUICE_CODEC_MALFORMED', 'no picture of another encoder fits into this H.264');
  }
  return { width, height, colour, cabac: pps.cabac, transform8x8: pps.transform8x8, chromaQpOffset };
}

/**
 * The slices of an intra picture, written anew for the parameter sets of a track, so that decoders need no others.
 *
 * @param picture NAL units with parameter sets of their own
 * @throws SluiceError SLUICE_CODEC_MALFORMED when they do not fit
 */
export function transplant(picture: readonly Uint8Array[], parameters: H264Parameters): Uint8Array[] {
  const ofType = (type: number) => picture.filter((nal) => typeOf(nal) === type);
  const own = { nalLengthSize: 4, sps: ofType(NAL.SPS), pps: ofType(NAL.PPS) };
  const [from, into] = [firstCoding(own), firstCoding(parameters)];
  const same = (what: (coding: Coding) => unknown) => what(from) === what(into);
  const fits =
    same(({ sps }) => sps.widthInMacroblocks) &&
    same(({ sps }) => sps.heightInMapUnits) &&
    same(({ sps }) => sps.chromaFormat) &&
    same(({ sps }) => sps.bitDepth) &&
    same(({ sps }) => sps.interlaced) &&
    same(({ pps }) => pps.cabac) &&
    same(({ pps }) => pps.transform8x8) &&
    same(({ pps }) => pps.chromaQpOffsets.join()) &&
    [from, into].every(({ sps, pps }) => !sps.scalingMatrix && !pps.scalingMatrix && !sps.interlaced) &&
    into.sps.pocType !== 1;
  const slices = ofType(NAL.IDR);
  if (!fits || slices.length === 0) {
    throw new SluiceError('SLUICE_CODEC_MALFORMED', 'the picture does not fit into the parameter sets');
  }
  return slices.map((nal) => asIdr(nal, () => from, 0, into));
}

function firstCoding(parameters: H264Parameters): Coding {
  const [first] = parameters.pps;
  if (first === undefined) throw new SluiceError('SLUICE_CODEC_MALFORMED', 'no picture parameter set');
  return readParameters(new Uint8Array(), parameters)(parsePps(first).id);
}

/** dec_ref_pic_marking() of a picture that is no IDR (H.264 7.3.3.3). */
function skipMarking(reader: BitReader): void {
  if (!reader.flag()) return;
  for (let i = 0; i < MAX_MARKINGS; i++) {
    const operation = reader.unsignedExpGolomb();
    if (operation === 0) return;
    if (operation === 3) reader.unsignedExpGolomb();
    if (operation !== 5) reader.unsignedExpGolomb();
  }
  throw new SluiceError('SLUICE_CODEC_MALFORMED', 'reference picture marking has no end');
}

/** The parameter sets that hold for this access unit, parsed when a slice asks for them. */
function readParameters(accessUnit: Uint8Array, parameters: H264Parameters): CodingOf {
  const own = parameterSetsIn(accessUnit, parameters.nalLengthSize);
  const sps = (own.sps.length > 0 ? own.sps : parameters.sps).map(parseSpsCoding);
  const pps = own.pps.length > 0 ? own.pps : parameters.pps;
  return (ppsId) => {
    const picture = pps.map(parsePps).find(({ id }) => id === ppsId);
    const sequence = sps.find(({ id }) => id === picture?.spsId);
    const sane = sequence !== undefined && sequence.frameNumBits <= 16 && sequence.pocBits <= 16;
    if (picture === undefined || !sane) {
      throw new SluiceError('SLUICE_CODEC_MALFORMED', 'a slice without its parameter sets');
    }
    return { sps: sequence, pps: picture };
  };
}

/** The fields of a picture parameter set that slice headers depend on (H.264 7.3.2.2). */
function parsePps(nal: Uint8Array): Pps {
  const bytes = removeEmulationPrevention(nal);
  const reader = new BitReader(bytes);
  reader.skip(8);
  const id = reader.unsignedExpGolomb();
  const spsId = reader.unsignedExpGolomb();
  const cabac = reader.flag();
  const bottomFieldOrder = reader.flag();
  const sliceGroups = reader.unsignedExpGolomb() + 1;
  if (sliceGroups > 1) throw new SluiceError('SLUICE_CODEC_MALFORMED', 'slice groups');
  reader.unsignedExpGolomb(); // num_ref_idx_l0_default_active_minus1
  reader.unsignedExpGolomb(); // num_ref_idx_l1_default_active_minus1
  const weighted = reader.flag();
  reader.skip(2); // weighted_bipred_idc
  const qp = 26 + reader.signedExpGolomb();
  reader.signedExpGolomb(); // pic_init_qs_minus26
  const chromaOffset = reader.signedExpGolomb(); // chroma_qp_index_offset
  const deblockingControl = reader.flag();
  reader.bit(); // constrained_intra_pred_flag
  const redundantPictures = reader.flag();
  // The rest came with the High profiles.
  const more = reader.bitsLeft > trailingBits(bytes);
  const transform8x8 = more && reader.flag();
  const scalingMatrix = more && reader.flag(); // pic_scaling_matrix_present_flag
  const secondOffset = more && !scalingMatrix ? reader.signedExpGolomb() : chromaOffset;
  return {
    ...{
      id,
      spsId,
      cabac,
      bottomFieldOrder,
      sliceGroups,
      weighted,
      qp,
      deblockingControl,
      redundantPictures,
    },
    ...{ transform8x8, scalingMatrix, chromaQpOffsets: [chromaOffset, secondOffset] },
  };
}

/** rbsp_trailing_bits(): the stop bit and what fills the last byte. */
function trailingBits(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  const last = bytes[end - 1] ?? 0;
  return (bytes.length - end) * 8 + 32 - Math.clz32(last & -last);
}

function typeOf(nal: Uint8Array): number {
  return (nal[0] as number) & 0x1f;
}

function isSlice(nal: Uint8Array): boolean {
  const type = typeOf(nal);
  return type >= NAL.SLICE && type <= NAL.IDR;
}

function nalUnits(accessUnit: Uint8Array, lengthSize: number): Uint8Array[] {
  const units: Uint8Array[] = [];
  for (let position = 0; position + lengthSize < accessUnit.length; ) {
    const start = position + lengthSize;
    const end = start + readNalLength(accessUnit, position, lengthSize);
    if (end > accessUnit.length) break;
    if (end > start) units.push(accessUnit.subarray(start, end));
    position = end;
  }
  return units;
}

/** NAL units as an access unit, each after its length. */
export function withLengths(nals: readonly Uint8Array[], lengthSize: number): Uint8Array {
  const out = new Uint8Array(nals.reduce((sum, nal) => sum + lengthSize + nal.length, 0));
  let at = 0;
  for (const nal of nals) {
    for (let i = 0; i < lengthSize; i++) out[at + i] = (nal.length >>> (8 * (lengthSize - 1 - i))) & 0xff;
    out.set(nal, at + lengthSize);
    at += lengthSize + nal.length;
  }
  return out;
}

/** Inserts emulation_prevention_three_byte (H.264 7.4.1). */
export function addEmulationPrevention(nal: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil((nal.length * 3) / 2) + 1);
  let length = 0;
  let zeros = 0;
  for (const byte of nal) {
    if (zeros >= 2 && byte <= 3) {
      out[length++] = 3;
      zeros = 0;
    }
    out[length++] = byte;
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return out.slice(0, length);
}
