import { type ChildProcess, spawn } from 'node:child_process';

export interface Exit {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs beside the test. */
export interface Running {
  readonly stdout: string;
  readonly stderr: string;
  /** Resolves when it is gone, however it went. */
  readonly exited: Promise<Exit>;
  readonly isRunning: boolean;
  signal(signal: NodeJS.Signals): void;
  /** Kills it if need be, and waits until it is gone. */
  stop(): Promise<Exit>;
}

const children = new Set<ChildProcess>();
// A test that fails half-way must not leave its programs behind.
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

export interface StartOptions {
  readonly stdin?: Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** Starts a program by its arguments, without a shell. */
export function start(program: string, args: readonly string[], options: StartOptions = {}): Running {
  const child = spawn(program, args, {
    stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  children.add(child);
  let stdout = '';
  let stderr = '';
  let gone = false;
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // A program that has seen enough closes its input early.
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.stdin);
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      gone = true;
      children.delete(child);
      resolve({ code, signal, stdout, stderr });
    });
  });
  return {
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    get isRunning() {
      return !gone;
    },
    exited,
    signal: (signal) => {
      child.kill(signal);
    },
    stop: () => {
      if (!gone) child.kill('SIGKILL');
      return exited;
    },
  };
}

/** Runs a program to its end. @throws Error with what it wrote to stderr, when it fails */
export async function run(
  program: string,
  args: readonly string[],
  options: StartOptions = {},
): Promise<Exit> {
  const exit = await start(program, args, options).exited;
  if (exit.code !== 0) {
    throw new Error(`${program} ended with ${exit.code ?? exit.signal}: ${exit.stderr.slice(-2000)}`);
  }
  return exit;
}

const LIVE_PICTURE = ['-re', '-f', 'lavfi', '-i'];

/** Options of Debian's ffmpeg for a live encoder: a test picture, a tone, both or either. */
export const LIVE = {
  picture: (rate = 25) => [...LIVE_PICTURE, `testsrc2=size=320x240:rate=${rate}`],
  tone: ['-re', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'],
  /** H.264 with a keyframe every two seconds at 25 frames per second and nowhere else. */
  h264: [
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-b:v', '400k', '-threads', '1'],
    ...['-g', '50', '-keyint_min', '50', '-sc_threshold', '0'],
  ],
  lowDelay: ['-tune', 'zerolatency'],
  aac: ['-c:a', 'aac', '-b:a', '96k'],
  mp3: ['-c:a', 'libmp3lame', '-b:a', '96k'],
} as const;

/** ffmpeg as an encoder that publishes a test picture and a tone until it is stopped. */
export function publishTestPicture(url: string, extra: readonly string[] = []): Running {
  return start('ffmpeg', [
    ...['-v', 'error', '-nostdin', ...LIVE.picture(), ...LIVE.tone, ...LIVE.h264, ...LIVE.lowDelay],
    ...[...LIVE.aac, ...extra, '-f', 'flv', url],
  ]);
}

/** The hashes of all frames, in order. */
export interface Frames {
  readonly video: readonly string[];
  readonly audio: readonly string[];
}

/**
 * Decodes every frame of a file, an address or MPEG-TS bytes.
 *
 * @throws Error when ffmpeg has anything at all to complain about
 */
export function decode(input: string | Uint8Array, inputOptions: readonly string[] = []): Promise<Frames> {
  return hashFrames(input, inputOptions, ['-map', '0:v?', '-map', '0:a?', '-fps_mode', 'passthrough']);
}

/** The sound as it was encoded, without what the container puts around it. */
export async function encodedAudio(
  input: string | Uint8Array,
  codec: 'aac' | 'mp3',
): Promise<readonly string[]> {
  const unwrap = codec === 'aac' ? ['-bsf:a', 'aac_adtstoasc'] : [];
  return (await hashFrames(input, [], ['-map', '0:a', '-c', 'copy', ...unwrap])).audio;
}

async function hashFrames(
  input: string | Uint8Array,
  inputOptions: readonly string[],
  outputOptions: readonly string[],
): Promise<Frames> {
  const bytes = typeof input === 'string' ? null : input;
  const source = bytes === null ? ['-i', String(input)] : ['-f', 'mpegts', '-i', 'pipe:0'];
  const { stdout, stderr } = await run(
    'ffmpeg',
    ['-v', 'error', '-xerror', ...inputOptions, ...source, ...outputOptions, '-f', 'framemd5', '-'],
    bytes === null ? {} : { stdin: bytes },
  );
  if (stderr !== '') throw new Error(`ffmpeg reads it, but says: ${stderr.slice(0, 2000)}`);
  return readFrameHashes(stdout);
}

/** `#media_type 0: video` says what stream 0 is; a frame is `stream, dts, pts, duration, size, hash`. */
function readFrameHashes(text: string): Frames {
  const kinds = new Map<string, string>();
  const hashes = { video: [] as string[], audio: [] as string[] };
  for (const line of text.split('\n')) {
    const head = /^#media_type (\d+): (\w+)/.exec(line);
    if (head?.[1] !== undefined && head[2] !== undefined) kinds.set(head[1], head[2]);
    if (line === '' || line.startsWith('#')) continue;
    const columns = line.split(',').map((column) => column.trim());
    const kind = kinds.get(columns[0] ?? '');
    const hash = columns[5];
    if (hash !== undefined && (kind === 'video' || kind === 'audio')) hashes[kind].push(hash);
  }
  return hashes;
}
