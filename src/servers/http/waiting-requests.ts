import type { FastifyRequest } from 'fastify';

/** What a request can be held for: streams of an earlier process, the play callback, ffmpeg. */
export const WAIT_REASONS = ['restart', 'callback', 'picture'] as const;
export type WaitReason = (typeof WAIT_REASONS)[number];

/** Requests that are held until there is something to answer; most never are. */
export class WaitingRequests {
  readonly #held: Readonly<Record<WaitReason, Set<FastifyRequest>>> = {
    restart: new Set(),
    callback: new Set(),
    picture: new Set(),
  };

  /** Does not count those whose clients have gone, although their answers may still be in the making. */
  count(reason: WaitReason): number {
    let count = 0;
    for (const { raw } of this.#held[reason]) if (!raw.socket.destroyed) count++;
    return count;
  }

  /** Settles as `answer` does, for which the request waits. */
  async hold<T>(request: FastifyRequest, reason: WaitReason, answer: Promise<T>): Promise<T> {
    const held = this.#held[reason];
    held.add(request);
    try {
      return await answer;
    } finally {
      held.delete(request);
    }
  }
}
