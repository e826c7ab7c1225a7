import type { Ticks } from '../../media/time.ts';

/** Byte-level pieces of ISO 13818-1 shared by the tables and the packetiser. */

export const PACKET_SIZE = 188;
export const PACKET_PAYLOAD = 184;
export const PID = { PAT: 0, VIDEO: 0x100, AUDIO: 0x101, PMT: 0x1000 } as const;

const TWO_33 = 2 ** 33;
const TWO_30 = 2 ** 30;
const TWO_25 = 2 ** 25;

/** Ticks modulo 2^33, the only place where media time wraps. Bitwise operators would drop bit 32. */
function wrap33(ticks: Ticks): number {
  return ((ticks % TWO_33) + TWO_33) % TWO_33;
}

/** TS packet header: sync 0x47; TEI 0, PUSI, priority 0, PID(13); scrambling 00, adaptation_field_control, counter. */
export function writePacketHeader(
  out: Uint8Array,
  at: number,
  pid: number,
  unitStart: boolean,
  adaptation: boolean,
  payload: boolean,
  counter: number,
): void {
  out[at] = 0x47;
  out[at + 1] = (unitStart ? 0x40 : 0) | (pid >> 8);
  out[at + 2] = pid & 0xff;
  out[at + 3] = (adaptation ? 0x20 : 0) | (payload ? 0x10 : 0) | counter;
}

export const ADAPTATION = { RANDOM_ACCESS: 0x40, PCR: 0x10 } as const;

/** Size of an adaptation field with these flags and no stuffing: length, flags, PCR(6). */
export function adaptationSize(flags: number): number {
  if (flags & ADAPTATION.PCR) return 8;
  return flags === 0 ? 0 : 2;
}

/** Writes an adaptation field of exactly `size` bytes, the rest of it stuffing (0xff). */
export function writeAdaptation(out: Uint8Array, at: number, size: number, flags: number, pcr: Ticks): void {
  out[at] = size - 1; // adaptation_field_length
  if (size === 1) return; // a lone length byte of 0 is one byte of stuffing
  out[at + 1] = flags;
  let position = at + 2;
  if (flags & ADAPTATION.PCR) {
    writePcr(out, position, pcr);
    position += 6;
  }
  out.fill(0xff, position, at + size);
}

/** PCR: base(33) reserved(6) = 1s, extension(9) = 0. */
function writePcr(out: Uint8Array, at: number, pcr: Ticks): void {
  const base = wrap33(pcr);
  const low = base % TWO_25;
  out[at] = Math.floor(base / TWO_25);
  out[at + 1] = low >> 17;
  out[at + 2] = (low >> 9) & 0xff;
  out[at + 3] = (low >> 1) & 0xff;
  out[at + 4] = ((low & 1) << 7) | 0x7e;
  out[at + 5] = 0;
}

/** PTS or DTS: prefix(4) ts[32..30] 1, ts[29..15] 1, ts[14..0] 1. */
function writeTimestamp(out: Uint8Array, at: number, prefix: number, ticks: Ticks): void {
  const wrapped = wrap33(ticks);
  const low = wrapped % TWO_30;
  out[at] = (prefix << 4) | (Math.floor(wrapped / TWO_30) << 1) | 1;
  out[at + 1] = low >> 22;
  out[at + 2] = ((low >> 14) & 0xfe) | 1;
  out[at + 3] = (low >> 7) & 0xff;
  out[at + 4] = ((low << 1) & 0xfe) | 1;
}

/** Bytes of a PES header: 9 fixed, 5 PTS, 5 DTS when it differs. */
export function pesHeaderSize(pts: Ticks, dts: Ticks): number {
  return pts === dts ? 14 : 19;
}

/** @param packetLength PES_packet_length; 0 (unbounded) is allowed for video only */
export function writePesHeader(
  out: Uint8Array,
  at: number,
  streamId: number,
  packetLength: number,
  pts: Ticks,
  dts: Ticks,
): void {
  const hasDts = pts !== dts;
  out[at] = 0; // packet_start_code_prefix
  out[at + 1] = 0;
  out[at + 2] = 1;
  out[at + 3] = streamId;
  out[at + 4] = packetLength >> 8;
  out[at + 5] = packetLength & 0xff;
  out[at + 6] = 0x84; // '10', not scrambled, data_alignment_indicator
  out[at + 7] = hasDts ? 0xc0 : 0x80; // PTS_DTS_flags
  out[at + 8] = hasDts ? 10 : 5; // PES_header_data_length
  writeTimestamp(out, at + 9, hasDts ? 3 : 2, pts);
  if (hasDts) writeTimestamp(out, at + 14, 1, dts);
}
