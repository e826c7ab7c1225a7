import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type FlvTag, readFlvFile, TAG_TYPE } from '../../formats/flv/tags.ts';
import { publishRtmp, type RtmpPublisher, type RtmpPublisherOptions } from './rtmp-publisher.ts';

const CLIP = fileURLToPath(new URL('../../../assets/demo.flv', import.meta.url));
const STEP_MS = 20;

/** Publishes the bundled clip in a loop over a real RTMP connection, at its own pace, until the server closes it. */
export async function startDemo(target: RtmpPublisherOptions): Promise<void> {
  const clip = readMedia(CLIP);
  const publisher = await publishRtmp(target);
  publisher.metadata({ videocodecid: 7, audiocodecid: 10 });
  const startedAt = performance.now();
  let index = 0;
  let offset = 0;
  const timer = setInterval(() => {
    const now = performance.now() - startedAt;
    for (;;) {
      const tag = clip.tags[index];
      if (tag === undefined || tag.timestamp + offset > now) return;
      send(publisher, tag, tag.timestamp + offset);
      index++;
      if (index < clip.tags.length) continue;
      index = 0;
      offset += clip.duration;
    }
  }, STEP_MS);
  timer.unref();
  void publisher.closed.then(() => clearInterval(timer));
}

function send(publisher: RtmpPublisher, tag: FlvTag, timestamp: number): void {
  if (tag.type === TAG_TYPE.AUDIO) publisher.audio(timestamp, tag.body);
  else publisher.video(timestamp, tag.body);
}

/** The clip's media with times from 0, and how long one turn takes. */
function readMedia(path: string): { tags: FlvTag[]; duration: number } {
  const media = [...readFlvFile(readFileSync(path))].filter((tag) => tag.type !== TAG_TYPE.DATA);
  const pictures = media.filter((tag) => tag.type === TAG_TYPE.VIDEO).map((tag) => tag.timestamp);
  const last = pictures.at(-1) ?? 0;
  const frame = last - (pictures.at(-2) ?? 0);
  return { tags: media, duration: last + frame };
}
