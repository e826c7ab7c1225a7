import { NAL, readNalLength } from './h264.ts';

/** user_data_unregistered SEI of x264; its text repeats every option the encoder runs with. */
const X264_UUID = Buffer.from('dc45e9bde6d948b7962cd820d923eeef', 'hex');
const SEI_USER_DATA_UNREGISTERED = 5;

export interface X264Settings {
  /** Longest distance between keyframes in frames; Infinity when unlimited. */
  readonly keyint: number;
  /** Keyframes also come at scene cuts, so their distance varies up to `keyint`. */
  readonly sceneCut: boolean;
}

/**
 * Reads what x264 (OBS, ffmpeg) says about its keyframes in the SEI of its first access unit. It is the only way to
 * know early that keyframes will be uneven. Null when another encoder made the picture.
 */
export function readX264Settings(data: Uint8Array, nalLengthSize: number): X264Settings | null {
  for (let position = 0; position + nalLengthSize < data.length; ) {
    const start = position + nalLengthSize;
    const end = start + readNalLength(data, position, nalLengthSize);
    if (end > data.length) return null;
    const [header, payloadType] = data.subarray(start, end);
    if (header !== undefined && (header & 0x1f) === NAL.SEI && payloadType === SEI_USER_DATA_UNREGISTERED) {
      const text = Buffer.from(data.subarray(start, end));
      if (text.includes(X264_UUID)) return parseOptions(text.toString('latin1'));
    }
    position = end;
  }
  return null;
}

function parseOptions(text: string): X264Settings | null {
  const keyint = /\bkeyint=(\d+|infinite)/.exec(text)?.[1];
  if (keyint === undefined) return null;
  const sceneCut = Number(/\bscenecut=(\d+)/.exec(text)?.[1] ?? 0) > 0;
  return { keyint: keyint === 'infinite' ? Number.POSITIVE_INFINITY : Number(keyint), sceneCut };
}
