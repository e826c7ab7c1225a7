import { get } from 'node:http';

const SILENCE_MS = 15_000;

/**
 * One GET on a connection of its own: what `fetch` keeps open would count among the gateway's descriptors.
 *
 * @returns {Promise<{ status: number, text: string }>}
 */
export async function getOnce(address) {
  const response = await request(address, false);
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return { status: response.statusCode, text };
}

/**
 * @param {import('node:http').Agent | false} agent
 * @returns {Promise<import('node:http').IncomingMessage>} rejects, or breaks off, when nothing comes for too long
 */
export function request(address, agent) {
  return new Promise((resolve, reject) => {
    const sent = get(address, { agent, timeout: SILENCE_MS }, resolve);
    sent.once('timeout', () => sent.destroy(new Error(`${address}: nothing for ${SILENCE_MS / 1000} s`)));
    sent.once('error', reject);
  });
}
