import { get } from 'node:http';

/** Long, because nothing is to fail for a busy machine alone. */
export const PATIENCE_MS = 60_000;

/**
 * One GET on a connection of its own: what `fetch` keeps open would count among the gateway's descriptors.
 *
 * @returns {Promise<{ status: number, text: string }>}
 */
export async function getOnce(address) {
  const response = await request(address, false, PATIENCE_MS);
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return { status: response.statusCode, text };
}

/**
 * @param {import('node:http').Agent | false} agent
 * @param {number} silenceMs rejects, or breaks off, when nothing comes for this long
 * @returns {Promise<import('node:http').IncomingMessage>}
 */
export function request(address, agent, silenceMs) {
  return new Promise((resolve, reject) => {
    const sent = get(address, { agent, timeout: silenceMs }, resolve);
    sent.once('timeout', () => sent.destroy(new Error(`${address}: nothing for ${silenceMs / 1000} s`)));
    sent.once('error', reject);
  });
}
