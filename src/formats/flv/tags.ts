import { SluiceError } from '../../media/errors.ts';

/** FLV tag types, which are also the RTMP message types of the same content. */
export const TAG_TYPE = { AUDIO: 8, VIDEO: 9, DATA: 18 } as const;

export interface FlvTag {
  readonly type: number;
  /** Unsigned 32-bit milliseconds. */
  readonly timestamp: number;
  readonly body: Buffer;
}

const FILE_HEADER_SIZE = 9;
const TAG_HEADER_SIZE = 11;

/**
 * Splits a run of FLV tags: the content of a file after its header, or of an RTMP aggregate message.
 * The last PreviousTagSize may be missing, as it is in aggregates of some servers.
 *
 * @throws SluiceError SLUICE_FLV_MALFORMED when a tag is cut short
 */
export function* readTags(bytes: Buffer, start = 0): Generator<FlvTag> {
  //  0 type  1 dataSize(3)  4 timestamp(3)  7 timestampExtended, the upper 8 bits  8 streamId(3)  11 data  PreviousTagSize(4)
  let position = start;
  while (position < bytes.length) {
    const bodyStart = position + TAG_HEADER_SIZE;
    if (bodyStart > bytes.length)
      throw new SluiceError('SLUICE_FLV_MALFORMED', 'FLV tag header is cut short');
    const bodyEnd = bodyStart + bytes.readUIntBE(position + 1, 3);
    if (bodyEnd > bytes.length) throw new SluiceError('SLUICE_FLV_MALFORMED', 'FLV tag is cut short');
    yield {
      type: bytes.readUInt8(position) & 0x1f,
      timestamp: bytes.readUIntBE(position + 4, 3) + bytes.readUInt8(position + 7) * 0x1000000,
      body: bytes.subarray(bodyStart, bodyEnd),
    };
    position = bodyEnd + 4;
  }
}

/** Reads the tags of an FLV file. @throws SluiceError SLUICE_FLV_MALFORMED */
export function* readFlvFile(file: Buffer): Generator<FlvTag> {
  if (file.length < FILE_HEADER_SIZE + 4 || file.toString('latin1', 0, 3) !== 'FLV') {
    throw new SluiceError('SLUICE_FLV_MALFORMED', 'not an FLV file');
  }
  yield* readTags(file, file.readUInt32BE(5) + 4);
}
