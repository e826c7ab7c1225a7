import { SluiceError } from '../../media/errors.ts';

/** What audio and video headers of Enhanced RTMP v2 have in common: the ModEx chain and the multitrack wrapper. */

const MOD_EX_TIMESTAMP_NANOS = 0;
const MULTITRACK = { ONE_TRACK: 0, MANY_TRACKS: 1, MANY_TRACKS_MANY_CODECS: 2 } as const;

function cutShort(): never {
  throw new SluiceError('SLUICE_FLV_MALFORMED', 'Enhanced RTMP header is cut short');
}

export function readModEx(
  body: Buffer,
  start: number,
  firstType: number,
  modExType: number,
): { packetType: number; nanoseconds: number; position: number } {
  let packetType = firstType;
  let nanoseconds = 0;
  let position = start;
  while (packetType === modExType) {
    // modExDataSize - 1 u8 (255: u16 follows)  modExData  then modExType(4) packetType(4)
    let size = (body[position++] ?? cutShort()) + 1;
    if (size === 256) {
      if (position + 2 > body.length) cutShort();
      size = body.readUInt16BE(position) + 1;
      position += 2;
    }
    const data = position;
    position += size;
    const next = body[position++] ?? cutShort();
    if (next >> 4 === MOD_EX_TIMESTAMP_NANOS && size >= 3)
      nanoseconds = Math.min(body.readUIntBE(data, 3), 999_999);
    packetType = next & 0x0f;
  }
  return { packetType, nanoseconds, position };
}

/**
 * Calls `visit` once for a plain packet (track 0), or once per track of a multitrack packet.
 * Track numbers are any u8 in any order; they say nothing about quality.
 */
export function forEachTrack(
  body: Buffer,
  start: number,
  packetType: number,
  multitrackType: number,
  visit: (packetType: number, fourCc: string, trackNumber: number, payload: Buffer) => void,
): void {
  let position = start;
  const readFourCc = (): string => {
    if (position + 4 > body.length) cutShort();
    position += 4;
    return body.toString('latin1', position - 4, position);
  };
  if (packetType !== multitrackType) {
    const fourCc = readFourCc();
    visit(packetType, fourCc, 0, body.subarray(position));
    return;
  }
  // multitrackType(4) packetType(4), then fourCc unless per track, then per track: [fourCc] trackId u8 [size u24] payload
  const wrapper = body[position++] ?? cutShort();
  const kind = wrapper >> 4;
  const realType = wrapper & 0x0f;
  if (realType === multitrackType || kind > MULTITRACK.MANY_TRACKS_MANY_CODECS) return;
  const seen = new Set<number>();
  let fourCc = kind === MULTITRACK.MANY_TRACKS_MANY_CODECS ? '' : readFourCc();
  do {
    if (kind === MULTITRACK.MANY_TRACKS_MANY_CODECS) fourCc = readFourCc();
    const trackNumber = body[position++] ?? cutShort();
    // A frame of each track at most, or a message of empty parts would cost far more than it is long.
    if (seen.has(trackNumber))
      throw new SluiceError('SLUICE_FLV_MALFORMED', `track ${trackNumber} twice in a message`);
    seen.add(trackNumber);
    let end = body.length;
    if (kind !== MULTITRACK.ONE_TRACK) {
      if (position + 3 > body.length) cutShort();
      end = position + 3 + body.readUIntBE(position, 3);
      position += 3;
      if (end > body.length) cutShort();
    }
    visit(realType, fourCc, trackNumber, body.subarray(position, end));
    position = end;
  } while (position < body.length);
}
