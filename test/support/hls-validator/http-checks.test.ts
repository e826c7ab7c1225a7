import { gunzipSync, gzipSync } from 'node:zlib';
import type { HttpResponse } from './options.ts';
import type { Tamper } from './synthetic-gateway.ts';
import { base } from './synthetic-gateway.ts';
import { describeBreaks, isPlaylist, isSegment, withHeader } from './synthetic-stream.ts';

const changeHeader = (
  wanted: (path: string) => boolean,
  name: string,
  value: string | undefined,
): Tamper => ({
  response: (response, path) =>
    wanted(path) && response.status === 200 ? withHeader(response, name, value) : response,
});
const redirected: HttpResponse = {
  status: 302,
  headers: { location: 'https://elsewhere.test/' },
  body: Buffer.alloc(0),
};
const isUnknown = (path: string) => path.includes('no-such');

describeBreaks('HTTP', [
  {
    name: 'broken compression',
    finds: 'H2',
    response: (response, path) =>
      path.endsWith('video.m3u8') ? { ...response, body: response.body.subarray(0, 30) } : response,
  },
  {
    name: 'no CORS on the preflight',
    finds: 'H3',
    response: (response, _, { method }) =>
      method === 'OPTIONS' ? withHeader(response, 'access-control-allow-origin', undefined) : response,
  },
  {
    name: 'HEAD with a body',
    finds: 'H7',
    response: (response, path, { method }) =>
      method === 'HEAD' && isPlaylist(path) ? { ...response, body: Buffer.from('x') } : response,
  },
  { name: 'type of a playlist', finds: 'H1', ...changeHeader(isPlaylist, 'content-type', 'text/plain') },
  {
    name: 'type of a segment',
    finds: 'H1',
    ...changeHeader(isSegment, 'content-type', 'application/octet-stream'),
  },
  {
    name: 'playlist not compressed',
    finds: 'H2',
    says: 'although gzip was accepted',
    response: (response, path) =>
      isPlaylist(path) && response.body.length > 0 && response.headers['content-encoding'] === 'gzip'
        ? { ...withHeader(response, 'content-encoding', undefined), body: gunzipSync(response.body) }
        : response,
  },
  {
    name: 'playlist compressed for a client that cannot read it',
    finds: 'H2',
    response: (response, path, request) =>
      isPlaylist(path) && request.headers['accept-encoding'] === 'identity' && response.status === 200
        ? { ...withHeader(response, 'content-encoding', 'gzip'), body: gzipSync(response.body) }
        : response,
  },
  { name: 'no Vary', finds: 'H2', ...changeHeader(isPlaylist, 'vary', undefined) },
  {
    name: 'segment compressed',
    finds: 'H2',
    response: (response, path, request) =>
      isSegment(path) && response.status === 200 && request.headers['accept-encoding'] === 'gzip'
        ? { ...withHeader(response, 'content-encoding', 'gzip'), body: gzipSync(response.body) }
        : response,
  },
  {
    name: 'no CORS on playlists',
    finds: 'H3',
    ...changeHeader(isPlaylist, 'access-control-allow-origin', undefined),
  },
  {
    name: 'no CORS on segments',
    finds: 'H3',
    ...changeHeader(isSegment, 'access-control-allow-origin', undefined),
  },
  {
    name: 'CORS for somebody else',
    finds: 'H3',
    ...changeHeader(isSegment, 'access-control-allow-origin', base),
  },
  {
    name: 'echoed origin without Vary',
    finds: 'H3',
    ...changeHeader(isSegment, 'access-control-allow-origin', 'https://player.example'),
  },
  {
    name: 'preflight refused',
    finds: 'H3',
    response: (response, _, { method }) => (method === 'OPTIONS' ? { ...response, status: 405 } : response),
  },
  {
    name: 'preflight without Range',
    finds: 'H3',
    response: (response, _, { method }) =>
      method === 'OPTIONS' ? withHeader(response, 'access-control-allow-headers', undefined) : response,
  },
  {
    name: 'no CORS on a 404',
    finds: 'H3',
    response: (response, path) =>
      isUnknown(path) ? withHeader(response, 'access-control-allow-origin', undefined) : response,
  },
  {
    name: 'multivariant playlist redirected',
    finds: 'H4',
    response: (response, path) => (path.endsWith('index.m3u8') ? redirected : response),
  },
  {
    name: 'segment redirected',
    finds: 'H4',
    response: (response, path) => (path.endsWith('segment-7.ts') ? redirected : response),
  },
  {
    name: 'unknown playlist answers 200',
    finds: 'H5',
    response: (response, path) =>
      isUnknown(path) && path.endsWith('.m3u8') ? { ...response, status: 200 } : response,
  },
  {
    name: 'unknown segment answers 200',
    finds: 'H5',
    response: (response, path) =>
      isUnknown(path) && path.endsWith('.ts') ? { ...response, status: 200 } : response,
  },
  {
    name: '404 without code',
    finds: 'H5',
    response: (response, path) =>
      isUnknown(path) ? { ...response, body: Buffer.from('{"message":"no"}') } : response,
  },
  {
    name: '404 as a page',
    finds: 'H5',
    response: (response, path) =>
      isUnknown(path) ? withHeader(response, 'content-type', 'text/html') : response,
  },
  {
    name: 'playlist cached too long',
    finds: 'H6',
    ...changeHeader(isPlaylist, 'cache-control', 'max-age=60'),
  },
  {
    name: 'playlist without caching rule',
    finds: 'H6',
    ...changeHeader(isPlaylist, 'cache-control', undefined),
  },
  {
    name: 'playlist immutable',
    finds: 'H6',
    ...changeHeader(isPlaylist, 'cache-control', 'max-age=1, immutable'),
  },
  {
    name: 'segment not immutable',
    finds: 'H6',
    ...changeHeader(isSegment, 'cache-control', 'max-age=86400'),
  },
  {
    name: 'segment cached too briefly',
    finds: 'H6',
    ...changeHeader(isSegment, 'cache-control', 'max-age=1, immutable'),
  },
  {
    name: '404 cached for long',
    finds: 'H6',
    response: (response, path) =>
      isUnknown(path) ? withHeader(response, 'cache-control', 'max-age=86400') : response,
  },
  {
    name: 'old Last-Modified',
    finds: 'H6',
    response: (response, path) =>
      path.endsWith('video.m3u8')
        ? withHeader(
            withHeader(response, 'date', 'Thu, 01 Jan 2026 00:00:30 GMT'),
            'last-modified',
            'Thu, 01 Jan 2026 00:00:00 GMT',
          )
        : response,
  },
  {
    name: 'ranges ignored',
    finds: 'H7',
    response: (response, path, { headers }) =>
      isSegment(path) && headers.range ? { ...response, status: 200 } : response,
  },
  {
    name: 'range with other bytes',
    finds: 'H7',
    response: (response) =>
      response.status === 206 ? { ...response, body: Buffer.alloc(response.body.length) } : response,
  },
  {
    name: 'wrong Content-Range',
    finds: 'H7',
    response: (response) =>
      response.status === 206 ? withHeader(response, 'content-range', 'bytes 0-0/1') : response,
  },
  {
    name: 'no 416',
    finds: 'H7',
    response: (response) => (response.status === 416 ? { ...response, status: 404 } : response),
  },
  {
    name: '416 without size',
    finds: 'H7',
    response: (response) =>
      response.status === 416 ? withHeader(response, 'content-range', undefined) : response,
  },
  { name: 'no ETag on segments', finds: 'H7', ...changeHeader(isSegment, 'etag', undefined) },
  {
    name: 'segment ETag ignored',
    finds: 'H7',
    response: (response, path) =>
      isSegment(path) && response.status === 304 ? { ...response, status: 200 } : response,
  },
  {
    name: 'playlist ETag ignored',
    finds: 'H7',
    response: (response, path) =>
      isPlaylist(path) && response.status === 304 ? { ...response, status: 200 } : response,
  },
  {
    name: 'HEAD refused',
    finds: 'H7',
    response: (response, _, { method }) => (method === 'HEAD' ? { ...response, status: 405 } : response),
  },
  {
    name: 'HEAD without length',
    finds: 'H7',
    response: (response, path, { method }) =>
      method === 'HEAD' && isSegment(path) ? withHeader(response, 'content-length', undefined) : response,
  },
]);
