import { request as requestPlain } from 'node:http';
import { request as requestSecure } from 'node:https';
import type { RequestFunction } from './options.ts';

/** Plain node:http, because fetch would hide encodings and follow redirects. A connection per request is slow but honest. */
export const rawRequest: RequestFunction = (url, { method, headers }) =>
  new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? requestSecure : requestPlain;
    const request = send(url, { method, headers, agent: false, timeout: 15_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const flat: Record<string, string> = {};
        for (const [name, value] of Object.entries(response.headers)) {
          if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(', ') : value;
        }
        resolve({ status: response.statusCode ?? 0, headers: flat, body: Buffer.concat(chunks) });
      });
    });
    request.on('timeout', () => request.destroy(new Error('no answer within 15 s')));
    request.on('error', reject);
    request.end();
  });
