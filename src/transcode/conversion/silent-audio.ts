import { aacTrack } from '../../codecs/aac.ts';
import { reasonNotInTs } from '../../formats/mpegts/muxer.ts';
import type { Epoch, MediaSink } from '../../media/packet.ts';
import { type Ticks, ticksFromSamples, ticksFromSeconds } from '../../media/time.ts';
import type { AudioTrack } from '../../media/track.ts';

/** AudioSpecificConfig: AAC-LC, 48 kHz, two channels. */
const CONFIG = Uint8Array.of(0x11, 0x90);
/** A channel pair without any spectral data: digital silence. */
const FRAME = Uint8Array.of(0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c);
/** A longer hole in the pictures is left a hole in the sound, too. */
const LONGEST_FILL = ticksFromSeconds(10);

/** There are pictures that MPEG-TS can carry, and no sound that it can. */
export function lacksAudio({ tracks }: Epoch): boolean {
  const carried = tracks.filter((track) => reasonNotInTs(track) === null);
  return carried.length > 0 && carried.every(({ kind }) => kind === 'video');
}

/**
 * Adds a track of AAC silence to what goes to `downstream`; no encoder is needed for that. Meant for epochs that
 * {@link lacksAudio}: the next one with real sound simply goes past it.
 */
export function makeSilentAudio(downstream: MediaSink): MediaSink {
  let track: AudioTrack | null = null;
  let leadingId: string | undefined;
  let start: Ticks = 0;
  let frames = 0;

  const timeOf = (frame: number, { samplesPerFrame, sampleRate }: AudioTrack) =>
    start + Math.round(ticksFromSamples(frame * samplesPerFrame, sampleRate));

  const fillUntil = (until: Ticks, silence: AudioTrack) => {
    let time = timeOf(frames, silence);
    if (until - time > LONGEST_FILL) {
      start = until;
      frames = 0;
      return;
    }
    while (time < until) {
      downstream.packet({ track: silence, dts: time, pts: time, keyframe: true, data: FRAME });
      frames++;
      time = timeOf(frames, silence);
    }
  };

  return {
    epoch: (epoch) => {
      // A new object for each epoch, as of every publisher that begins again.
      track = aacTrack(freeAudioId(epoch), CONFIG);
      leadingId = epoch.tracks.find(({ kind }) => kind === 'video')?.id;
      start = epoch.start;
      frames = 0;
      downstream.epoch({ ...epoch, tracks: [...epoch.tracks, track] });
    },
    packet: (packet) => {
      if (track !== null && packet.track.id === leadingId) fillUntil(packet.dts, track);
      downstream.packet(packet);
    },
    end: () => downstream.end(),
    close: () => downstream.close(),
  };
}

function freeAudioId({ tracks }: Epoch): string {
  let number = 0;
  while (tracks.some(({ id }) => id === `a${number}`)) number++;
  return `a${number}`;
}
