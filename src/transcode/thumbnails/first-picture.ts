const PACKET_BYTES = 188;
const SYNC_BYTE = 0x47;
const PES_HEADER_BYTES = 9;
/** stream_id of video: 0xE0 … 0xEF. */
const VIDEO_STREAM_ID = 0xe0;

/**
 * The first access unit of the video in MPEG-TS, as it stands there (H.264: Annex B with its parameter sets); null when
 * there is none. A segment is read no further than this: of a long one it is the smallest part.
 */
export function firstPicture(segment: Uint8Array): Uint8Array | null {
  let pid: number | null = null;
  const parts: Uint8Array[] = [];
  for (let at = 0; at + PACKET_BYTES <= segment.length; at += PACKET_BYTES) {
    const packet = segment.subarray(at, at + PACKET_BYTES);
    if (packet[0] !== SYNC_BYTE) return null;
    const packetPid = ((byteAt(packet, 1) & 0x1f) << 8) | byteAt(packet, 2);
    if (pid !== null && packetPid !== pid) continue;
    const begins = (byteAt(packet, 1) & 0x40) !== 0;
    const payload = payloadOf(packet);
    if (pid === null) {
      if (!begins || !beginsVideo(payload)) continue;
      pid = packetPid;
      parts.push(payload.subarray(PES_HEADER_BYTES + byteAt(payload, 8)));
    } else if (begins) {
      break;
    } else {
      parts.push(payload);
    }
  }
  return parts.length === 0 ? null : Buffer.concat(parts);
}

function payloadOf(packet: Uint8Array): Uint8Array {
  const control = byteAt(packet, 3) >> 4;
  if ((control & 1) === 0) return packet.subarray(0, 0);
  return packet.subarray((control & 2) === 0 ? 4 : 5 + byteAt(packet, 4));
}

function beginsVideo(payload: Uint8Array): boolean {
  const startCode = payload[0] === 0 && payload[1] === 0 && payload[2] === 1;
  return startCode && payload.length >= PES_HEADER_BYTES && (byteAt(payload, 3) & 0xf0) === VIDEO_STREAM_ID;
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}
