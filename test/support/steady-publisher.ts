import { setTimeout as delay } from 'node:timers/promises';
import { type PacedPublisher, publishPaced, readClip } from './paced-publisher.ts';

const RETRY_MS = 100;

/** Publishes a clip in a loop and connects again, like an encoder, whenever the connection is lost. */
export function publishSteadily(options: { port: number; key: string; app?: string }): {
  /** Also after a failure to connect. */
  stop(): Promise<void>;
} {
  const tags = readClip('h264_aac');
  let stopped = false;
  let current: PacedPublisher | null = null;
  const running = (async () => {
    while (!stopped) {
      current = await publishPaced({ ...options, tags, loop: true }).catch(() => null);
      if (stopped) current?.abort();
      await current?.closed;
      current = null;
      if (!stopped) await delay(RETRY_MS);
    }
  })();
  return {
    stop: async () => {
      stopped = true;
      current?.abort();
      await running;
    },
  };
}
