import { NAL, parameterSetsIn, readNalLength } from '../../codecs/h264.ts';
import type { H264Parameters } from '../../media/track.ts';

/** AUD with primary_pic_type 7, any slice type (H.264 7.3.2.4). Mandatory in MPEG-TS; Apple players need it. */
const ACCESS_UNIT_DELIMITER = Uint8Array.of(0, 0, 0, 1, NAL.AUD, 0xf0);
const LONG_START_CODE = 4;
const SHORT_START_CODE = 3;
const NAL_SPS_EXTENSION = 13;

/**
 * One H.264 access unit on its way from length-prefixed to Annex B form: delimiter, on keyframes the parameter sets
 * once, then the rest without what MPEG-TS does not want. Call `measure`, then `write` into that much room.
 */
export class AnnexBWriter {
  #parameterSets: readonly Uint8Array[] = [];
  #keepInBandSets = false;

  /** @returns size in bytes of the access unit in Annex B form */
  measure(data: Uint8Array, parameters: H264Parameters, keyframe: boolean): number {
    this.#keepInBandSets = !keyframe;
    this.#parameterSets = keyframe ? choose(data, parameters) : [];
    let size = ACCESS_UNIT_DELIMITER.length;
    for (const set of this.#parameterSets) size += LONG_START_CODE + set.length;
    let position = 0;
    const prefix = parameters.nalLengthSize;
    while (position + prefix < data.length) {
      const start = position + prefix;
      const end = start + readNalLength(data, position, prefix);
      if (end > data.length) break;
      if (end > start && this.#keeps((data[start] as number) & 0x1f)) size += SHORT_START_CODE + end - start;
      position = end;
    }
    return size;
  }

  /** Writes what was measured last; returns the position after it. */
  write(data: Uint8Array, parameters: H264Parameters, out: Uint8Array, at: number): number {
    out.set(ACCESS_UNIT_DELIMITER, at);
    let target = at + ACCESS_UNIT_DELIMITER.length;
    for (const set of this.#parameterSets) {
      out[target] = 0;
      target = writeUnit(out, target + 1, set);
    }
    let position = 0;
    const prefix = parameters.nalLengthSize;
    while (position + prefix < data.length) {
      const start = position + prefix;
      const end = start + readNalLength(data, position, prefix);
      if (end > data.length) break;
      if (end > start && this.#keeps((data[start] as number) & 0x1f)) {
        target = writeUnit(out, target, data.subarray(start, end));
      }
      position = end;
    }
    return target;
  }

  #keeps(type: number): boolean {
    switch (type) {
      case NAL.AUD:
      case NAL.FILLER:
      case NAL.END_SEQUENCE:
      case NAL.END_STREAM:
        return false;
      case NAL.SPS:
      case NAL.PPS:
      case NAL_SPS_EXTENSION:
        return this.#keepInBandSets;
      default:
        return true;
    }
  }
}

function writeUnit(out: Uint8Array, at: number, nal: Uint8Array): number {
  out[at] = 0;
  out[at + 1] = 0;
  out[at + 2] = 1;
  out.set(nal, at + SHORT_START_CODE);
  return at + SHORT_START_CODE + nal.length;
}

/** The access unit's own parameter sets of a kind when it brings any, else those of the configuration. */
function choose(data: Uint8Array, parameters: H264Parameters): readonly Uint8Array[] {
  const { sps, pps } = parameterSetsIn(data, parameters.nalLengthSize);
  return [...(sps.length > 0 ? sps : parameters.sps), ...(pps.length > 0 ? pps : parameters.pps)];
}
