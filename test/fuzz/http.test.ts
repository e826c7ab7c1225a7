import fc from 'fast-check';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HlsPackager } from '../../src/packaging/hls-packager.ts';
import { gatewayPlugin } from '../../src/servers/http/gateway-plugin.ts';
import { OPEN_ACCESS } from '../support/open-access.ts';
import { pluginOptions } from '../support/plugin-options.ts';
import { publishClip } from '../support/publish-clip.ts';
import { bytesOf } from '../support/segment-bytes.ts';

const app = Fastify();
let packager: HlsPackager;
let segment: string;
const faults: Error[] = [];

beforeAll(async () => {
  const published = await publishClip('h264_aac');
  packager = published.packager;
  segment = packager.rendition.window.segments[0]?.uri ?? '';
  await app.register(
    gatewayPlugin({
      ...pluginOptions(),
      hls: {
        find: (application, name) => (application === 'live' && name === 'test' ? [packager] : []),
        access: OPEN_ACCESS,
        onRequest: () => {},
        onWanted: () => false,
      },
      incidents: { ...pluginOptions().incidents, fault: (error) => faults.push(error) },
    }),
  );
});
afterAll(async () => {
  await app.close();
  expect(faults).toEqual([]);
});

/** Whatever is asked, the answer is one of these, and nothing of the machine shows. */
const EXPECTED = new Set([200, 206, 304, 400, 403, 404, 405, 414, 416]);

async function ask(url: string, headers: Record<string, string> = {}) {
  const response = await app.inject({ method: 'GET', url, headers });
  expect(EXPECTED).toContain(response.statusCode);
  expect(response.headers['set-cookie']).toBeUndefined();
  if (response.statusCode >= 400 && response.statusCode !== 416) {
    expect(JSON.parse(response.body)).toMatchObject({ code: expect.stringMatching(/^[A-Z_]+$/) });
    expect(response.body).not.toMatch(/node_modules|\.ts:|root:/);
  }
  return response;
}

const piece = fc.oneof(
  fc.constantFrom(
    'hls',
    'test',
    'test.m3u8',
    'media.m3u8',
    'live',
    '..',
    '.',
    '%2e%2e',
    '%2f',
    '%00',
    'api',
    'streams',
  ),
  fc.constantFrom(
    'vendor',
    'hls.min.mjs',
    'player.js',
    '~',
    '%',
    '%zz',
    '%c0%ae',
    'package.json',
    '__proto__',
  ),
  fc.string({ unit: 'binary-ascii', maxLength: 20 }).map(encodeURIComponent),
);
const path = fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('/')}`);

describe('HTTP', () => {
  it('answers any path with what is there or a JSON error', async () => {
    await fc.assert(
      fc.asyncProperty(path, async (url) => void (await ask(url))),
      { numRuns: 1000 },
    );
  });

  it('never serves a file outside its folders', async () => {
    const climbing = fc
      .array(fc.constantFrom('..', '%2e%2e', '.%2e', '%2e.', '..%2f..', '..%5c'), {
        minLength: 1,
        maxLength: 8,
      })
      .chain((up) =>
        fc.constantFrom('package.json', 'src/cli.ts', 'etc/passwd').map((file) => [...up, file].join('/')),
      );
    const from = fc.constantFrom('/', '/vendor/', '/hls/', '/hls/test/');
    await fc.assert(
      fc.asyncProperty(from, climbing, async (start, way) => {
        const response = await ask(start + way);
        expect(response.body).not.toMatch(/"sluice-live"|root:x|parseArgs/);
        expect(response.statusCode).toBeGreaterThanOrEqual(400);
      }),
      { numRuns: 300 },
    );
  });

  it('takes any Range, If-None-Match and Accept-Encoding', async () => {
    const bytes = await bytesOf(packager.segment(segment));
    const size = bytes?.length ?? 0;
    expect(size).toBeGreaterThan(0);
    const number = fc.oneof(
      fc.constant(''),
      fc.nat({ max: 2 * size }).map(String),
      fc.string({ unit: 'grapheme-ascii', maxLength: 6 }),
    );
    const range = fc.oneof(
      fc.tuple(number, number).map(([from, to]) => `bytes=${from}-${to}`),
      fc.string({ unit: 'grapheme-ascii', maxLength: 30 }),
    );
    await fc.assert(
      fc.asyncProperty(range, fc.string({ unit: 'grapheme-ascii', maxLength: 30 }), async (value, other) => {
        const response = await ask(`/hls/test/${segment}`, { range: value, 'if-none-match': other });
        if (response.statusCode === 206) {
          const [, first, last] =
            /^bytes (\d+)-(\d+)\/\d+$/.exec(response.headers['content-range'] ?? '') ?? [];
          const expected = bytes?.subarray(Number(first), Number(last) + 1) ?? new Uint8Array();
          expect(response.rawPayload.equals(expected)).toBe(true);
        }
        await ask('/hls/test.m3u8', { 'accept-encoding': value, 'if-none-match': other });
      }),
      { numRuns: 300 },
    );
  });
});
