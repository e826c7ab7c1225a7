import { PID } from './wire.ts';

const CRC_POLYNOMIAL = 0x04c11db7;
const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? CRC_POLYNOMIAL : 0);
  return crc;
});

/** CRC-32/MPEG-2 (ISO 13818-1 annex A): initial value all ones, not reflected, not inverted. */
export function crc32Mpeg(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = (crc << 8) ^ (CRC_TABLE[(crc >>> 24) ^ byte] as number);
  return crc >>> 0;
}

export interface ElementaryStreamEntry {
  readonly streamType: number;
  readonly pid: number;
}

/** Program association section: one program, number 1. */
export function programAssociationSection(): Buffer {
  return section(0x00, 1, 0, [0x00, 0x01, 0xe0 | (PID.PMT >> 8), PID.PMT & 0xff]);
}

/** Program map section of exactly the streams that exist: players wait for every stream a PMT promises. */
export function programMapSection(
  version: number,
  pcrPid: number,
  streams: readonly ElementaryStreamEntry[],
): Buffer {
  const entries = streams.flatMap(({ streamType, pid }) => [
    streamType,
    0xe0 | (pid >> 8),
    pid & 0xff,
    0xf0,
    0x00,
  ]);
  return section(0x02, 1, version, [0xe0 | (pcrPid >> 8), pcrPid & 0xff, 0xf0, 0x00, ...entries]);
}

/** table_id, '1011' length(12), id(16), '11' version(5) current 1, section 0, last section 0, body, CRC32. */
function section(tableId: number, id: number, version: number, body: readonly number[]): Buffer {
  const length = 5 + body.length + 4;
  const bytes = [
    tableId,
    0xb0 | (length >> 8),
    length & 0xff,
    id >> 8,
    id & 0xff,
    0xc1 | (version << 1),
    0,
    0,
    ...body,
  ];
  const whole = Buffer.alloc(bytes.length + 4);
  whole.set(bytes);
  whole.writeUInt32BE(crc32Mpeg(whole.subarray(0, bytes.length)), bytes.length);
  return whole;
}
