import { SluiceError } from '../media/errors.ts';
import type { AdtsParameters, AudioTrack } from '../media/track.ts';
import { BitReader } from './bit-reader.ts';

/** samplingFrequencyIndex (ISO 14496-3 table 1.18). */
const SAMPLE_RATES = [
  96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
];
/** Channels by channelConfiguration (ISO 14496-3 table 1.19). */
const CHANNELS = [0, 1, 2, 3, 4, 5, 6, 8];
/** Rates outside the table can be written in full, but nothing plays them. */
const MIN_SAMPLE_RATE = 7350;
const MAX_SAMPLE_RATE = 96_000;
const AOT_SBR = 5;
const AOT_PS = 29;

export interface AudioSpecificConfig {
  /** Audio object type of the core layer (2 = LC). */
  readonly objectType: number;
  /** As a decoder announces itself: 5 for HE-AAC, 29 for HE-AAC v2, else `objectType`. */
  readonly signalledObjectType: number;
  /** Core sample rate; with SBR the output has twice as many. */
  readonly sampleRate: number;
  readonly frequencyIndex: number;
  readonly channelConfiguration: number;
  readonly channels: number;
  readonly samplesPerFrame: number;
}

/**
 * Parses an AudioSpecificConfig (ISO 14496-3 1.6.2.1) with explicit SBR/PS signalling in both places it may stand.
 *
 * @throws SluiceError SLUICE_CODEC_MALFORMED
 */
export function parseAudioSpecificConfig(config: Uint8Array): AudioSpecificConfig {
  const reader = new BitReader(config);
  let objectType = readObjectType(reader);
  let signalledObjectType = objectType;
  const { rate: sampleRate, index: frequencyIndex } = readFrequency(reader);
  const channelConfiguration = reader.bits(4);
  if (objectType === AOT_SBR || objectType === AOT_PS) {
    readFrequency(reader); // extensionSamplingFrequency: the output rate
    objectType = readObjectType(reader);
  }
  const shortFrames = reader.bitsLeft > 0 && reader.flag(); // frameLengthFlag
  if (signalledObjectType === objectType && hasSbrExtension(config)) signalledObjectType = AOT_SBR;
  const channels = CHANNELS[channelConfiguration] ?? 0;
  if (sampleRate < MIN_SAMPLE_RATE || sampleRate > MAX_SAMPLE_RATE) {
    throw new SluiceError('SLUICE_CODEC_MALFORMED', `AAC sample rate ${sampleRate}`);
  }
  return {
    objectType,
    signalledObjectType,
    sampleRate,
    frequencyIndex,
    channelConfiguration,
    channels,
    samplesPerFrame: shortFrames ? 960 : 1024,
  };
}

function readObjectType(reader: BitReader): number {
  const type = reader.bits(5);
  return type === 31 ? 32 + reader.bits(6) : type;
}

function readFrequency(reader: BitReader): { rate: number; index: number } {
  const index = reader.bits(4);
  if (index === 15) {
    const rate = reader.bits(24);
    return { rate, index: nearestFrequencyIndex(rate) };
  }
  const rate = SAMPLE_RATES[index];
  if (rate === undefined)
    throw new SluiceError('SLUICE_CODEC_MALFORMED', `AAC sampling frequency index ${index}`);
  return { rate, index };
}

/** ADTS has no escape for odd rates; decoders use the index only to pick tables (ISO 14496-3 table 4.82). */
function nearestFrequencyIndex(rate: number): number {
  let best = 0;
  SAMPLE_RATES.forEach((candidate, index) => {
    if (Math.abs(candidate - rate) < Math.abs((SAMPLE_RATES[best] ?? 0) - rate)) best = index;
  });
  return best;
}

/** Backward-compatible signalling: syncExtensionType 0x2b7, type 5, sbrPresentFlag 1, after a 16-bit LC config. */
function hasSbrExtension(config: Uint8Array): boolean {
  if (config.length < 5) return false;
  const reader = new BitReader(config.subarray(2));
  return reader.bits(11) === 0x2b7 && reader.bits(5) === AOT_SBR && reader.flag();
}

/** The track an AudioSpecificConfig describes. @throws SluiceError SLUICE_CODEC_MALFORMED */
export function aacTrack(id: string, config: Uint8Array): AudioTrack {
  const asc = parseAudioSpecificConfig(config);
  // ADTS has two bits for objectType - 1 and cannot carry a program config element (configuration 0).
  const fitsAdts = asc.objectType >= 1 && asc.objectType <= 4 && asc.channelConfiguration > 0;
  const adts: AdtsParameters | null = fitsAdts
    ? {
        objectType: asc.objectType,
        frequencyIndex: asc.frequencyIndex,
        channelConfiguration: asc.channelConfiguration,
      }
    : null;
  return {
    id,
    kind: 'audio',
    codec: 'aac',
    config,
    codecString: `mp4a.40.${asc.signalledObjectType}`,
    flvHeader: null,
    sampleRate: asc.sampleRate,
    channels: asc.channels,
    samplesPerFrame: asc.samplesPerFrame,
    adts,
  };
}

export const ADTS_HEADER_SIZE = 7;
/** aac_frame_length is 13 bits and includes the header. */
export const MAX_ADTS_PAYLOAD = 8191 - ADTS_HEADER_SIZE;

/** Writes an ADTS header without CRC (ISO 14496-3 1.A.2.2) for a raw frame of `payloadSize` bytes. */
export function writeAdtsHeader(
  target: Uint8Array,
  at: number,
  adts: AdtsParameters,
  payloadSize: number,
): void {
  const length = payloadSize + ADTS_HEADER_SIZE;
  const channels = adts.channelConfiguration;
  target[at] = 0xff; // syncword
  target[at + 1] = 0xf1; // syncword, ID 0 (MPEG-4), layer 0, protection_absent 1
  target[at + 2] = ((adts.objectType - 1) << 6) | (adts.frequencyIndex << 2) | (channels >> 2); // private_bit 0
  target[at + 3] = ((channels & 3) << 6) | (length >> 11); // original, home, copyright bits 0
  target[at + 4] = (length >> 3) & 0xff;
  target[at + 5] = ((length & 7) << 5) | 0x1f; // buffer_fullness 0x7ff (variable rate)
  target[at + 6] = 0xfc; // number_of_raw_data_blocks - 1 = 0
}

/** Bytes of an ADTS header some encoders leave inside the raw frame, or 0. */
export function adtsHeaderSize(frame: Uint8Array): number {
  // By index: taking a typed array apart runs its iterator, for every audio frame.
  const b1 = frame[1];
  if (frame[0] !== 0xff || b1 === undefined || (b1 & 0xf6) !== 0xf0) return 0;
  const [b3, b4, b5] = [frame[3], frame[4], frame[5]];
  if (b3 === undefined || b4 === undefined || b5 === undefined) return 0;
  // The length must match too: raw AAC may begin with the same bits by chance.
  const length = ((b3 & 3) << 11) | (b4 << 3) | (b5 >> 5);
  if (length !== frame.length) return 0;
  return (b1 & 1) === 1 ? 7 : 9;
}
