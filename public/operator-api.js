// @ts-check
/** The operator's view of the gateway: everything about every stream, and the right to disconnect one. */
import { fromPage } from './gateway.js';

/**
 * @typedef {object} ServerView
 * @property {string} version
 * @property {number} uptime  seconds
 * @property {string} [node]
 * @property {number | null} rtmpPort
 * @property {string} defaultApp
 * @property {{ rss: number | null }} [memory]
 * @property {number} [storeBytes]
 * @property {number} [rtmpConnections]
 */
/** @typedef {{ address: string, encoder: string | null }} Publisher */
/**
 * @typedef {object} Rendition
 * @property {string} name
 * @property {'idle' | 'waiting' | 'starting' | 'live' | 'shed' | 'failed' | 'omitted'} state
 * @property {string | null} error
 * @property {number | null} width
 * @property {number | null} height
 * @property {number | null} bitrate
 * @property {number | null} lag  seconds
 */
/**
 * @typedef {import('./gateway.js').Stream & {
 *   publisher?: Publisher | null,
 *   bytes?: number,
 *   mediaSequence?: number | null,
 *   renditions?: Rendition[],
 *   slate?: boolean,
 * }} StreamView
 */
/** @typedef {'asking' | 'ready' | 'token' | 'locked' | 'lost'} Access */

const POLL_MS = 2000;
/** Nobody looks, but the title of the tab still counts what needs attention. */
const HIDDEN_POLL_MS = 10_000;
const TIMEOUT_MS = 5000;
const TOKEN_KEY = 'sluice-api-token';

/** An answer other than what was asked for. */
export class Refusal extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Dispatches `change` after each answer, good or bad. */
export class OperatorApi extends EventTarget {
  /** @type {Access} */
  access = 'asking';
  /** The last token was not accepted. */
  rejected = false;
  /** Why nothing is known, when the gateway does answer. */
  trouble = '';
  /** @type {ServerView | null} */
  server = null;
  /** @type {StreamView[]} */
  streams = [];
  /** @type {Date | null} */
  answeredAt = null;

  #token = readToken();
  #loading = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  start() {
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this.access !== 'token') this.refresh();
    });
    this.refresh();
  }

  refresh() {
    clearTimeout(this.#timer);
    if (!this.#loading) void this.#poll();
  }

  /** @param {string} token */
  enter(token) {
    this.#token = token;
    this.refresh();
  }

  /**
   * Disconnects a publisher, ends the stream and keeps the name closed for a while.
   * @param {import('./gateway.js').StreamId} id @param {number} block seconds
   * @throws {Refusal | Error}
   */
  async disconnect({ app, name }, block) {
    const path = [...app.split('/'), name].map(encodeURIComponent).join('/');
    try {
      await this.#ask(`api/streams/${path}?block=${block}`, 'DELETE');
    } catch (error) {
      if (this.#refused(error)) this.dispatchEvent(new Event('change'));
      throw error;
    }
    this.refresh();
  }

  async #poll() {
    this.#loading = true;
    try {
      const [list, server] = await Promise.all([this.#ask('api/streams'), this.#ask('api/server')]);
      this.streams = /** @type {{ streams?: StreamView[] }} */ (list).streams ?? [];
      this.server = /** @type {ServerView} */ (server);
      this.answeredAt = new Date();
      this.access = 'ready';
      this.rejected = false;
      writeToken(this.#token);
    } catch (error) {
      if (!this.#refused(error)) {
        this.access = 'lost';
        this.trouble = error instanceof Refusal ? error.message : '';
      }
    }
    this.#loading = false;
    this.dispatchEvent(new Event('change'));
    clearTimeout(this.#timer);
    // A token is waited for: asking on would only look like somebody guessing.
    if (this.access === 'token') return;
    const busy = this.access === 'ready' || this.access === 'lost';
    const wait = document.hidden || !busy ? HIDDEN_POLL_MS : POLL_MS;
    this.#timer = setTimeout(() => this.refresh(), wait);
  }

  /** Is it a matter of who asks? @param {unknown} error */
  #refused(error) {
    if (!(error instanceof Refusal)) return false;
    if (error.status === 401) {
      this.access = 'token';
      this.rejected = this.#token !== null;
      this.#token = null;
      writeToken(null);
    } else if (error.code === 'SLUICE_API_LOOPBACK_ONLY') {
      this.access = 'locked';
    } else {
      return false;
    }
    this.streams = [];
    this.server = null;
    return true;
  }

  /** @param {string} path @param {string} [method] @returns {Promise<unknown>} */
  async #ask(path, method = 'GET') {
    const response = await fetch(fromPage(path), {
      method,
      cache: 'no-store',
      // The gateway looks where a deletion comes from.
      referrerPolicy: 'same-origin',
      headers: {
        accept: 'application/json',
        ...(this.#token === null ? {} : { authorization: `Bearer ${this.#token}` }),
      },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!response.ok) throw await refusal(response);
    return method === 'GET' ? response.json() : undefined;
  }
}

/** @param {Response} response */
async function refusal(response) {
  /** @type {{ code?: unknown, message?: unknown }} */
  const body = await response.json().catch(() => ({}));
  const code = typeof body?.code === 'string' ? body.code : '';
  const message = typeof body?.message === 'string' ? body.message : '';
  return new Refusal(response.status, code, message || `It answers with status ${response.status}.`);
}

// Storage may be forbidden; then the token lasts as long as the page.

/** @returns {string | null} */
function readToken() {
  try {
    return sessionStorage.getItem(TOKEN_KEY);
  } catch {
    return null;
  }
}

/** @param {string | null} token */
function writeToken(token) {
  try {
    if (token === null) sessionStorage.removeItem(TOKEN_KEY);
    else sessionStorage.setItem(TOKEN_KEY, token);
  } catch {
    // See above.
  }
}
