import { access, constants } from 'node:fs/promises';
import { NAL, parseSpsCoding, type SpsCoding } from '../codecs/h264.ts';
import { withLengths } from '../codecs/h264-still.ts';
import type { Clock } from '../media/clock.ts';
import { SluiceError } from '../media/errors.ts';
import type { EpochMs } from '../media/time.ts';
import type { VideoTrack } from '../media/track.ts';
import { startChild } from '../processes/child.ts';

/** A picture takes a second on a slow machine; one that takes this long is not coming. */
const TIMEOUT_MS = 30_000;
/** Far above any picture that the bit budget allows. */
const MAX_BYTES = 8 * 1024 * 1024;
/** Pictures kept or under way; publishers choose the sizes. */
const MAX_PICTURES = 64;
/** After this a stream that begins looks at the image, or tries, again. */
const FRESH_MS = 60_000;
/** A picture comes every two seconds and should cost less than the source did. */
const BITS_PER_PIXEL = 0.8;
const MIN_BUDGET = 100_000;
const PROFILES: Readonly<Record<number, string>> = { 66: 'baseline', 77: 'main', 100: 'high' };
/** Numbers of ISO 23091-2, as the scaler calls them. */
const MATRICES: Readonly<Record<number, string>> = { 1: 'bt709', 5: 'bt601', 6: 'bt601', 9: 'bt2020' };
/** From here on players take pictures that do not say it for BT.709. */
const HD_HEIGHT = 720;

export interface SlatePicturesOptions {
  /** An ffmpeg that works. @throws SluiceError when there is none */
  readonly ffmpeg: () => Promise<{ readonly path: string }>;
  readonly niceness: () => number;
  readonly clock: Clock;
  /** A picture could not be made; told once a minute at most for each. */
  readonly onFailure: (source: string, error: SluiceError) => void;
}

interface Entry {
  nals: readonly Uint8Array[] | null;
  readonly madeAt: EpochMs;
}

/**
 * Colour bars and images as single H.264 pictures in the shape of a track, made by one run of ffmpeg each and kept. One is
 * made at a time.
 */
export class SlatePictures {
  readonly #options: SlatePicturesOptions;
  /** The least recently used first. */
  readonly #entries = new Map<string, Entry>();
  #making: Promise<void> = Promise.resolve();
  #stop: (() => Promise<unknown>) | null = null;
  #closed = false;

  constructor(options: SlatePicturesOptions) {
    this.#options = options;
  }

  /**
   * Makes the picture, unless it is there. Never throws.
   *
   * @param source `bars`, or the path of an image
   */
  prepare(source: string, track: VideoTrack): void {
    const key = keyOf(source, track);
    const known = this.#entries.get(key);
    const now = this.#options.clock.now();
    if (known !== undefined && now - known.madeAt < FRESH_MS) return;
    // The old one serves until the new one is there.
    const entry: Entry = { nals: known?.nals ?? null, madeAt: now };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_PICTURES) break;
      this.#entries.delete(oldest);
    }
    this.#making = this.#making.then(async () => {
      if (this.#closed || this.#entries.get(key) !== entry) return;
      try {
        entry.nals = await this.#make(source, track);
      } catch (error) {
        entry.nals = null;
        if (!this.#closed) this.#options.onFailure(source, asFailure(error));
      }
    });
  }

  /** The picture as an access unit of the track, its own parameter sets in it; null while, or when, there is none. */
  get(source: string, track: VideoTrack): Uint8Array | null {
    const nals = this.#entries.get(keyOf(source, track))?.nals ?? null;
    return nals === null || track.h264 === null ? null : withLengths(nals, track.h264.nalLengthSize);
  }

  /** Resolves when nothing is being made. */
  settled(): Promise<void> {
    return this.#making;
  }

  /** Stops what is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#stop?.();
    await this.#making;
  }

  async #make(source: string, track: VideoTrack): Promise<readonly Uint8Array[]> {
    const sps = shapeOf(track);
    if (source !== 'bars') await access(source, constants.R_OK);
    const { path } = await this.#options.ffmpeg();
    const child = startChild({
      command: path,
      args: slateArguments(source, sps),
      niceness: this.#options.niceness(),
    });
    this.#stop = child.stop;
    child.stdin.end();
    const chunks: Buffer[] = [];
    let bytes = 0;
    child.outputs[0]?.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_BYTES) void child.stop();
      else chunks.push(chunk);
    });
    const cancel = this.#options.clock.after(TIMEOUT_MS, () => void child.stop());
    const { code, signal, error } = await child.exited;
    cancel();
    this.#stop = null;
    const nals = pictureIn(Buffer.concat(chunks));
    if (code === 0 && nals !== null) return nals;
    const reason =
      error?.message ?? (child.stderr.trim().split('\n').at(-1) || `it ended with ${code ?? signal}`);
    throw new SluiceError('SLUICE_TRANSCODE_FAILED', `ffmpeg made no picture: ${reason}`);
  }
}

/** What ffmpeg is called with to write one picture as Annex B to its output. */
export function slateArguments(source: string, sps: SpsCoding): string[] {
  const { width, height, profile, level, colour } = sps;
  const matrix = MATRICES[colour.matrix] ?? (height >= HD_HEIGHT ? 'bt709' : 'bt601');
  const colours = `out_color_matrix=${matrix}:out_range=${colour.fullRange ? 'pc' : 'tv'}`;
  // Only files: a path must not become an address.
  const input =
    source === 'bars'
      ? [
          '-f',
          'lavfi',
          '-i',
          `${height >= HD_HEIGHT ? 'smptehdbars' : 'smptebars'}=size=${width}x${height}:rate=1`,
        ]
      : ['-protocol_whitelist', 'file', '-i', `file:${source}`];
  const fit = `scale=${width}:${height}:force_original_aspect_ratio=decrease:${colours}`;
  const budget = Math.round(Math.max(MIN_BUDGET, width * height * BITS_PER_PIXEL) / 1000);
  const same = [
    `video_full_range_flag=${colour.fullRange ? 1 : 0}`,
    `colour_primaries=${colour.primaries}`,
    `transfer_characteristics=${colour.transfer}`,
    `matrix_coefficients=${colour.matrix}`,
  ];
  return [
    ...['-v', 'error', '-nostdin', ...input, '-map', '0:v:0', '-frames:v', '1'],
    ...['-vf', `${fit},pad=${width}:${height}:(ow-iw)/2:(oh-ih)/2,setsar=1,format=yuv420p`],
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-threads', '1', '-profile:v', PROFILES[profile] ?? 'high'],
    // With one reference the picture can be repeated without being sent again.
    ...['-refs', '1', '-bf', '0', '-crf', '23', '-maxrate', `${budget}k`, '-bufsize', `${budget}k`],
    ...['-x264-params', `level=${level}:keyint=infinite`, '-bsf:v', `h264_metadata=${same.join(':')}`],
    ...['-f', 'h264', 'pipe:1'],
  ];
}

/** @throws SluiceError SLUICE_FFMPEG_UNABLE when no picture in the parameters of the track can be made */
function shapeOf(track: VideoTrack): SpsCoding {
  const sps = track.h264?.sps[0];
  if (sps === undefined) throw unable(`slates are H.264, and the track is ${track.codec}`);
  const shape = parseSpsCoding(sps);
  if (PROFILES[shape.profile] === undefined || shape.chromaFormat !== 1 || shape.bitDepth !== 8) {
    throw unable(`no slate in H.264 profile ${shape.profile} with ${shape.bitDepth} bits`);
  }
  if (shape.width % 2 !== 0 || shape.height % 2 !== 0) {
    throw unable(`no slate of ${shape.width}×${shape.height} pixels`);
  }
  return shape;
}

function unable(message: string): SluiceError {
  return new SluiceError('SLUICE_FFMPEG_UNABLE', message);
}

/** Everything of the track that the picture depends on. */
function keyOf(source: string, { codec, h264 }: VideoTrack): string {
  return `${codec} ${Buffer.from(h264?.sps[0] ?? []).toString('base64')} ${source}`;
}

/** The parameter sets and slices; null when it is not one whole IDR picture. */
function pictureIn(stream: Buffer): readonly Uint8Array[] | null {
  const wanted: readonly number[] = [NAL.SPS, NAL.PPS, NAL.IDR];
  const found: Uint8Array[] = [];
  for (let start = afterStartCode(stream, 0); start !== -1; ) {
    const next = afterStartCode(stream, start);
    const end = next === -1 ? stream.length : next - START_CODE.length;
    // A zero before the start code belongs to it, or fills up.
    let last = end;
    while (last > start && stream[last - 1] === 0) last--;
    if (last > start && wanted.includes((stream[start] as number) & 0x1f)) {
      found.push(new Uint8Array(stream.subarray(start, last)));
    }
    start = next;
  }
  const has = (type: number) => found.some((nal) => ((nal[0] as number) & 0x1f) === type);
  return wanted.every(has) ? found : null;
}

const START_CODE = Buffer.from([0, 0, 1]);

function afterStartCode(stream: Buffer, from: number): number {
  const at = stream.indexOf(START_CODE, from);
  return at === -1 ? -1 : at + START_CODE.length;
}

function asFailure(error: unknown): SluiceError {
  if (error instanceof SluiceError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new SluiceError('SLUICE_TRANSCODE_FAILED', `the image cannot be read: ${reason}`);
}
