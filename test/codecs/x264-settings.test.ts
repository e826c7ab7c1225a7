import { describe, expect, it } from 'vitest';
import { readX264Settings } from '../../src/codecs/x264-settings.ts';
import { TAG_TYPE } from '../../src/formats/flv/tags.ts';
import { hex } from '../formats/amf/support.ts';
import { isKeyframe, readClip } from '../support/publish-clip.ts';
import { lengthPrefixed } from './support.ts';

const UUID = hex('dc45e9bde6d948b7962cd820d923eeef');
const IDR = Uint8Array.of(0x65, 1, 2, 3);

function sei(text: string, uuid = UUID): Buffer {
  const payload = Buffer.concat([uuid, Buffer.from(text)]);
  return Buffer.concat([Uint8Array.of(0x06, 5, Math.min(255, payload.length)), payload, Uint8Array.of(0x80)]);
}

describe('readX264Settings', () => {
  it.each([
    ['x264 - options: cabac=1 keyint_min=25 keyint=250 scenecut=40 rc=crf', { keyint: 250, sceneCut: true }],
    ['x264 - options: keyint=60 keyint_min=6 scenecut=0', { keyint: 60, sceneCut: false }],
    [
      'x264 - options: keyint=infinite keyint_min=1 scenecut=40',
      { keyint: Number.POSITIVE_INFINITY, sceneCut: true },
    ],
    ['x264 - options: keyint=48', { keyint: 48, sceneCut: false }],
    ['x264 - core 164', null],
  ])('%s', (text, expected) => {
    expect(readX264Settings(lengthPrefixed([sei(text), IDR]), 4)).toEqual(expected);
    expect(readX264Settings(lengthPrefixed([Uint8Array.of(9, 0xf0), sei(text), IDR], 2), 2)).toEqual(
      expected,
    );
  });

  it('believes nobody else', () => {
    expect(
      readX264Settings(lengthPrefixed([sei('keyint=250 scenecut=40', Buffer.alloc(16, 7)), IDR]), 4),
    ).toBeNull();
    expect(readX264Settings(lengthPrefixed([IDR]), 4)).toBeNull();
    expect(readX264Settings(lengthPrefixed([sei('keyint=250')]).subarray(0, 30), 4)).toBeNull();
    expect(readX264Settings(Buffer.alloc(0), 4)).toBeNull();
  });

  it('reads a real one', () => {
    const first = readClip('h264_aac').find(isKeyframe);
    expect(first?.type).toBe(TAG_TYPE.VIDEO);
    expect(readX264Settings(first?.body.subarray(5) ?? Buffer.alloc(0), 4)?.keyint).toBe(50);
  });
});
