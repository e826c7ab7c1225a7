import { readFileSync } from 'node:fs';
import { readFlvFile, TAG_TYPE } from '../../dist/formats/flv/tags.js';
import { MESSAGE } from '../../dist/rtmp/message.js';

/** Frames per GOP at 30 fps. */
const GOP = 60;
const GOP_MS = 2000;
const VIDEO_BIT_RATE = 2_500_000;
/** A keyframe is this large at VIDEO_BIT_RATE, and in proportion at others. */
const KEYFRAME_BYTES = 60_000;
/** Four GOPs are 375 whole AAC frames of 1024 samples at 48 kHz: the unit repeats without a seam. */
export const UNIT_MS = 8000;
const AUDIO_FRAMES = 375;
const AUDIO_BIT_RATE = 128_000;
/** What the unit has, roughly: to tell bytes as time. */
export const UNIT_BYTES_PER_SECOND = (VIDEO_BIT_RATE + AUDIO_BIT_RATE) / 8;
/** AAC-LC, 48 kHz, stereo: with another rate the gateway would have to correct the time of the sound all the while. */
const AUDIO_CONFIGURATION = Buffer.of(0x11, 0x90);
/** Video tag body: frame type and codec, packet type, composition offset (3). Audio: format, packet type. */
const VIDEO_HEADER_SIZE = 5;
const AUDIO_HEADER_SIZE = 2;

/**
 * Eight seconds of what OBS sends: 2.5 Mb/s H.264 at 30 fps with B-frames and a 60 KB keyframe every 2 s, 128 kb/s
 * AAC. The frames are noise of the right size in valid NAL units; nothing here decodes them. Parameter sets are the
 * demo clip's.
 *
 * @param {number} [bitRate] of the video, when it should be another
 */
export function makeUnit(bitRate = VIDEO_BIT_RATE) {
  const noise = makeNoise(1 << 20);
  const messages = [];
  for (let frame = 0; frame < 4 * GOP; frame++) {
    const time = Math.round((frame * 1000) / 30);
    messages.push({ type: MESSAGE.VIDEO, time, body: videoBody(noise, frame, bitRate) });
  }
  for (let frame = 0; frame < AUDIO_FRAMES; frame++) {
    const time = Math.floor((frame * 1024) / 48);
    messages.push({ type: MESSAGE.AUDIO, time, body: audioBody(noise, frame) });
  }
  // Stable: at equal times video stays first.
  messages.sort((a, b) => a.time - b.time);
  return messages;
}

/** Bytes that arrive as frames, without the headers of the tag bodies: what the gateway counts. */
export function frameBytes(messages) {
  return messages.reduce(
    (sum, { type, body }) =>
      sum + body.length - (type === MESSAGE.VIDEO ? VIDEO_HEADER_SIZE : AUDIO_HEADER_SIZE),
    0,
  );
}

/** Payload bytes of each piece that `chunkUnit` makes of these messages, as the gateway counts them. */
export function payloadPerFrame(messages) {
  const groups = [];
  for (const message of messages) {
    if (message.type === MESSAGE.VIDEO) groups.push([message]);
    else groups.at(-1).push(message);
  }
  return groups.map(frameBytes);
}

/** Sequence headers as tag bodies; the video's is the demo clip's. */
export function sequenceHeaders() {
  const clip = readFlvFile(readFileSync(new URL('../../assets/demo.flv', import.meta.url)));
  const video = [...clip].find((tag) => tag.type === TAG_TYPE.VIDEO && tag.body[1] === 0)?.body;
  return { video, audio: Buffer.concat([Buffer.of(0xaf, 0), AUDIO_CONFIGURATION]) };
}

function videoBody(noise, frame, bitRate) {
  const inGop = frame % GOP;
  const keyframe = inGop === 0;
  const gopBytes = (bitRate / 8) * (GOP_MS / 1000);
  const keyframeBytes = Math.round((KEYFRAME_BYTES * bitRate) / VIDEO_BIT_RATE);
  const size = keyframe ? keyframeBytes : Math.round((gopBytes - keyframeBytes) / (GOP - 1));
  const body = Buffer.allocUnsafe(VIDEO_HEADER_SIZE + size);
  body[0] = keyframe ? 0x17 : 0x27;
  body[1] = 1; // NAL units
  body.writeIntBE(compositionOffset(inGop), 2, 3);
  body.writeUInt32BE(size - 4, 5);
  noise.copy(body, 9, (frame * 9973) % 500_000);
  body[9] = keyframe ? 0x65 : 0x41;
  return body;
}

/** I PBB PBB … P P in decode order, one frame of reordering delay. */
function compositionOffset(inGop) {
  const last = GOP - 2;
  if (inGop === 0 || inGop >= last) return 33;
  return inGop % 3 === 1 ? 100 : 0;
}

function audioBody(noise, frame) {
  const bytesUpTo = (count) => Math.floor((count * 1024 * AUDIO_BIT_RATE) / 48_000 / 8);
  const size = bytesUpTo(frame + 1) - bytesUpTo(frame);
  const body = Buffer.allocUnsafe(AUDIO_HEADER_SIZE + size);
  body[0] = 0xaf;
  body[1] = 1; // raw frame
  noise.copy(body, AUDIO_HEADER_SIZE, 600_000 + ((frame * 997) % 400_000));
  body[AUDIO_HEADER_SIZE] = 0x21;
  return body;
}

/** The same in every run, and free of zero bytes, so that no start code or emulation prevention appears in it. */
function makeNoise(size) {
  const noise = Buffer.allocUnsafe(size);
  let state = 0x9e3779b9;
  for (let i = 0; i < size; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    noise[i] = 4 + ((state >>> 8) % 252);
  }
  return noise;
}
