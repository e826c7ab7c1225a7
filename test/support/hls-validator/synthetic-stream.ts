import { describe, expect, it } from 'vitest';
import type { HttpResponse, ValidatorOptions } from './options.ts';
import type { Tamper } from './synthetic-gateway.ts';
import { entry, Gateway } from './synthetic-gateway.ts';
import type { SegmentOptions } from './synthetic-ts.ts';
import { HlsValidator } from './validator.ts';

// A tiny correct stream is made in memory and broken in one place per test. Each break must be found by its own
// check and by no other: a check that cannot fail proves nothing, and one that fires along with others misleads.

export const usualSteps = 9;

export async function watchStream(tamper: Tamper, options: ValidatorOptions = {}): Promise<HlsValidator> {
  const gateway = new Gateway(tamper);
  const validator = new HlsValidator(entry, {
    request: gateway.request,
    now: () => gateway.clock,
    ...options,
  });
  for (gateway.step = 0; gateway.step < (tamper.steps ?? usualSteps); gateway.step += 1) {
    const wait = gateway.publish();
    await validator.poll();
    gateway.clock += wait;
  }
  return validator;
}

export function checksOf(validator: HlsValidator): string[] {
  return [...new Set(validator.findings.map((finding) => finding.check))].toSorted();
}

export const at = (wanted: number, options: SegmentOptions) => (step: number) =>
  step === wanted ? options : {};
export const shiftNumber = (text: string, tag: string, by: number) =>
  text.replace(new RegExp(`${tag}:(\\d+)`), (_, digits: string) => `${tag}:${Number(digits) + by}`);
export const withHeader = (response: HttpResponse, name: string, value: string | undefined): HttpResponse => {
  const { [name]: _, ...rest } = response.headers;
  return { ...response, headers: value === undefined ? rest : { ...rest, [name]: value } };
};
export const isSegment = (path: string) => path.endsWith('.ts') && !path.includes('no-such');
export const isPlaylist = (path: string) => path.endsWith('.m3u8') && !path.includes('no-such');
export const secondVariant = (text: string) =>
  `${text}${text.split('\n').find((line) => line.includes('STREAM-INF:'))}\nlow/video.m3u8\n`;

/** Eight seconds without a new segment, looked at every half second. */
export async function stall(announced: boolean) {
  const gateway = new Gateway({});
  const validator = new HlsValidator(entry, { request: gateway.request, now: () => gateway.clock });
  gateway.publish();
  await validator.poll();
  validator.publisherAway(announced);
  for (let poll = 0; poll < 16; poll += 1) {
    gateway.clock += 500;
    await validator.poll();
  }
  return { validator, gateway };
}

/** `says` is for breaks that a neighbouring condition of the same check would find too. */
type Break = Tamper & { name: string; finds: string | string[]; says?: string };

export function describeBreaks(title: string, breaks: readonly Break[]): void {
  describe(title, () => {
    for (const { name, finds, says = '', ...tamper } of breaks) {
      it(`${finds}: ${name}`, async () => {
        const validator = await watchStream(tamper);
        expect(checksOf(validator), validator.summary().text).toEqual([finds].flat());
        expect(validator.summary().text).toContain(says);
      });
    }
  });
}

export const insertAfterHead = (line: string) => (text: string) =>
  text.replace('#EXTM3U\n', `#EXTM3U\n${line}\n`);
