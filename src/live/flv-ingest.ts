import { FlvDemuxer } from '../formats/flv/demuxer.ts';
import { SluiceError } from '../media/errors.ts';
import type { AnnouncedMedia } from '../media/frame.ts';
import type { Publication } from './stream.ts';

/** A publication fed with FLV tag bodies, as RTMP messages are. They may be in slabs that the caller holds. */
export interface FlvIngest {
  audio(timestamp: number, body: Buffer): void;
  video(timestamp: number, body: Buffer): void;
  announce(media: AnnouncedMedia): void;
  /** Something else of this publication could not be parsed. */
  damaged(error: SluiceError): void;
  /** To be called about once a second, for publishers that send nothing more. */
  flush(): void;
  end(): void;
}

/**
 * @param onDamage a message could not be parsed; it is dropped and counted, and the stream goes on
 */
export function createFlvIngest(publication: Publication, onDamage: (error: SluiceError) => void): FlvIngest {
  const damaged = (error: SluiceError) => {
    publication.stream.stats.damagedMessages++;
    onDamage(error);
  };
  const demuxer = new FlvDemuxer((frame) => publication.push(frame), damaged);
  const tolerate = (error: unknown) => {
    if (!(error instanceof SluiceError)) throw error;
    damaged(error);
  };
  return {
    audio: (timestamp, body) => {
      try {
        demuxer.pushAudio(timestamp, body);
      } catch (error) {
        tolerate(error);
      }
    },
    video: (timestamp, body) => {
      try {
        demuxer.pushVideo(timestamp, body);
      } catch (error) {
        tolerate(error);
      }
    },
    announce: (media) => publication.announce(media),
    damaged,
    flush: () => publication.flush(),
    end: () => publication.end(),
  };
}
