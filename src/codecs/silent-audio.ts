import type { AudioTrack } from '../media/track.ts';
import { BitWriter } from './bit-writer.ts';
import { parseMp3Header } from './mp3.ts';

const MP3_HEADER_SIZE = 4;
/** 20 ms of fullband CELT without a signal (RFC 6716 3.1). */
const SILENT_OPUS = { mono: [0xf8, 0xff, 0xfe], stereo: [0xfc, 0xff, 0xfe] } as const;
const OPUS_SAMPLE_RATE = 48_000;
const OPUS_SAMPLES = 960;

/** One frame of silence. */
export interface SilentFrame {
  readonly data: Uint8Array;
  readonly samples: number;
  readonly sampleRate: number;
}

/**
 * Silence that the decoder of a track takes for the next frame; null where none can be written without an encoder.
 *
 * @param newest a frame of the track
 */
export function silentFrame(track: AudioTrack, newest: Uint8Array): SilentFrame | null {
  const { codec, channels, samplesPerFrame: samples, sampleRate } = track;
  if (codec === 'opus' && channels >= 1 && channels <= 2) {
    const data = Uint8Array.from(channels === 1 ? SILENT_OPUS.mono : SILENT_OPUS.stereo);
    return { data, samples: OPUS_SAMPLES, sampleRate: OPUS_SAMPLE_RATE };
  }
  if (samples === 0 || sampleRate === 0) return null;
  const data = codec === 'aac' ? silentAac(track) : codec === 'mp3' ? silentMp3(newest) : null;
  return data === null ? null : { data, samples, sampleRate };
}

type Element = 'single' | 'pair' | 'low';
/** Syntactic elements by channelConfiguration (ISO 14496-3 table 1.19). */
const ELEMENTS: readonly (readonly Element[])[] = [
  [],
  ['single'],
  ['pair'],
  ['single', 'pair'],
  ['single', 'pair', 'single'],
  ['single', 'pair', 'pair'],
  ['single', 'pair', 'pair', 'low'],
  ['single', 'pair', 'pair', 'pair', 'low'],
];
const ELEMENT_ID = { single: 0, pair: 1, low: 3, end: 7 } as const;

/** global_gain. */
const GAIN_BITS = 8;
/** ics_reserved_bit, window_sequence ONLY_LONG, window_shape, max_sfb, predictor_data_present: one long window, no bands. */
const ICS_INFO_BITS = 1 + 2 + 1 + 6 + 1;
/** pulse_data_present, tns_data_present, gain_control_data_present. */
const TOOL_BITS = 3;

/**
 * raw_data_block() without a single scale factor band (ISO 14496-3 4.4.2.1). HE-AAC decoders take the missing extension
 * for an upper half without sound.
 */
function silentAac({ adts }: AudioTrack): Uint8Array | null {
  if (adts === null) return null;
  const tags = { single: 0, pair: 0, low: 0 };
  const block = new BitWriter();
  for (const element of ELEMENTS[adts.channelConfiguration] ?? []) {
    block.bits(ELEMENT_ID[element], 3).bits(tags[element]++, 4);
    if (element === 'pair') {
      block.flag(true).bits(0, ICS_INFO_BITS); // common_window, ics_info
      block.bits(0, 2); // ms_mask_present
      block.bits(0, GAIN_BITS + TOOL_BITS).bits(0, GAIN_BITS + TOOL_BITS);
    } else {
      block.bits(0, GAIN_BITS + ICS_INFO_BITS + TOOL_BITS);
    }
  }
  return block.bits(ELEMENT_ID.end, 3).bytes;
}

/** A frame of the same bit rate whose side information says that there is no main data. */
function silentMp3(newest: Uint8Array): Uint8Array | null {
  const header = parseMp3Header(newest);
  if (header === null) return null;
  const frame = new Uint8Array(Math.max(header.frameSize, MP3_HEADER_SIZE));
  frame.set(newest.subarray(0, MP3_HEADER_SIZE));
  frame[1] = (frame[1] as number) | 1; // protection_bit: without the CRC, which would not fit any more
  return frame;
}
