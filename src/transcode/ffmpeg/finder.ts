import { isAbsolute, sep } from 'node:path';
import type { Clock } from '../../media/clock.ts';
import { SluiceError } from '../../media/errors.ts';
import { programsOnPath } from '../../processes/programs-on-path.ts';
import type { Ffmpeg } from './ffmpeg.ts';
import { probeFfmpeg } from './probe.ts';

/** Looked for once, then remembered; a failed search is repeated after 30 s at the earliest. */
export interface FfmpegFinder {
  /** @throws SluiceError SLUICE_FFMPEG_MISSING: what was tried, and what is wrong with each */
  find(): Promise<Ffmpeg>;
  /** What the last search found. */
  readonly known: Ffmpeg | null;
  /** What was passed over on the way to it: worth a line in the log when it was configured. */
  readonly passedOver: readonly string[];
}

export interface FfmpegFinderOptions {
  /** transcode.ffmpeg: a path, or the name of a program on PATH. */
  readonly configured: () => string | undefined;
  readonly clock: Clock;
  /** Path of the package ffmpeg-static, null where it has none for this machine; throws when it is not installed. */
  readonly staticPath?: () => Promise<string | null>;
  /** Programs of a name on PATH. */
  readonly onPath?: (name: string) => readonly string[];
}

interface Candidate {
  /** How it is called in an error. */
  readonly label: string;
  readonly path: string;
  readonly origin: Ffmpeg['origin'];
}

const RETRY_MS = 30_000;

export function makeFfmpegFinder(options: FfmpegFinderOptions): FfmpegFinder {
  const { clock } = options;
  const onPath = options.onPath ?? ((name: string) => programsOnPath(name));
  const staticPath = options.staticPath ?? pathOfPackage;
  let search: Promise<Ffmpeg> | null = null;
  let retryAt = 0;
  let known: Ffmpeg | null = null;
  let passedOver: string[] = [];

  async function lookAround(): Promise<Ffmpeg> {
    passedOver = [];
    const tried = new Set<string>();
    for await (const candidate of candidates()) {
      if (typeof candidate === 'string') {
        passedOver.push(candidate);
        continue;
      }
      if (tried.has(candidate.path)) continue;
      tried.add(candidate.path);
      const probed = await probeFfmpeg(candidate.path, candidate.origin, clock);
      if ('ffmpeg' in probed) {
        known = probed.ffmpeg;
        return known;
      }
      passedOver.push(`${candidate.label} ${candidate.path} ${probed.reason}`);
    }
    known = null;
    retryAt = clock.now() + RETRY_MS;
    throw new SluiceError('SLUICE_FFMPEG_MISSING', `no ffmpeg that works: ${passedOver.join('; ')}`);
  }

  /** In the order of preference; a string tells why a place has none. */
  async function* candidates(): AsyncGenerator<Candidate | string> {
    const configured = options.configured();
    if (configured !== undefined) {
      const isName = !isAbsolute(configured) && !configured.includes('/') && !configured.includes(sep);
      const paths = isName ? onPath(configured) : [configured];
      if (paths.length === 0) yield `transcode.ffmpeg ${configured} is not on PATH`;
      for (const path of paths) yield { label: 'transcode.ffmpeg', path, origin: 'configured' };
    }
    yield await staticCandidate();
    const paths = onPath('ffmpeg');
    if (paths.length === 0) yield 'none is on PATH';
    for (const path of paths) yield { label: 'on PATH', path, origin: 'PATH' };
  }

  async function staticCandidate(): Promise<Candidate | string> {
    try {
      const path = await staticPath();
      return path === null
        ? 'ffmpeg-static has none for this machine'
        : { label: 'ffmpeg-static', path, origin: 'ffmpeg-static' };
    } catch {
      return 'ffmpeg-static is not installed';
    }
  }

  return {
    find: () => {
      if (search === null || (retryAt > 0 && clock.now() >= retryAt)) {
        retryAt = 0;
        search = lookAround();
        // Whoever asks gets it too; nobody may be asking any more.
        search.catch(() => {});
      }
      return search;
    },
    get known() {
      return known;
    },
    get passedOver() {
      return passedOver;
    },
  };
}

/** The package is optional: it downloads a binary when it is installed, which not everybody may or wants to. */
async function pathOfPackage(): Promise<string | null> {
  const name: string = 'ffmpeg-static';
  const { default: path }: { default?: unknown } = await import(name);
  return typeof path === 'string' ? path : null;
}
