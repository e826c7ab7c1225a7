import { expect } from 'vitest';
import type { RequestFunction } from '../../support/hls-validator/validator.ts';
import { type PacedPublisher, publishPaced } from '../../support/paced-publisher.ts';
import { readClip, repeated } from '../../support/publish-clip.ts';
import { until } from '../../support/until.ts';
import { Viewer } from '../../support/viewer.ts';
import type { ChildGateway } from './child-gateway.ts';

const NAME = 'healthy';
/** Ten seconds each; more than any test file takes. */
const ROUNDS = 30;

export interface BystanderOptions {
  /** Of the stream. */
  readonly name?: string;
  /** Where the publisher is; the system chooses when absent. */
  readonly localAddress?: string;
  /** How the viewer asks; a connection per request when absent. */
  readonly request?: RequestFunction;
}

/** A publisher and a viewer who do everything right, on a gateway where others do not. */
export class Bystanders {
  /** The stream's name, if it was given none. */
  static readonly stream = NAME;
  readonly #viewer: Viewer;
  readonly #publisher: PacedPublisher;
  #disconnected = false;
  #left: Promise<void> | null = null;

  private constructor(viewer: Viewer, publisher: PacedPublisher) {
    this.#viewer = viewer;
    this.#publisher = publisher;
    void publisher.closed.then(() => {
      this.#disconnected = true;
    });
  }

  static async start(gateway: ChildGateway, options: BystanderOptions = {}): Promise<Bystanders> {
    const { name = NAME, localAddress, request } = options;
    const url = gateway.hls(name);
    const publisher = await publishPaced({
      port: gateway.rtmpPort,
      key: name,
      localAddress,
      tags: repeated(readClip('h264_aac'), ROUNDS),
    });
    await until(`${url} to be playable`, async () => (await fetch(url)).ok);
    const viewer = new Viewer(url, request);
    viewer.watch();
    await until('the first segments', () => viewer.count >= 2);
    return new Bystanders(viewer, publisher);
  }

  /** File names of the listed segments, oldest first. */
  get listed(): string[] {
    return this.#viewer.playlist.split('\n').filter((line) => line.endsWith('.ts'));
  }

  /** Waits for more of the stream: it is one piece, and everything in it is as it should be. */
  async expectClean(): Promise<void> {
    const before = this.#viewer.count;
    await until('the next segment', () => this.#viewer.count > before, 8000);
    await until('every segment to be fetched', () => this.#viewer.complete, 8000);
    expect(this.#viewer.validator.errors, this.#viewer.validator.summary().text).toEqual([]);
    expect(this.#viewer.refusals).toEqual([]);
    expect(this.#viewer.playlist).toContain('#EXT-X-DISCONTINUITY-SEQUENCE:0\n');
    expect(this.#viewer.playlist).not.toContain('#EXT-X-DISCONTINUITY\n');
    expect(this.#disconnected).toBe(false);
  }

  /** May be called again. */
  leave(): Promise<void> {
    this.#left ??= this.#go();
    return this.#left;
  }

  async #go(): Promise<void> {
    this.#viewer.validator.publisherAway(true);
    await this.#viewer.leave();
    await this.#publisher.stop();
  }
}
