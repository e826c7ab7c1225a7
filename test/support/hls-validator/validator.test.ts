import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { HttpResponse } from './options.ts';
import type { Tamper } from './synthetic-gateway.ts';
import { base, entry, Gateway } from './synthetic-gateway.ts';
import { at, checksOf, secondVariant, stall, usualSteps, watchStream } from './synthetic-stream.ts';
import { mp3 } from './synthetic-ts.ts';
import { formatFindings, HlsValidator } from './validator.ts';

describe('a correct stream has no findings', () => {
  const audioOnly = (text: string) =>
    text.replace('avc1.42c01e,', '').replace(',RESOLUTION=320x180,FRAME-RATE=25.000', '');
  const halfRate = (text: string) =>
    text + secondVariant(text).slice(text.length).replace('25.000', '12.500');
  const correct: Record<string, Tamper> = {
    'with a sliding window': {},
    'with a timestamp wrap in the middle': { startTicks: 2 ** 33 - 500_000 },
    'with a reconnect that slides out of the window': {
      segment: at(2, { discontinuity: true, jumpTicks: 5_000_000, resetCounters: true }),
    },
    'with a single picture before a reconnect': {
      segment: (step) => (step === 4 ? { frames: 1 } : { discontinuity: step === 5 }),
    },
    'with a wider window': { window: 8 },
    'with segments of unequal length': {
      segment: (step) => ({ frames: 45 + (step % 3) * 5 }),
    },
    'with a very short end and timestamps in milliseconds': {
      segment: (step) =>
        step === usualSteps - 1 ? { frames: 3, dts: (dts, frame) => (frame === 2 ? dts - 90 : dts) } : {},
    },
    'with video only': {
      segment: () => ({ audio: undefined }),
      multivariant: (text) => text.replace(',mp4a.40.2', ''),
    },
    'with audio only': { segment: () => ({ video: false }), multivariant: audioOnly },
    'with MP3': {
      segment: () => ({ audio: mp3 }),
      multivariant: (text) => text.replace('mp4a.40.2', 'mp4a.40.34'),
    },
    'with HE-AAC, which ADTS cannot show': { multivariant: (text) => text.replace('mp4a.40.2', 'mp4a.40.5') },
    'with an end': { media: (text, step) => (step === usualSteps - 1 ? `${text}#EXT-X-ENDLIST\n` : text) },
    'with two variants': { multivariant: secondVariant },
    'with a rung of half the frame rate that starts later and is two segments behind': {
      multivariant: (text, step) => (step < 5 ? text : halfRate(text)),
      rungs: { low: { from: 3, lag: 2, segment: () => ({ frameDivisor: 2, timeScale: 25 }) } },
    },
    'with a rung, an odd number of pictures, a reconnect and a timestamp wrap': {
      startTicks: 2 ** 33 - 500_000,
      segment: (step) =>
        step === 4 ? { discontinuity: true, jumpTicks: 5_000_000, resetCounters: true } : { frames: 49 },
      multivariant: halfRate,
      rungs: { low: { segment: () => ({ frameDivisor: 2, timeScale: 25 }) } },
    },
    'with a rung of sound alone, which begins some frames later than the pictures': {
      segment: at(0, { dropAudioGroup: 'first' }),
      multivariant: (text) => text + audioOnly(secondVariant(text).slice(text.length)),
      rungs: { low: { segment: () => ({ video: false }) } },
    },
    'with a rung of sound alone': {
      multivariant: (text) => text + audioOnly(secondVariant(text).slice(text.length)),
      rungs: { low: { segment: () => ({ video: false }) } },
    },
    'with unknown tags and comments': { media: (text) => `${text}#EXT-X-NEWS:yes\n# a comment\n` },
    'with pictures that are not independent, when that is not declared': {
      segment: (step) => ({ keyframe: step === 0 }),
      multivariant: (text) => text.replace('#EXT-X-INDEPENDENT-SEGMENTS\n', ''),
    },
  };

  for (const [name, tamper] of Object.entries(correct)) {
    it(name, async () => {
      const validator = await watchStream(tamper);
      expect(formatFindings(validator.findings)).toBe('');
      expect(validator.summary().variants[0]?.segments).toBe(usualSteps);
    });
  }

  it('while the publisher is announced to be away', async () => {
    const { validator, gateway } = await stall(true);
    validator.publisherAway(false);
    gateway.publish();
    await validator.poll();
    expect(checksOf(validator)).toEqual([]);
  });
});

describe('the validator', () => {
  it('sees encodings and redirects through a real server', async () => {
    const gateway = new Gateway({});
    gateway.publish();
    const server = createServer((request, response) => {
      const headers = Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
      );
      const method = request.method === 'HEAD' || request.method === 'OPTIONS' ? request.method : 'GET';
      void gateway.request(`${base}${request.url}`, { method, headers }).then((answer) => {
        response.writeHead(answer.status, answer.headers).end(answer.body);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const validator = new HlsValidator(`http://127.0.0.1:${port}/live/camera/index.m3u8`);
    await validator.poll();
    await new Promise((resolve) => server.close(resolve));
    expect(formatFindings(validator.findings)).toBe('');
    expect(validator.summary().variants[0]?.segments).toBe(1);

    await validator.poll();
    expect(checksOf(validator)).toEqual(['R2']);
  });

  it('watches until told to stop', async () => {
    const gateway = new Gateway({ media: (text, step) => (step === 4 ? `${text}#EXT-X-ENDLIST\n` : text) });
    const abort = new AbortController();
    const sleep = async (milliseconds: number) => {
      gateway.clock += milliseconds;
      gateway.step += 1;
      if (gateway.step < 5) gateway.publish();
      if (gateway.step === 4) abort.abort();
    };
    gateway.publish();
    const validator = new HlsValidator(entry, { request: gateway.request, now: () => gateway.clock, sleep });
    await expect(validator.watch({ until: abort.signal, intervalMs: 2000 })).resolves.toEqual([]);
    expect(validator.summary()).toMatchObject({ polls: 5, errors: 0, warnings: 0 });
  });

  it('reports only what is new and keeps silent about ignored checks', async () => {
    const tamper: Tamper = { window: 5, multivariant: (text) => text.replace('320x180', '320x192') };
    const validator = await watchStream(tamper, { ignore: ['P6'] });
    expect(validator.errors.map((finding) => finding.check)).toEqual(['V2']);
    expect(validator.summary().checks).toEqual({ V2: 1 });
    expect(await validator.poll()).toEqual([]);
  });

  it('accepts that the stream is taken down while its publisher is away, and only then', async () => {
    const gone: HttpResponse = { status: 404, headers: {}, body: Buffer.alloc(0) };
    const gateway = new Gateway({ response: (response, _, __, step) => (step === 0 ? response : gone) });
    gateway.publish();
    const validator = new HlsValidator(entry, { request: gateway.request, now: () => gateway.clock });
    await validator.poll();
    gateway.step = 1;
    validator.publisherAway(true);
    expect(await validator.poll()).toEqual([]);
    validator.publisherAway(false);
    await validator.poll();
    expect(checksOf(validator)).toEqual(['R2']);
  });

  it('watches a media playlist without a multivariant one', async () => {
    const gateway = new Gateway({});
    gateway.publish();
    const validator = new HlsValidator(`${base}/live/camera/video.m3u8`, { request: gateway.request });
    expect(await validator.poll()).toEqual([]);
  });
});
