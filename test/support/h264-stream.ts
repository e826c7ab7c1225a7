import type { H264Parameters } from '../../src/media/track.ts';
import { lengthPrefixed } from '../codecs/support.ts';
import { run } from './ffmpeg.ts';

/** A picture of an Annex B stream, length-prefixed by four bytes as RTMP carries it. */
export interface AccessUnit {
  readonly data: Uint8Array;
  /** nal_unit_type of its first slice. */
  readonly type: number;
  /** All its slices are I slices. */
  readonly intra: boolean;
  readonly sets: readonly Uint8Array[];
}

/** Takes an Annex B stream apart where a slice begins with macroblock 0. */
export function accessUnits(stream: Uint8Array): AccessUnit[] {
  const units: Uint8Array[][] = [];
  let sliced = true;
  for (const nal of nalUnits(stream)) {
    const type = (nal[0] ?? 0) & 0x1f;
    const slice = type === 1 || type === 5;
    const begins = slice ? sliced && ((nal[1] ?? 0) & 0x80) !== 0 : sliced;
    if (begins || units.length === 0) units.push([]);
    if (begins) sliced = false;
    if (slice) sliced = true;
    units.at(-1)?.push(nal);
  }
  return units.map((nals) => {
    const ofType = (...types: number[]) => nals.filter((nal) => types.includes((nal[0] ?? 0) & 0x1f));
    const slices = ofType(1, 5);
    return {
      data: lengthPrefixed(nals.filter((nal) => ![7, 8].includes((nal[0] ?? 0) & 0x1f))),
      type: (slices[0]?.[0] ?? 0) & 0x1f,
      intra: slices.every((nal) => [2, 7].includes(sliceType(nal))),
      sets: ofType(7, 8),
    };
  });
}

/** The parameter sets of the first picture. */
export function parametersIn(units: readonly AccessUnit[]): H264Parameters {
  const sets = units[0]?.sets ?? [];
  const ofType = (type: number) => sets.filter((nal) => ((nal[0] ?? 0) & 0x1f) === type);
  return { nalLengthSize: 4, sps: ofType(7), pps: ofType(8) };
}

/** Length-prefixed pictures as an Annex B stream, its parameter sets before the first. */
export function annexB(pictures: readonly Uint8Array[], { sps, pps }: H264Parameters): Buffer {
  const startCode = Buffer.from([0, 0, 0, 1]);
  const nals = [...sps, ...pps];
  for (const picture of pictures) {
    const view = Buffer.from(picture);
    for (let at = 0; at + 4 < view.length; ) {
      const end = at + 4 + view.readUInt32BE(at);
      nals.push(view.subarray(at + 4, end));
      at = end;
    }
  }
  return Buffer.concat(nals.flatMap((nal) => [startCode, nal]));
}

/** The hashes of all pictures. @throws Error when ffmpeg has anything to complain about */
export async function decodeH264(stream: Uint8Array): Promise<string[]> {
  const args = ['-v', 'warning', '-xerror', '-f', 'h264', '-i', 'pipe:0', '-fps_mode', 'passthrough'];
  const { stdout, stderr } = await run('ffmpeg', [...args, '-f', 'framemd5', '-'], { stdin: stream });
  if (stderr !== '') throw new Error(`ffmpeg says: ${stderr.slice(0, 2000)}`);
  const lines = stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => line.split(',').at(-1)?.trim() ?? '');
}

/** Of a slice that begins with macroblock 0: one bit, then ue(v) of a small value. */
function sliceType(nal: Uint8Array): number {
  const bits = [...nal.subarray(1, 4)].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const first = /^(0*)1/.exec(bits)?.[1]?.length ?? 0;
  const rest = bits.slice(2 * first + 1);
  const zeros = /^0*/.exec(rest)?.[0].length ?? 0;
  return Number.parseInt(rest.slice(zeros, 2 * zeros + 1), 2) - 1;
}

function* nalUnits(stream: Uint8Array): Generator<Uint8Array> {
  let start = -1;
  for (let at = 0; at + 2 < stream.length; at++) {
    if (stream[at] !== 0 || stream[at + 1] !== 0 || stream[at + 2] !== 1) continue;
    if (start >= 0) yield withoutZeros(stream.subarray(start, at));
    start = at + 3;
  }
  if (start >= 0) yield withoutZeros(stream.subarray(start));
}

function withoutZeros(nal: Uint8Array): Uint8Array {
  let end = nal.length;
  while (end > 0 && nal[end - 1] === 0) end--;
  return nal.subarray(0, end);
}
