import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type InterleavedPacket, Interleaver } from '../../src/media/interleaver.ts';
import { ticksFromMs } from '../../src/media/time.ts';
import { audioTrack, videoTrack } from './support.ts';

const VIDEO = videoTrack();
const AUDIO = audioTrack();

function packet(track: typeof VIDEO | typeof AUDIO, ms: number) {
  const dts = ticksFromMs(ms);
  return { track, dts, pts: dts, keyframe: true, data: new Uint8Array(1) };
}

function rig() {
  const out: InterleavedPacket[] = [];
  const interleaver = new Interleaver((item) => out.push(item));
  return { interleaver, out, order: () => out.map(({ packet: p }) => `${p.track.kind[0]}${p.dts / 90}`) };
}

describe('Interleaver', () => {
  it('merges by decode time, video first where both are equal', () => {
    const { interleaver, order } = rig();
    for (const [track, ms] of [
      [AUDIO, 0],
      [VIDEO, 0],
      [VIDEO, 40],
      [AUDIO, 21],
      [AUDIO, 43],
      [VIDEO, 80],
    ] as const) {
      interleaver.push(packet(track, ms), false);
    }
    interleaver.flush();
    expect(order()).toEqual(['a0', 'v0', 'a21', 'v40', 'a43', 'v80']);
  });

  it('holds a bounded number of bytes when time stands still', () => {
    const { interleaver, out } = rig();
    interleaver.push(packet(AUDIO, 0), false);
    interleaver.push(packet(VIDEO, 0), false);
    const large = { ...packet(VIDEO, 0), data: new Uint8Array(1024 * 1024) };
    for (let n = 1; n <= 40; n++) interleaver.push({ ...large, dts: n, pts: n }, false);
    expect(out.length).toBeGreaterThan(24);
    const tiny = rig();
    tiny.interleaver.push(packet(AUDIO, 0), false);
    for (let n = 0; n < 100_000; n++)
      tiny.interleaver.push({ ...packet(VIDEO, 0), dts: n / 10, pts: n / 10 }, false);
    expect(tiny.out.length).toBeGreaterThan(60_000);
  });

  it('waits a second for a silent track, once', () => {
    const { interleaver, order } = rig();
    interleaver.push(packet(AUDIO, 0), false);
    for (let ms = 0; ms <= 960; ms += 40) interleaver.push(packet(VIDEO, ms), false);
    expect(order()).toEqual(['a0']);
    interleaver.push(packet(VIDEO, 1040), false);
    expect(order().at(-1)).toBe('v1040');
    interleaver.push(packet(VIDEO, 1100), false);
    expect(order().at(-1)).toBe('v1100');
    // It is waited for again as soon as it is back.
    interleaver.push(packet(AUDIO, 1110), false);
    interleaver.push(packet(VIDEO, 1140), false);
    expect(order().slice(-1)).toEqual(['a1110']);
  });

  it('learns to wait for a track that keeps coming two seconds late', () => {
    const { interleaver, out } = rig();
    for (let ms = 0; ms < 20_000; ms += 20) {
      interleaver.push(packet(VIDEO, ms), false);
      interleaver.push(packet(AUDIO, ms - 2000), false);
    }
    interleaver.flush();
    const settled = out.filter(({ packet: p }) => p.dts >= ticksFromMs(3000)).map(({ packet: p }) => p.dts);
    expect(settled.length).toBeGreaterThan(1500);
    expect(settled).toEqual([...settled].sort((a, b) => a - b));
  });

  it('never holds more than three seconds', () => {
    const { interleaver, out } = rig();
    interleaver.push(packet(VIDEO, 60_000), false);
    interleaver.push(packet(AUDIO, 0), false);
    for (let ms = 60_000; ms <= 63_100; ms += 20) interleaver.push(packet(VIDEO, ms + 20), false);
    expect(out.length).toBeGreaterThan(150);
  });

  it('loses nothing, keeps each track in order, and sorts what arrives within its patience', () => {
    const arrival = fc.array(fc.record({ audio: fc.boolean(), step: fc.nat(60), skew: fc.nat(400) }), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(arrival, (steps) => {
        const { interleaver, out } = rig();
        let ms = 0;
        const last = { audio: -1, video: -1 };
        let count = 0;
        for (const { audio, step, skew } of steps) {
          ms += step;
          const kind = audio ? 'audio' : 'video';
          last[kind] = Math.max(last[kind] + 1, ms - skew);
          interleaver.push(packet(audio ? AUDIO : VIDEO, last[kind]), false);
          count++;
        }
        interleaver.flush();
        expect(out).toHaveLength(count);
        for (const track of [AUDIO, VIDEO]) {
          const times = out.filter(({ packet: p }) => p.track === track).map(({ packet: p }) => p.dts);
          expect(times).toEqual([...times].sort((a, b) => a - b));
        }
      }),
    );
  });

  it('passes the jump mark on with its packet', () => {
    const { interleaver, out } = rig();
    interleaver.push(packet(VIDEO, 0), false);
    interleaver.push(packet(VIDEO, 40), true);
    expect(out.map(({ jumped }) => jumped)).toEqual([false, true]);
  });
});
