import { Agent, get, type IncomingHttpHeaders } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/** Players ask again after half a target duration at the earliest; ours has 2 s. */
const POLL_MS = 1000;

/** What one request of one viewer came to. */
export interface Answer {
  readonly path: string;
  readonly at: number;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** Many viewers of one stream. Each has one connection, follows the playlist and fetches every new segment. */
export class Crowd {
  readonly answers: Answer[] = [];
  /** Requests that got no answer. */
  readonly failures: string[] = [];
  /** How many segments each viewer has. */
  readonly counts: number[];
  readonly #watching: Promise<unknown>;
  #left = false;

  /** @param playlist address of a media playlist that exists */
  constructor(playlist: string, viewers: number) {
    this.counts = new Array<number>(viewers).fill(0);
    this.#watching = Promise.all(this.counts.map((_, index) => this.#watch(playlist, index)));
  }

  async leave(): Promise<void> {
    this.#left = true;
    await this.#watching;
  }

  async #watch(playlist: string, index: number): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const seen = new Set<string>();
    // They did not all come in the same instant.
    await delay((index / this.counts.length) * POLL_MS);
    while (!this.#left) {
      const text = await this.#fetch(playlist, agent);
      for (const uri of text.split('\n').filter((line) => line.endsWith('.ts'))) {
        if (seen.has(uri) || this.#left) continue;
        seen.add(uri);
        await this.#fetch(new URL(uri, playlist).href, agent);
        this.counts[index] = seen.size;
      }
      await delay(POLL_MS);
    }
    agent.destroy();
  }

  /** The body of a playlist. */
  #fetch(url: string, agent: Agent): Promise<string> {
    return new Promise((resolve) => {
      const failed = (error: Error) => {
        this.failures.push(`${url}: ${error.message}`);
        resolve('');
      };
      get(url, { agent }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => {
          if (url.endsWith('.m3u8')) chunks.push(chunk);
        });
        response.on('error', failed);
        response.on('end', () => {
          const { statusCode = 0, headers } = response;
          this.answers.push({ path: new URL(url).pathname, at: Date.now(), status: statusCode, headers });
          resolve(statusCode === 200 ? Buffer.concat(chunks).toString() : '');
        });
      }).on('error', failed);
    });
  }
}
