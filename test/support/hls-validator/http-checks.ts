import { gunzipSync } from 'node:zlib';
import type { Playlist } from './m3u8.ts';
import { parsePlaylist } from './m3u8.ts';
import type { HttpResponse } from './options.ts';
import type { Problem } from './report.ts';
import { ProblemList } from './report.ts';

/** Every request claims to come from a page of this origin, so that the answers show whether such a page may read them. */
export const origin = 'https://player.example';
const playlistTypes = ['application/vnd.apple.mpegurl', 'audio/mpegurl'];

export function readPlaylist(
  response: HttpResponse,
  url: string,
  publisherAway: boolean,
): { playlist: Playlist | undefined; problems: Problem[] } {
  const problems = new ProblemList();
  if (!checkStatus(response, problems)) {
    // A gateway may take the stream down when its publisher does not come back.
    const reportable = problems.all.filter(({ check }) => check !== 'R2' || !publisherAway);
    return { playlist: undefined, problems: reportable };
  }
  checkCors(response, problems);
  checkContentType(response, playlistTypes, problems);
  const body = decodePlaylist(response, problems);
  if (!body) return { playlist: undefined, problems: problems.all };
  const playlist = parsePlaylist(body);
  const ended = playlist.kind === 'media' && playlist.endList;
  const target = playlist.kind === 'media' ? playlist.targetDuration : undefined;
  if (!ended) checkPlaylistCaching(response, playlist, problems);
  if (!ended && !publisherAway && target !== undefined) checkAge(response, target, problems);
  const unusable = urisOf(playlist).filter((uri) => !URL.canParse(uri, url));
  for (const uri of unusable) problems.error('P1', `"${uri}" is not a URI`);
  return {
    playlist: unusable.length > 0 ? undefined : playlist,
    problems: [...problems.all, ...playlist.problems],
  };
}

/** The media of the segment, undefined if there is none. It must be cacheable for as long as it may be asked for. */
export function readSegment(
  response: HttpResponse,
  window: number,
  problems: ProblemList,
): Uint8Array | undefined {
  if (!checkStatus(response, problems)) return undefined;
  checkCors(response, problems);
  checkContentType(response, ['video/mp2t'], problems);
  checkSegmentCaching(response, window, problems);
  return decodeSegment(response, problems);
}

function urisOf(playlist: Playlist): string[] {
  return (playlist.kind === 'media' ? playlist.segments : playlist.variants).map(({ uri }) => uri);
}

function checkStatus(response: HttpResponse, problems: ProblemList): boolean {
  if (response.status >= 300 && response.status < 400) {
    problems.error('H4', `redirected with ${response.status} to ${response.headers.location ?? 'nowhere'}`);
  } else if (response.status !== 200) {
    problems.error('R2', `answers ${response.status} although it is listed`);
  }
  return response.status === 200;
}

function checkContentType(response: HttpResponse, allowed: readonly string[], problems: ProblemList): void {
  const type = (response.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (!allowed.includes(type)) problems.error('H1', `content type "${type}", not ${allowed.join(' or ')}`);
}

function hasToken(header: string | undefined, token: string): boolean {
  return (header ?? '')
    .toLowerCase()
    .split(',')
    .some((part) => part.trim() === token);
}

function corsProblem(response: HttpResponse): string | undefined {
  const allowed = response.headers['access-control-allow-origin'];
  if (allowed === undefined) return 'no Access-Control-Allow-Origin';
  if (allowed === '*') return undefined;
  if (allowed !== origin) return `Access-Control-Allow-Origin is "${allowed}"`;
  return hasToken(response.headers.vary, 'origin') ? undefined : 'the origin is echoed without Vary: Origin';
}

function checkCors(response: HttpResponse, problems: ProblemList): void {
  const problem = corsProblem(response);
  if (problem !== undefined) problems.error('H3', problem);
}

export function checkPreflight(response: HttpResponse, problems: ProblemList): void {
  if (response.status !== 200 && response.status !== 204) {
    problems.error('H3', `preflight answers ${response.status}`);
    return;
  }
  const problem = corsProblem(response);
  if (problem !== undefined) problems.error('H3', `preflight: ${problem}`);
  const headers = response.headers['access-control-allow-headers'];
  if (headers !== '*' && !hasToken(headers, 'range'))
    problems.error('H3', 'preflight does not allow the Range header');
}

function decodePlaylist(response: HttpResponse, problems: ProblemList): Uint8Array | undefined {
  const encoding = response.headers['content-encoding'];
  if (encoding !== 'gzip') {
    problems.error('H2', `playlist encoding is ${encoding ?? 'identity'} although gzip was accepted`);
    return response.body;
  }
  if (!hasToken(response.headers.vary, 'accept-encoding')) {
    problems.error('H2', 'a compressed playlist lacks Vary: Accept-Encoding');
  }
  try {
    return gunzipSync(response.body);
  } catch {
    problems.error('H2', 'the compressed playlist cannot be decompressed');
    return undefined;
  }
}

function decodeSegment(response: HttpResponse, problems: ProblemList): Uint8Array {
  const encoding = response.headers['content-encoding'];
  if (encoding === undefined || encoding === 'identity') return response.body;
  problems.error('H2', `a segment is sent with encoding ${encoding}`);
  if (encoding !== 'gzip') return response.body;
  try {
    return gunzipSync(response.body);
  } catch {
    return response.body;
  }
}

function maximumAge(response: HttpResponse): number | undefined {
  const match = /max-age=(\d+)/i.exec(response.headers['cache-control'] ?? '');
  return match ? Number(match[1]) : undefined;
}

function isUncached(response: HttpResponse): boolean {
  const control = response.headers['cache-control'];
  return hasToken(control, 'no-cache') || hasToken(control, 'no-store') || maximumAge(response) === 0;
}

function checkPlaylistCaching(response: HttpResponse, playlist: Playlist, problems: ProblemList): void {
  // The multivariant playlist hardly changes, so half a minute does no harm; a media playlist ages within one segment.
  const limit = playlist.kind === 'media' ? (playlist.targetDuration ?? 1) : 30;
  const age = maximumAge(response);
  if (hasToken(response.headers['cache-control'], 'immutable')) {
    problems.error('H6', 'a live playlist is marked immutable');
  } else if (!isUncached(response) && (age === undefined || age > limit)) {
    problems.error('H6', `a live playlist has cache-control "${response.headers['cache-control'] ?? ''}"`);
  }
}

function checkSegmentCaching(response: HttpResponse, window: number, problems: ProblemList): void {
  const age = maximumAge(response);
  if (!hasToken(response.headers['cache-control'], 'immutable') || age === undefined || age < window) {
    problems.error('H6', `a segment has cache-control "${response.headers['cache-control'] ?? ''}"`);
  }
}

function checkAge(response: HttpResponse, targetDuration: number, problems: ProblemList): void {
  const modified = Date.parse(response.headers['last-modified'] ?? '');
  const date = Date.parse(response.headers.date ?? '');
  // Both headers have whole seconds, hence the extra second.
  if (date - modified > (3 * targetDuration + 1) * 1000) {
    problems.error('H6', `Last-Modified is ${(date - modified) / 1000} s older than Date`);
  }
}

export function checkNotFound(response: HttpResponse, problems: ProblemList): void {
  if (response.status !== 404) {
    problems.error('H5', `an unknown name answers ${response.status}, not 404`);
    return;
  }
  if (corsProblem(response) !== undefined)
    problems.warning('H3', 'a 404 cannot be read by a page of another origin');
  const age = maximumAge(response) ?? 0;
  if (hasToken(response.headers['cache-control'], 'immutable') || age > 60) {
    problems.error('H6', `a 404 has cache-control "${response.headers['cache-control'] ?? ''}"`);
  }
  let code: unknown;
  try {
    const encoded = response.headers['content-encoding'] === 'gzip';
    const body = encoded ? gunzipSync(response.body) : response.body;
    const value: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    if (typeof value === 'object' && value !== null && 'code' in value) code = value.code;
  } catch {
    code = undefined;
  }
  if (!/^application\/(problem\+)?json/i.test(response.headers['content-type'] ?? '')) {
    problems.error('H5', `a 404 has content type "${response.headers['content-type'] ?? ''}", not JSON`);
  } else if (typeof code !== 'string' || code === '') {
    problems.error('H5', 'a 404 has no code');
  }
}
