import type { Clock } from '../../media/clock.ts';
import { type RunResult, runProgram } from '../../processes/run.ts';
import { commandArguments } from './command.ts';
import { encoderFamily, HARDWARE_ENCODERS, type VideoEncoding, videoOptions } from './encoders.ts';
import type { Ffmpeg } from './ffmpeg.ts';
import { lastWords } from './last-words.ts';

/** A driver may take its time when it is first used. */
const TIMEOUT_MS = 10_000;
const FALLBACK = 'libx264';

/** What `auto` came to. */
export interface EncoderChoice {
  readonly encoder: string;
  /** Each hardware encoder that this ffmpeg has and this machine has not, with the reason. */
  readonly rejected: readonly string[];
}

const choices = new WeakMap<Ffmpeg, Promise<EncoderChoice>>();

/**
 * The H.264 encoder for `auto`: the first of the hardware ones that encodes a tiny picture, or libx264. An ffmpeg that
 * lists an encoder was only built with it; whether the machine has the card and the driver only a try tells. Tried once.
 */
export function chooseH264Encoder(ffmpeg: Ffmpeg, clock: Clock): Promise<EncoderChoice> {
  const known = choices.get(ffmpeg);
  if (known !== undefined) return known;
  const choice = tryAll(ffmpeg, clock);
  choices.set(ffmpeg, choice);
  return choice;
}

async function tryAll(ffmpeg: Ffmpeg, clock: Clock): Promise<EncoderChoice> {
  const rejected: string[] = [];
  for (const encoder of HARDWARE_ENCODERS) {
    if (!ffmpeg.encoders.has(encoder)) continue;
    const result = await runProgram({
      command: ffmpeg.path,
      args: trialArguments(ffmpeg, encoder),
      clock,
      timeoutMs: TIMEOUT_MS,
      maxBytes: 1024 * 1024,
    });
    if (result.ended === null && result.code === 0) return { encoder, rejected };
    rejected.push(`${encoder}: ${reasonOf(result)}`);
  }
  return { encoder: FALLBACK, rejected };
}

/** Large enough for every encoder; some refuse less than 145 by 49. */
const TRIAL_PICTURE = 'color=black:size=320x240:rate=25';

/** Encodes some black pictures with the very options that streams get. */
export function trialArguments({ version }: Ffmpeg, encoder: string): string[] {
  const family = encoderFamily(encoder);
  const encoding: VideoEncoding = {
    codec: 'h264',
    encoder,
    bitrate: 500_000,
    preset: 'veryfast',
    profile: null,
    gop: null,
  };
  return commandArguments({
    input: { options: [...(family?.inputOptions ?? []), '-f', 'lavfi'], source: TRIAL_PICTURE },
    filters: `[0:v]${['setsar=1', ...(family?.filters ?? [])].join(',')}[o]`,
    outputs: [
      {
        options: [
          ...['-map', '[o]', '-frames:v', '5'],
          ...videoOptions(encoding, { version, threads: 1, frameRate: 25 }),
          ...['-f', 'null'],
        ],
        target: '-',
      },
    ],
  });
}

function reasonOf({ ended, signal, code, error, stderr }: RunResult): string {
  if (ended !== null) return `did not end within ${TIMEOUT_MS / 1000} s`;
  return lastWords(stderr) ?? error?.message ?? `ended with ${code ?? signal}`;
}
