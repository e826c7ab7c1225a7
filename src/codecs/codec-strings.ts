import { hex2 } from './bytes.ts';

/**
 * RFC 6381 text of a configuration record for codecs that Sluice passes on without looking inside.
 * Null when the record is too short to tell.
 */
export function codecStringFromRecord(codec: string, record: Uint8Array): string | null {
  switch (codec) {
    case 'hevc':
      return hevcString(record);
    case 'av1':
      return av1String(record);
    case 'vp9':
      return vp9String(record);
    case 'opus':
      return 'opus';
    case 'flac':
      return 'fLaC';
    case 'ac3':
      return 'ac-3';
    case 'eac3':
      return 'ec-3';
    default:
      return null;
  }
}

/** hvcC (ISO 14496-15 8.3.3.1): 1 space(2) tier(1) profile(5), 2…5 compatibility, 6…11 constraints, 12 level. */
function hevcString(record: Uint8Array): string | null {
  if (record.length < 13) return null;
  const view = Buffer.from(record.buffer, record.byteOffset, record.length);
  const general = view.readUInt8(1);
  const space = ['', 'A', 'B', 'C'][general >> 6] ?? '';
  const tier = (general >> 5) & 1 ? 'H' : 'L';
  const constraints = [...record.subarray(6, 12)];
  while (constraints.at(-1) === 0) constraints.pop();
  const parts = [
    `hvc1.${space}${general & 0x1f}`,
    reverseBits32(view.readUInt32BE(2)).toString(16),
    `${tier}${view.readUInt8(12)}`,
    ...constraints.map((byte) => hex2(byte).toUpperCase()),
  ];
  return parts.join('.');
}

function reverseBits32(value: number): number {
  let reversed = 0;
  for (let i = 0; i < 32; i++) reversed = ((reversed << 1) | ((value >>> i) & 1)) >>> 0;
  return reversed;
}

/** av1C: 1 profile(3) level(5), 2 tier(1) high_bitdepth(1) twelve_bit(1) … */
function av1String(record: Uint8Array): string | null {
  const [, profileLevel, flags] = record;
  if (profileLevel === undefined || flags === undefined) return null;
  const depth = flags & 0x40 ? (flags & 0x20 ? 12 : 10) : 8;
  const level = String(profileLevel & 0x1f).padStart(2, '0');
  return `av01.${profileLevel >> 5}.${level}${flags & 0x80 ? 'H' : 'M'}.${String(depth).padStart(2, '0')}`;
}

/** VPCodecConfigurationRecord, with or without its four FullBox bytes 01 000000 in front (both are in the wild). */
function vp9String(record: Uint8Array): string | null {
  const fullBox =
    record.length >= 12 && record[0] === 1 && record[1] === 0 && record[2] === 0 && record[3] === 0;
  const [profile, level, depth] = fullBox ? record.subarray(4) : record;
  if (profile === undefined || level === undefined || depth === undefined) return null;
  const two = (value: number) => String(value).padStart(2, '0');
  return `vp09.${two(profile)}.${two(level)}.${two(depth >> 4)}`;
}
