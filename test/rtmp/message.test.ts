import { describe, expect, it } from 'vitest';
import {
  acknowledgement,
  chunkStreamOf,
  command,
  setChunkSize,
  setPeerBandwidth,
  userControl,
  windowAckSize,
} from '../../src/rtmp/message.ts';
import { hex } from '../formats/amf/support.ts';

describe('control messages', () => {
  it.each([
    ['Set Chunk Size', setChunkSize(60_000), 1, '0000ea60'],
    ['Acknowledgement', acknowledgement(0x01020304), 3, '01020304'],
    ['Acknowledgement beyond 2^32', acknowledgement(2 ** 32 + 7), 3, '00000007'],
    ['ping', userControl(6, 0xffffffff), 4, '0006 ffffffff'],
    ['Stream Begin', userControl(0, 1), 4, '0000 00000001'],
    ['Window Acknowledgement Size', windowAckSize(2_500_000), 5, '002625a0'],
    ['Set Peer Bandwidth, dynamic', setPeerBandwidth(2_500_000), 6, '002625a0 02'],
  ])('%s', (_name, message, type, body) => {
    expect(message).toEqual({ type, timestamp: 0, streamId: 0, body: hex(body) });
    expect(chunkStreamOf(message)).toBe(2);
  });
});

describe('command', () => {
  it('is name, transaction id, then the values', () => {
    expect(command(1, 'ab', 2, null, true)).toEqual({
      type: 20,
      timestamp: 0,
      streamId: 1,
      body: hex('02 0002 6162  00 4000000000000000  05  01 01'),
    });
  });
});

describe('chunkStreamOf', () => {
  it.each([
    [20, 0, 3],
    [17, 0, 3],
    [20, 1, 5],
    [17, 1, 5],
    [8, 1, 4],
    [9, 1, 6],
    [18, 1, 7],
    [15, 1, 7],
    [22, 1, 2],
  ])('type %i of message stream %i goes on %i', (type, streamId, expected) => {
    expect(chunkStreamOf({ type, streamId, timestamp: 0, body: Buffer.alloc(0) })).toBe(expected);
  });
});
