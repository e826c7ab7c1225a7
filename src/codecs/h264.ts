import { SluiceError } from '../media/errors.ts';
import type { H264Parameters, VideoTrack } from '../media/track.ts';
import { BitReader } from './bit-reader.ts';
import { hex2 } from './bytes.ts';

/** nal_unit_type values used here (H.264 table 7-1). */
export const NAL = {
  SLICE: 1,
  IDR: 5,
  SEI: 6,
  SPS: 7,
  PPS: 8,
  AUD: 9,
  END_SEQUENCE: 10,
  END_STREAM: 11,
  FILLER: 12,
} as const;

/** Parameter sets are repeated before every keyframe. Real ones are one or two of each, below 200 bytes together. */
const MAX_PARAMETER_SETS = 8192;
const MAX_PARAMETER_SET_COUNT = 64;

/** What {@link scanAccessUnit} found, as flags. */
export const ACCESS_UNIT = { SLICE: 1, IDR: 2, SPS: 4, RECOVERY_POINT: 8, DAMAGED: 16 } as const;

/** SEI payload type: decoding can start here although the picture is no IDR (H.264 D.2.8). */
const SEI_RECOVERY_POINT = 6;

/** Big-endian length of `size` bytes (1…4) before a NAL unit. The caller has checked that it is all there. */
export function readNalLength(data: Uint8Array, at: number, size: number): number {
  let length = 0;
  for (let i = 0; i < size; i++) length = length * 256 + (data[at + i] as number);
  return length;
}

/**
 * Looks at the NAL unit headers of length-prefixed data without touching the payload. A length that points past the
 * end marks the unit damaged; what stands before it still counts, because one damaged frame should cost one frame.
 */
export function scanAccessUnit(data: Uint8Array, nalLengthSize: number): number {
  let found = 0;
  let position = 0;
  while (position + nalLengthSize < data.length) {
    const start = position + nalLengthSize;
    const end = start + readNalLength(data, position, nalLengthSize);
    if (end > data.length) return found | ACCESS_UNIT.DAMAGED;
    if (end > start) {
      const type = (data[start] as number) & 0x1f;
      if (type >= NAL.SLICE && type <= NAL.IDR) found |= ACCESS_UNIT.SLICE;
      if (type === NAL.IDR) found |= ACCESS_UNIT.IDR;
      else if (type === NAL.SPS) found |= ACCESS_UNIT.SPS;
      else if (type === NAL.SEI && data[start + 1] === SEI_RECOVERY_POINT)
        found |= ACCESS_UNIT.RECOVERY_POINT;
    }
    position = end;
  }
  return position === data.length ? found : found | ACCESS_UNIT.DAMAGED;
}

/** Copies of the parameter sets inside an access unit, as many as anybody means. */
export function parameterSetsIn(
  data: Uint8Array,
  nalLengthSize: number,
): { sps: Uint8Array[]; pps: Uint8Array[] } {
  const sps: Uint8Array[] = [];
  const pps: Uint8Array[] = [];
  let size = 0;
  for (let position = 0; position + nalLengthSize < data.length; ) {
    const start = position + nalLengthSize;
    const end = start + readNalLength(data, position, nalLengthSize);
    if (end > data.length) break;
    position = end;
    const type = (data[start] as number) & 0x1f;
    if (end === start || (type !== NAL.SPS && type !== NAL.PPS)) continue;
    size += end - start;
    if (size > MAX_PARAMETER_SETS || sps.length + pps.length >= MAX_PARAMETER_SET_COUNT) break;
    (type === NAL.SPS ? sps : pps).push(new Uint8Array(data.subarray(start, end)));
  }
  return { sps, pps };
}

/**
 * Parses an AVCDecoderConfigurationRecord (ISO 14496-15 5.3.3.1).
 *
 * @throws SluiceError SLUICE_CODEC_MALFORMED
 */
export function parseAvcC(record: Uint8Array): H264Parameters {
  //  0 configurationVersion  1 profile  2 compatibility  3 level  4 reserved(6) lengthSizeMinusOne(2)
  //  5 reserved(3) numOfSPS(5)  then u16 length + SPS each, u8 numOfPPS, u16 length + PPS each
  const reader = new RecordReader(record);
  if (reader.byte() !== 1) throw new SluiceError('SLUICE_CODEC_MALFORMED', 'avcC version is not 1');
  reader.skip(3);
  const nalLengthSize = (reader.byte() & 0x03) + 1;
  const sps = reader.parameterSets(reader.byte() & 0x1f);
  const pps = reader.parameterSets(reader.byte());
  return { nalLengthSize, sps, pps };
}

class RecordReader {
  readonly #record: Uint8Array;
  #position = 0;

  constructor(record: Uint8Array) {
    this.#record = record;
  }

  byte(): number {
    const byte = this.#record[this.#position++];
    if (byte === undefined) throw new SluiceError('SLUICE_CODEC_MALFORMED', 'avcC is cut short');
    return byte;
  }

  skip(count: number): void {
    this.#position += count;
  }

  parameterSets(count: number): Uint8Array[] {
    const sets: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const length = this.byte() * 256 + this.byte();
      const end = this.#position + length;
      if (end > this.#record.length) throw new SluiceError('SLUICE_CODEC_MALFORMED', 'avcC is cut short');
      if (length > 0) sets.push(new Uint8Array(this.#record.subarray(this.#position, end)));
      this.#position = end;
    }
    return sets;
  }
}

/** Builds an AVCDecoderConfigurationRecord; the inverse of {@link parseAvcC} for records without the High fields. */
export function buildAvcC({ nalLengthSize, sps, pps }: H264Parameters): Uint8Array {
  const first = sps[0] ?? new Uint8Array(4);
  const sized = (set: Uint8Array) => [Buffer.from([set.length >> 8, set.length & 0xff]), set];
  return Buffer.concat([
    Buffer.from([
      1,
      first[1] ?? 0,
      first[2] ?? 0,
      first[3] ?? 0,
      0xfc | (nalLengthSize - 1),
      0xe0 | sps.length,
    ]),
    ...sps.flatMap(sized),
    Buffer.from([pps.length]),
    ...pps.flatMap(sized),
  ]);
}

export interface SpsInfo {
  readonly profile: number;
  readonly level: number;
  readonly width: number;
  readonly height: number;
  /** Pictures may be fields: frame_mbs_only_flag is 0. */
  readonly interlaced: boolean;
  readonly frameRate: number | null;
}

/** Profiles that carry chroma_format_idc and scaling lists (H.264 7.3.2.1.1). */
const HIGH_PROFILES = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]);
/** Level 6.2 pictures are 139264 macroblocks; nothing real is wider than this. */
const MAX_PICTURE_SIZE = 16_384;

/**
 * Parses the fields of a sequence parameter set that playlists need (H.264 7.3.2.1.1).
 *
 * @param sps a whole NAL unit including its header byte
 * @throws SluiceError SLUICE_CODEC_MALFORMED
 */
export function parseSps(sps: Uint8Array): SpsInfo {
  const { profile, level, width, height, interlaced, frameRate } = parseSpsCoding(sps);
  return { profile, level, width, height, interlaced, frameRate };
}

/** What slice headers and encoders need of a sequence parameter set besides. */
export interface SpsCoding extends SpsInfo {
  readonly id: number;
  /** The byte of constraint_set flags. */
  readonly constraints: number;
  /** chroma_format_idc; 1 is 4:2:0. */
  readonly chromaFormat: number;
  readonly separatePlanes: boolean;
  /** 8 where luma and chroma have 8 bits, else the larger of the two. */
  readonly bitDepth: number;
  /** Quantisation differs by frequency. */
  readonly scalingMatrix: boolean;
  /** Bits of frame_num. */
  readonly frameNumBits: number;
  readonly pocType: number;
  /** Bits of pic_order_cnt_lsb, for `pocType` 0. */
  readonly pocBits: number;
  /** For `pocType` 1: slice headers have no delta_pic_order_cnt. */
  readonly pocDeltaAlwaysZero: boolean;
  readonly maxRefFrames: number;
  readonly widthInMacroblocks: number;
  readonly heightInMapUnits: number;
  readonly colour: SpsColour;
}

/** Numbers of ISO 23091-2; 2 is unspecified. */
export interface SpsColour {
  readonly fullRange: boolean;
  readonly primaries: number;
  readonly transfer: number;
  readonly matrix: number;
}

/**
 * Parses a sequence parameter set up to the timing in its VUI.
 *
 * @param sps a whole NAL unit including its header byte
 * @throws SluiceError SLUICE_CODEC_MALFORMED
 */
export function parseSpsCoding(sps: Uint8Array): SpsCoding {
  const reader = new BitReader(removeEmulationPrevention(sps));
  reader.skip(8); // forbidden_zero_bit, nal_ref_idc, nal_unit_type
  const profile = reader.bits(8);
  const constraints = reader.bits(8);
  const level = reader.bits(8);
  const id = reader.unsignedExpGolomb(); // seq_parameter_set_id
  const format = HIGH_PROFILES.has(profile) ? readHighProfileFields(reader) : PLAIN_FORMAT;
  const { chromaFormat } = format;
  const frameNumBits = reader.unsignedExpGolomb() + 4; // log2_max_frame_num_minus4
  const pocType = reader.unsignedExpGolomb();
  let pocBits = 0;
  let pocDeltaAlwaysZero = false;
  if (pocType === 0) {
    pocBits = reader.unsignedExpGolomb() + 4; // log2_max_pic_order_cnt_lsb_minus4
  } else if (pocType === 1) {
    pocDeltaAlwaysZero = reader.flag(); // delta_pic_order_always_zero_flag
    reader.signedExpGolomb(); // offset_for_non_ref_pic
    reader.signedExpGolomb(); // offset_for_top_to_bottom_field
    const cycle = reader.unsignedExpGolomb();
    if (cycle > 255)
      throw new SluiceError('SLUICE_CODEC_MALFORMED', 'SPS picture order count cycle is too long');
    for (let i = 0; i < cycle; i++) reader.signedExpGolomb();
  }
  const maxRefFrames = reader.unsignedExpGolomb(); // max_num_ref_frames
  reader.bit(); // gaps_in_frame_num_value_allowed_flag
  const widthInMacroblocks = reader.unsignedExpGolomb() + 1;
  const heightInMapUnits = reader.unsignedExpGolomb() + 1;
  const frameMbsOnly = reader.bit();
  if (frameMbsOnly === 0) reader.bit(); // mb_adaptive_frame_field_flag
  reader.bit(); // direct_8x8_inference_flag
  const crop = { left: 0, right: 0, top: 0, bottom: 0 };
  if (reader.flag()) {
    crop.left = reader.unsignedExpGolomb();
    crop.right = reader.unsignedExpGolomb();
    crop.top = reader.unsignedExpGolomb();
    crop.bottom = reader.unsignedExpGolomb();
  }
  const cropUnitX = chromaFormat === 1 || chromaFormat === 2 ? 2 : 1;
  const cropUnitY = (chromaFormat === 1 ? 2 : 1) * (2 - frameMbsOnly);
  const width = widthInMacroblocks * 16 - (crop.left + crop.right) * cropUnitX;
  const height = heightInMapUnits * 16 * (2 - frameMbsOnly) - (crop.top + crop.bottom) * cropUnitY;
  if (width < 1 || height < 1 || width > MAX_PICTURE_SIZE || height > MAX_PICTURE_SIZE) {
    throw new SluiceError('SLUICE_CODEC_MALFORMED', `SPS describes a ${width}×${height} picture`);
  }
  return {
    ...{ id, profile, constraints, level, width, height, interlaced: frameMbsOnly === 0, ...format },
    ...{ frameNumBits, pocType, pocBits, pocDeltaAlwaysZero, maxRefFrames },
    ...{ widthInMacroblocks, heightInMapUnits, ...readVui(reader) },
  };
}

const PLAIN_FORMAT = { chromaFormat: 1, separatePlanes: false, bitDepth: 8, scalingMatrix: false };

function readHighProfileFields(reader: BitReader): typeof PLAIN_FORMAT {
  const chromaFormat = reader.unsignedExpGolomb();
  const separatePlanes = chromaFormat === 3 && reader.flag(); // separate_colour_plane_flag
  const luma = reader.unsignedExpGolomb(); // bit_depth_luma_minus8
  const chroma = reader.unsignedExpGolomb(); // bit_depth_chroma_minus8
  reader.bit(); // qpprime_y_zero_transform_bypass_flag
  const scalingMatrix = reader.flag(); // seq_scaling_matrix_present_flag
  if (scalingMatrix) {
    const lists = chromaFormat === 3 ? 12 : 8;
    for (let i = 0; i < lists; i++) if (reader.flag()) skipScalingList(reader, i < 6 ? 16 : 64);
  }
  return { chromaFormat, separatePlanes, bitDepth: 8 + Math.max(luma, chroma), scalingMatrix };
}

function skipScalingList(reader: BitReader, size: number): void {
  let next = 8;
  for (let i = 0, last = 8; i < size && next !== 0; i++) {
    next = (last + reader.signedExpGolomb() + 256) % 256;
    if (next !== 0) last = next;
  }
}

/** vui_parameters() up to the timing fields (H.264 E.1.1). Damaged VUI only costs what it says. */
function readVui(reader: BitReader): Pick<SpsCoding, 'frameRate' | 'colour'> {
  const vui = {
    frameRate: null as number | null,
    colour: { fullRange: false, primaries: 2, transfer: 2, matrix: 2 },
  };
  try {
    if (!reader.flag()) return vui; // vui_parameters_present_flag
    if (reader.flag() && reader.bits(8) === 255) reader.skip(32); // aspect_ratio_idc Extended_SAR: sar_width, sar_height
    if (reader.flag()) reader.bit(); // overscan_info_present_flag: overscan_appropriate_flag
    if (reader.flag()) {
      reader.skip(3); // video_format
      vui.colour.fullRange = reader.flag();
      if (reader.flag()) {
        vui.colour.primaries = reader.bits(8);
        vui.colour.transfer = reader.bits(8);
        vui.colour.matrix = reader.bits(8);
      }
    }
    if (reader.flag()) {
      reader.unsignedExpGolomb(); // chroma_sample_loc_type_top_field
      reader.unsignedExpGolomb(); // chroma_sample_loc_type_bottom_field
    }
    if (!reader.flag()) return vui; // timing_info_present_flag
    const unitsInTick = reader.bits(32);
    const timeScale = reader.bits(32);
    const rate = timeScale / (2 * unitsInTick);
    vui.frameRate = rate >= 1 && rate <= 300 ? rate : null;
  } catch {
    // What could be read counts.
  }
  return vui;
}

/** Removes emulation_prevention_three_byte (00 00 03 → 00 00), for parsing only (H.264 7.4.1). */
export function removeEmulationPrevention(nal: Uint8Array): Uint8Array {
  const out = new Uint8Array(nal.length);
  let length = 0;
  let zeros = 0;
  for (const byte of nal) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    out[length++] = byte;
  }
  return out.subarray(0, length);
}

/** `avc1.PPCCLL` (RFC 6381): profile, constraint flags and level of the first SPS. */
export function h264CodecString(sps: Uint8Array): string {
  return `avc1.${hex2(sps[1] ?? 0)}${hex2(sps[2] ?? 0)}${hex2(sps[3] ?? 0)}`;
}

/**
 * The track an H.264 configuration describes.
 *
 * @throws SluiceError SLUICE_CODEC_MALFORMED when there is no usable SPS
 */
export function h264Track(id: string, config: Uint8Array, parameters: H264Parameters): VideoTrack {
  const sps = parameters.sps[0];
  if (sps === undefined || parameters.pps.length === 0) {
    throw new SluiceError('SLUICE_CODEC_MALFORMED', 'the H.264 configuration has no SPS or no PPS');
  }
  const size = [...parameters.sps, ...parameters.pps].reduce((sum, set) => sum + set.length, 0);
  if (size > MAX_PARAMETER_SETS) {
    throw new SluiceError('SLUICE_CODEC_MALFORMED', `${size} bytes of H.264 parameter sets`);
  }
  const { width, height, frameRate } = parseSps(sps);
  return {
    id,
    kind: 'video',
    codec: 'h264',
    config,
    codecString: h264CodecString(sps),
    flvHeader: null,
    width,
    height,
    frameRate,
    h264: parameters,
  };
}
