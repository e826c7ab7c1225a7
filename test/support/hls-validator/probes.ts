import { randomUUID } from 'node:crypto';
import { checkNotFound, checkPreflight } from './http-checks.ts';
import type { HttpRequest, HttpResponse } from './options.ts';
import type { Problem } from './report.ts';
import { ProblemList } from './report.ts';
import type { RemovedSegment } from './variant.ts';

// Requests that a player does not need for playing this stream, but that some player or cache sends.

/** Undefined when there was no answer; whoever provides the function has reported that then. */
export type Ask = (
  method: HttpRequest['method'],
  url: string,
  headers: Record<string, string>,
) => Promise<HttpResponse | undefined>;

export async function probePlaylist(ask: Ask, url: string, known: HttpResponse): Promise<Problem[]> {
  const problems = new ProblemList();
  const plain = await ask('GET', url, { 'accept-encoding': 'identity' });
  if (plain?.status === 200 && plain.headers['content-encoding'] !== undefined) {
    problems.error(
      'H2',
      `playlist is ${plain.headers['content-encoding']} although only identity was accepted`,
    );
  }
  const head = await ask('HEAD', url, { 'accept-encoding': 'gzip' });
  if (head && head.status !== 200) problems.error('H7', `HEAD on the playlist answers ${head.status}`);
  if (head && head.body.length > 0) problems.error('H7', 'HEAD on the playlist has a body');
  const tag = known.headers.etag;
  if (tag !== undefined) {
    const conditional = await ask('GET', url, { 'accept-encoding': 'gzip', 'if-none-match': tag });
    // The playlist may have moved on in between; then the tag must have changed with it.
    const stillSame = conditional?.status === 200 && conditional.headers.etag === tag;
    if (stillSame) problems.error('H7', 'the playlist is sent again although its ETag matches');
  }
  const preflight = await ask('OPTIONS', url, {
    'access-control-request-method': 'GET',
    'access-control-request-headers': 'range',
  });
  if (preflight) checkPreflight(preflight, problems);
  return problems.all;
}

export async function probeUnknown(ask: Ask, neighbour: string, extension: string): Promise<Problem[]> {
  const problems = new ProblemList();
  const url = new URL(`./no-such-${randomUUID()}${extension}`, neighbour).href;
  const response = await ask('GET', url, { 'accept-encoding': 'gzip' });
  if (response) checkNotFound(response, problems);
  return problems.all;
}

export async function probeSegment(
  ask: Ask,
  url: string,
  known: { headers: Record<string, string>; body: Uint8Array },
): Promise<Problem[]> {
  const problems = new ProblemList();
  const size = known.body.length;
  const get = (headers: Record<string, string>) => ask('GET', url, headers);

  checkRange(await get({ range: 'bytes=0-187' }), known.body, 0, 187, problems);
  checkRange(await get({ range: `bytes=${size - 188}-` }), known.body, size - 188, size - 1, problems);
  checkRange(await get({ range: 'bytes=-188' }), known.body, size - 188, size - 1, problems);
  const beyond = await get({ range: `bytes=${size}-` });
  if (beyond && beyond.status !== 416)
    problems.error('H7', `a range beyond the end answers ${beyond.status}, not 416`);
  if (beyond?.status === 416 && beyond.headers['content-range'] !== `bytes */${size}`) {
    problems.error('H7', `416 with content-range "${beyond.headers['content-range'] ?? ''}"`);
  }
  const head = await ask('HEAD', url, {});
  if (head && (head.status !== 200 || head.body.length > 0)) {
    problems.error('H7', `HEAD on a segment answers ${head.status} with ${head.body.length} bytes`);
  }
  if (head?.status === 200 && head.headers['content-length'] !== String(size)) {
    problems.error(
      'H7',
      `HEAD announces ${head.headers['content-length'] ?? 'no length'}, the segment has ${size}`,
    );
  }
  const tag = known.headers.etag;
  if (tag === undefined) {
    problems.error('H7', 'a segment has no ETag');
  } else {
    const conditional = await get({ 'if-none-match': tag });
    if (conditional && conditional.status !== 304) {
      problems.error('H7', `a matching If-None-Match answers ${conditional.status}, not 304`);
    }
  }
  return problems.all;
}

function checkRange(
  response: HttpResponse | undefined,
  whole: Uint8Array,
  first: number,
  last: number,
  problems: ProblemList,
): void {
  if (!response) return;
  if (response.status !== 206) {
    problems.error('H7', `range ${first}-${last} answers ${response.status}, not 206`);
    return;
  }
  const expected = `bytes ${first}-${last}/${whole.length}`;
  if (response.headers['content-range'] !== expected) {
    problems.error('H7', `content-range "${response.headers['content-range'] ?? ''}", not "${expected}"`);
  }
  if (Buffer.compare(response.body, whole.subarray(first, last + 1)) !== 0) {
    problems.error('H7', `range ${first}-${last} has other bytes than the whole segment`);
  }
}

/** R1. The answer counts only if it came while the segment still had to be there. */
export function checkRemoved(
  response: HttpResponse,
  { mustLiveUntil }: RemovedSegment,
  now: number,
  problems: ProblemList,
): void {
  if (now >= mustLiveUntil || response.status === 200 || response.status === 206) return;
  const seconds = ((mustLiveUntil - now) / 1000).toFixed(1);
  problems.error('R1', `removed segment answers ${response.status}, ${seconds} s too early`);
}
