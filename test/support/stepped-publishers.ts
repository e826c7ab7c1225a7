import { setImmediate as nextTurn } from 'node:timers/promises';
import { ServerSession } from '../../src/rtmp/server-session.ts';
import { systemClock } from '../../src/servers/system-clock.ts';
import { type RawPublisher, rawPublisher } from '../faults/support/publishers.ts';
import type { ClipTag } from './publish-clip.ts';

/** Short beside everything that is judged by the clock. */
const STEP_MS = 100;
const PATIENCE_MS = 10_000;

export interface SteppedSource {
  readonly key: string;
  /** In the order of `at`: each is sent when the gateway's clock has gone on by that. */
  readonly tags: readonly ClipTag[];
}

/**
 * Publishes to the one gateway in this process over real connections, without waiting for time: the gateway's clock
 * stands still until everything that is due has arrived. Its timers go on in real time.
 */
export class SteppedPublishers {
  readonly #realNow = systemClock.now;
  readonly #realPush = ServerSession.prototype.push;
  #now = systemClock.now();
  #publishers: RawPublisher[] = [];
  /** Bytes that the gateway has taken from the connections there are. */
  #taken = 0;

  constructor() {
    systemClock.now = () => this.#now;
    const { push } = ServerSession.prototype;
    const count = (bytes: number) => {
      this.#taken += bytes;
    };
    ServerSession.prototype.push = function (bytes) {
      push.call(this, bytes);
      count(bytes.length);
    };
  }

  /** Connects and sends everything; the publishers stay connected. */
  async publish(port: number, sources: readonly SteppedSource[]): Promise<void> {
    const publishers = await Promise.all(sources.map(({ key }) => rawPublisher(port, key)));
    this.#publishers.push(...publishers);
    const begin = this.#now;
    const next = sources.map(() => 0);
    while (sources.some(({ tags }, index) => (next[index] ?? 0) < tags.length)) {
      sources.forEach(({ tags }, index) => {
        const from = next[index] ?? 0;
        let to = from;
        while ((tags[to]?.at ?? Number.POSITIVE_INFINITY) <= this.#now - begin) to++;
        publishers[index]?.send(tags.slice(from, to));
        next[index] = to;
      });
      await this.#arrival();
      this.#now += STEP_MS;
    }
  }

  /** All say goodbye and close. */
  async leave(): Promise<void> {
    const publishers = this.#publishers;
    for (const { session, socket } of publishers) {
      session.stop();
      socket.end();
    }
    await Promise.all(publishers.map(({ closed }) => closed));
    this.#publishers = [];
    this.#taken = 0;
  }

  /** The clock goes on by itself again. */
  release(): void {
    systemClock.now = this.#realNow;
    ServerSession.prototype.push = this.#realPush;
  }

  async #arrival(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    const sent = this.#publishers.reduce((sum, { socket }) => sum + socket.bytesWritten, 0);
    while (this.#taken < sent) {
      if (this.#publishers.some(({ socket }) => socket.destroyed)) throw new Error('a publisher was cut off');
      if (performance.now() > deadline) throw new Error('the gateway does not read');
      await nextTurn();
    }
  }
}
