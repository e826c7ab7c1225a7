import type { AudioCodec } from '../media/track.ts';

/** What the configuration or first frame of a codec that Sluice does not remux says about itself; 0 = unknown. */
export interface AudioFormat {
  readonly sampleRate: number;
  readonly channels: number;
}

const AC3_SAMPLE_RATES = [48000, 44100, 32000];
const AC3_CHANNELS = [2, 1, 2, 3, 3, 4, 4, 5];

export function audioFormat(codec: AudioCodec, header: Uint8Array): AudioFormat {
  switch (codec) {
    case 'opus':
      // OpusHead (RFC 7845 5.1): magic(8) version channels … ; the decoder always runs at 48 kHz
      return { sampleRate: 48000, channels: startsWith(header, 'OpusHead') ? (header[9] ?? 2) : 2 };
    case 'flac':
      return flacFormat(header);
    case 'ac3': {
      // syncinfo: 0B 77 crc(2) fscod(2) frmsizecod(6), bsi: bsid(5) bsmod(3) acmod(3) …
      const channels = AC3_CHANNELS[(header[6] ?? 0) >> 5] ?? 0;
      return { sampleRate: AC3_SAMPLE_RATES[(header[4] ?? 0) >> 6] ?? 0, channels };
    }
    case 'speex':
      return { sampleRate: 16000, channels: 1 };
    case 'g711a':
    case 'g711u':
      return { sampleRate: 8000, channels: 1 };
    default:
      return { sampleRate: 0, channels: 0 };
  }
}

/** "fLaC", block header(4), STREAMINFO: sizes(10) sampleRate(20) channels-1(3) … */
function flacFormat(header: Uint8Array): AudioFormat {
  const [b0, b1, b2] = header.subarray(18, 21);
  if (!startsWith(header, 'fLaC')) return { sampleRate: 0, channels: 0 };
  if (b0 === undefined || b1 === undefined || b2 === undefined) return { sampleRate: 0, channels: 0 };
  return { sampleRate: (b0 << 12) | (b1 << 4) | (b2 >> 4), channels: ((b2 >> 1) & 7) + 1 };
}

/** A publisher may leave the configuration out; then the first frame stands in its place and must not be read as one. */
function startsWith(header: Uint8Array, magic: string): boolean {
  return Buffer.from(header.subarray(0, magic.length)).toString('latin1') === magic;
}
