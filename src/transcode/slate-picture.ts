import { access, constants } from 'node:fs/promises';
import { NAL } from '../codecs/h264.ts';
import { type PictureShape, pictureShape, transplant, withLengths } from '../codecs/h264-still.ts';
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
/** Numbers of ISO 23091-2, as the scaler calls them. */
const MATRICES: Readonly<Record<number, string>> = { 1: 'bt709', 5: 'bt601', 6: 'bt601', 9: 'bt2020' };
/** From here on players take pictures that do not say it for BT.709. */
const HD_HEIGHT = 720;

export interface SlatePicturesOptions {
  /** An ffmpeg that works. @throws SluiceError when there is none */
  readonly ffmpeg: () => Promise<{ readonly path: string }>;
  readonly niceness: () => number;
  readonly clock: Clock;
  /** A picture could not be made; told once a minute at most for each source. */
  readonly onFailure: (source: string, error: SluiceError) => void;
}

interface Entry {
  slices: readonly Uint8Array[] | null;
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
  /** When it was told of each source; there are as many as the configuration names. */
  readonly #failures = new Map<string, EpochMs>();
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
    const entry: Entry = { slices: known?.slices ?? null, madeAt: now };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_PICTURES) break;
      this.#entries.delete(oldest);
    }
    this.#making = this.#making.then(async () => {
      if (this.#closed || this.#entries.get(key) !== entry) return;
      try {
        entry.slices = await this.#make(source, track);
      } catch (error) {
        entry.slices = null;
        this.#failed(source, asFailure(error));
      }
    });
  }

  #failed(source: string, error: SluiceError): void {
    const now = this.#options.clock.now();
    if (this.#closed || now - (this.#failures.get(source) ?? Number.NEGATIVE_INFINITY) < FRESH_MS) return;
    this.#failures.set(source, now);
    this.#options.onFailure(source, error);
  }

  /** The picture as an access unit in the parameter sets of the track; null while, or when, there is none. */
  get(source: string, track: VideoTrack): Uint8Array | null {
    const slices = this.#entries.get(keyOf(source, track))?.slices ?? null;
    return slices === null || track.h264 === null ? null : withLengths(slices, track.h264.nalLengthSize);
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
    const parameters = track.h264;
    if (parameters === null) {
      throw new SluiceError('SLUICE_FFMPEG_UNABLE', `slates are H.264, and the track is ${track.codec}`);
    }
    const shape = pictureShape(parameters);
    if (source !== 'bars') await access(source, constants.R_OK);
    const { path } = await this.#options.ffmpeg();
    const child = startChild({
      command: path,
      args: slateArguments(source, shape),
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
    if (code === 0 && nals !== null) return transplant(nals, parameters);
    const reason =
      error?.message ?? (child.stderr.trim().split('\n').at(-1) || `it ended with ${code ?? signal}`);
    throw new SluiceError('SLUICE_TRANSCODE_FAILED', `ffmpeg made no picture: ${reason}`);
  }
}

/** What ffmpeg is called with to write one picture as Annex B to its output. */
export function slateArguments(source: string, shape: PictureShape): string[] {
  const { width, height, colour, cabac, transform8x8, chromaQpOffset } = shape;
  const matrix = MATRICES[colour.matrix] ?? (height >= HD_HEIGHT ? 'bt709' : 'bt601');
  const colours = `out_color_matrix=${matrix}:out_range=${colour.fullRange ? 'pc' : 'tv'}`;
  const bars = height >= HD_HEIGHT ? 'smptehdbars' : 'smptebars';
  const input =
    source === 'bars'
      ? ['-f', 'lavfi', '-i', `${bars}=size=${width}x${height}:rate=1`]
      : // Only files: a path must not become an address.
        ['-protocol_whitelist', 'file', '-i', `file:${source}`];
  const fit = `scale=${width}:${height}:force_original_aspect_ratio=decrease:${colours}`;
  const budget = Math.round(Math.max(MIN_BUDGET, width * height * BITS_PER_PIXEL) / 1000);
  // What slices depend on in the parameter sets, which are replaced by those of the track. Psychovisual optimisation
  // would move the chroma offset.
  const coding = [
    `cabac=${cabac ? 1 : 0}`,
    `8x8dct=${transform8x8 ? 1 : 0}`,
    `chroma-qp-offset=${chromaQpOffset}`,
    'psy=0:deblock=0,0:slices=1:keyint=infinite',
  ];
  return [
    ...['-v', 'error', '-nostdin', ...input, '-map', '0:v:0', '-frames:v', '1'],
    ...['-vf', `${fit},pad=${width}:${height}:(ow-iw)/2:(oh-ih)/2,setsar=1,format=yuv420p`],
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-threads', '1', '-bf', '0', '-crf', '23'],
    ...['-maxrate', `${budget}k`, '-bufsize', `${budget}k`, '-x264-params', coding.join(':')],
    ...['-f', 'h264', 'pipe:1'],
  ];
}

/** Everything of the track that the picture depends on. */
function keyOf(source: string, { codec, h264 }: VideoTrack): string {
  const sets = [...(h264?.sps ?? []), ...(h264?.pps ?? [])];
  return [codec, ...sets.map((set) => Buffer.from(set).toString('base64')), source].join(' ');
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
