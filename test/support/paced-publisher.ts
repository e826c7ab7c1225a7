import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decodeAmf0 } from '../../src/formats/amf/amf0.ts';
import { type FlvTag, readFlvFile, TAG_TYPE } from '../../src/formats/flv/tags.ts';
import { publishRtmp, type RtmpPublisher } from '../../src/servers/rtmp/rtmp-publisher.ts';
import { isAudio, isFrame, isVideo } from './publish-clip.ts';

const CLIPS = fileURLToPath(new URL('../fixtures/clips/', import.meta.url));
const STEP_MS = 5;
/** Timestamps that step further than this jump; nobody waits for them. */
const JUMP_MS = 1000;

/** The tags of a clip in test/fixtures/clips. */
export function readClip(name: string): FlvTag[] {
  return [...readFlvFile(readFileSync(`${CLIPS}${name}.flv`))];
}

export interface PacedOptions {
  readonly port: number;
  readonly key: string;
  readonly app?: string;
  /** Where the publisher is; the system chooses when absent. */
  readonly localAddress?: string | undefined;
  readonly tags: readonly FlvTag[];
  /** 2 sends twice as fast as the timestamps say. */
  readonly speed?: number;
  /** Begins again at the end, with timestamps that go on. */
  readonly loop?: boolean;
  /** Called right after a tag was handed to the socket. */
  readonly onSent?: (tag: FlvTag) => void;
}

export interface PacedPublisher {
  /** Resolves when the last tag is out; never for a loop. */
  readonly finished: Promise<void>;
  /** Resolves when the connection is closed, by whomever. */
  readonly closed: Promise<void>;
  /** Says goodbye and closes. */
  stop(): Promise<void>;
  /** Cuts the connection without a word. */
  abort(): void;
}

/** Publishes tags at the pace of their timestamps, as an encoder does. */
export async function publishPaced(options: PacedOptions): Promise<PacedPublisher> {
  const { port, key, app = 'live', localAddress, speed = 1, loop = false, onSent } = options;
  const turn = turnOf(options.tags);
  const tags = loop ? withinTurn(options.tags, turn) : options.tags;
  const publisher = await publishRtmp({ host: '127.0.0.1', port, app, key, localAddress });
  const pace = paceOf(tags);
  const startedAt = performance.now();
  let index = 0;
  let turns = 0;
  let stopTimer = () => {};
  const finished = new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const now = (performance.now() - startedAt) * speed;
      for (;;) {
        const tag = tags[index];
        if (tag === undefined || (pace[index] ?? 0) + turns * turn > now) return;
        send(publisher, tag, (tag.timestamp + turns * turn) % 2 ** 32);
        onSent?.(tag);
        index++;
        if (index < tags.length) continue;
        if (!loop) {
          clearInterval(timer);
          resolve();
          return;
        }
        index = 0;
        turns++;
      }
    }, STEP_MS);
    stopTimer = () => clearInterval(timer);
  });
  void publisher.closed.then(stopTimer);
  return {
    finished,
    closed: publisher.closed,
    stop: async () => {
      stopTimer();
      await publisher.drained();
      await publisher.stop();
    },
    abort: () => {
      stopTimer();
      publisher.abort();
    },
  };
}

/** From the first frame of a clip to that of its next turn, in ms, so that its pictures go on without a gap. */
function turnOf(tags: readonly FlvTag[]): number {
  const frames = tags.filter(isFrame);
  const pictures = frames.filter(isVideo);
  const leading = (pictures.length > 0 ? pictures : frames).map(({ timestamp }) => timestamp);
  const [first = 0, last = 0, previous = 0] = [leading[0], leading.at(-1), leading.at(-2)];
  return last - first + (last - previous);
}

/** Without the sound that lasts longer than the pictures. */
function withinTurn(tags: readonly FlvTag[], turn: number): readonly FlvTag[] {
  const first = tags.find((tag) => isAudio(tag) && isFrame(tag))?.timestamp ?? 0;
  return tags.filter((tag) => !isAudio(tag) || tag.timestamp - first < turn);
}

/** When each tag is due, in ms from the first: wraps are followed, jumps are not waited for. */
function paceOf(tags: readonly FlvTag[]): number[] {
  let due = 0;
  let newest = 0;
  let last = tags[0]?.timestamp ?? 0;
  return tags.map(({ timestamp }) => {
    const step = (timestamp - last) | 0;
    last = timestamp;
    if (Math.abs(step) < JUMP_MS) due += step;
    newest = Math.max(newest, due);
    return newest;
  });
}

function send(publisher: RtmpPublisher, tag: FlvTag, timestamp: number): void {
  if (tag.type === TAG_TYPE.AUDIO) publisher.audio(timestamp, tag.body);
  else if (tag.type === TAG_TYPE.VIDEO) publisher.video(timestamp, tag.body);
  else {
    const metadata = decodeAmf0(tag.body)[1];
    if (metadata !== undefined) publisher.metadata(metadata);
  }
}
