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
function asIdr(nal: Uint8Array, codingOf: CodingOf, idrId: number): Uint8Array {
  const bytes = removeEmulationPrevention(nal);
  const reader = new BitReader(bytes);
  const { firstMacroblock, sliceType, ppsId } = readSliceStart(reader);
  const whole = [NAL.SLICE, NAL.IDR].some((type) => type === typeOf(nal));
  if (!whole || sliceType % 5 !== 2) throw new SluiceError('SLUICE_CODEC_MALFORMED', 'not an I slice');
  const { sps, pps } = codingOf(ppsId);
  const wasIdr = typeOf(nal) === NAL.IDR;
  const { field, bottom } = readFrame(reader, sps);
  const header = new BitWriter();
  header.bits(((nal[0] as number) & 0x60 || 0x60) | NAL.IDR, 8);
  header.unsignedExpGolomb(firstMacroblock).unsignedExpGolomb(sliceType).unsignedExpGolomb(ppsId);
  header.bits(0, sps.frameNumBits);
  if (sps.interlaced) header.flag(field);
  if (field) header.flag(bottom);
  if (wasIdr) reader.unsignedExpGolomb(); // idr_pic_id
  header.unsignedExpGolomb(idrId);
  const withBottom = pps.bottomFieldOrder && !field;
  if (sps.pocType === 0) {
    const lsb = reader.bits(sps.pocBits);
    header.bits(wasIdr ? lsb : 0, sps.pocBits);
    if (withBottom) header.signedExpGolomb(reader.signedExpGolomb());
  } else if (sps.pocType === 1 && !sps.pocDeltaAlwaysZero) {
    header.signedExpGolomb(reader.signedExpGolomb());
    if (withBottom) header.signedExpGolomb(reader.signedExpGolomb());
  }
  if (pps.redundantPictures) header.unsignedExpGolomb(reader.unsignedExpGolomb());
  if (wasIdr) {
    header.flag(reader.flag()); // no_output_of_prior_pics_flag
    header.flag(reader.flag()); // long_term_reference_flag
  } else {
    if (((nal[0] as number) & 0x60) !== 0) skipMarking(reader);
    header.bits(0, 2);
  }
  if (!pps.cabac) return addEmulationPrevention(header.append(bytes, reader.position).bytes);
  header.signedExpGolomb(reader.signedExpGolomb()); // slice_qp_delta
  if (pps.deblockingControl) {
    const filter = reader.unsignedExpGolomb();
    header.unsignedExpGolomb(filter);
    if (filter !== 1) {
      header.signedExpGolomb(reader.signedExpGolomb()); // slice_alpha_c0_offset_div2
      header.signedExpGolomb(reader.signedExpGolomb()); // slice_beta_offset_div2
    }
  }
  return addEmulationPrevention(header.align(1).append(bytes, Math.ceil(reader.position / 8) * 8).bytes);
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
  const reader = new BitReader(removeEmulationPrevention(nal));
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
  reader.signedExpGolomb(); // chroma_qp_index_offset
  const deblockingControl = reader.flag();
  reader.bit(); // constrained_intra_pred_flag
  const redundantPictures = reader.flag();
  return {
    id,
    spsId,
    cabac,
    bottomFieldOrder,
    sliceGroups,
    weighted,
    qp,
    deblockingControl,
    redundantPictures,
  };
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
