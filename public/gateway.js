// @ts-check
/** What the gateway says: its settings, the list of streams, and where things are. */

/**
 * @typedef {object} ServerInfo
 * @property {string} version
 * @property {number} rtmpPort
 * @property {string} defaultApp
 */
/**
 * @typedef {object} Track
 * @property {'video' | 'audio'} kind
 * @property {string} codec
 * @property {string} [codecString]
 * @property {number} [width]
 * @property {number} [height]
 * @property {number | null} [frameRate]
 * @property {number} [sampleRate]
 * @property {number} [channels]
 * @property {boolean} [inHls]
 */
/** @typedef {{ code: string, message: string, fix?: string }} Warning */
/**
 * @typedef {object} Stream
 * @property {string} app
 * @property {string} name
 * @property {'live' | 'grace' | 'ended'} state
 * @property {string} [hls]
 * @property {string} startedAt
 * @property {number} uptime
 * @property {number} bitrate
 * @property {number | null} frameRate
 * @property {number | null} keyframeInterval
 * @property {number | null} targetDuration
 * @property {Track[]} tracks
 * @property {Warning[]} warnings
 */
/** @typedef {{ app: string, name: string }} StreamId */

const POLL_MS = 2000;
const TIMEOUT_MS = 5000;

/** @param {string} path @returns {URL} */
export function fromPage(path) {
  return new URL(path, document.baseURI);
}

/** @param {string} text A path: each part is escaped, the slashes stay. */
function escapePath(text) {
  return text.split('/').map(encodeURIComponent).join('/');
}

/** @param {StreamId} a @param {StreamId} b */
export function sameStream(a, b) {
  return a.app === b.app && a.name === b.name;
}

/**
 * Follows the gateway: `streams` is refreshed about every two seconds while the page is visible.
 * Dispatches `change` after each answer, good or bad.
 */
export class Gateway extends EventTarget {
  /** @type {ServerInfo} */
  server = { version: '', rtmpPort: 1935, defaultApp: 'live' };
  /** @type {Stream[]} */
  streams = [];
  /** Whether the last request was answered; null before the first. @type {boolean | null} */
  reachable = null;
  /** Server clock minus ours in ms, when the two clearly differ (0 otherwise). */
  clockOffset = 0;

  #answeredAt = -Infinity;
  #serverKnown = false;
  #loading = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  start() {
    document.addEventListener('visibilitychange', () => this.refresh());
    this.refresh();
  }

  /** Asks now rather than at the next turn. */
  refresh() {
    clearTimeout(this.#timer);
    if (document.hidden || this.#loading) return;
    void this.#poll();
  }

  /** Is what we know recent (the tab was not hidden, the gateway answers)? */
  get fresh() {
    return this.reachable === true && performance.now() - this.#answeredAt < 3 * POLL_MS;
  }

  /** @param {StreamId} id @returns {Stream | undefined} */
  find(id) {
    return this.streams.find((stream) => sameStream(stream, id));
  }

  async #poll() {
    this.#loading = true;
    try {
      if (!this.#serverKnown) {
        this.server = {
          ...this.server,
          .../** @type {Partial<ServerInfo>} */ (await this.#get('api/server')),
        };
        this.#serverKnown = true;
      }
      const answer = /** @type {{ streams?: Stream[] }} */ (await this.#get('api/streams'));
      this.streams = answer.streams ?? [];
      this.reachable = true;
      this.#answeredAt = performance.now();
    } catch {
      // A restart, a lost network: ask for the settings again too, they may have changed.
      this.reachable = false;
      this.#serverKnown = false;
    }
    this.#loading = false;
    this.dispatchEvent(new Event('change'));
    clearTimeout(this.#timer);
    if (!document.hidden) this.#timer = setTimeout(() => this.refresh(), POLL_MS);
  }

  /** @param {string} path @returns {Promise<unknown>} */
  async #get(path) {
    const response = await fetch(fromPage(path), {
      cache: 'no-store',
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    this.#readClock(response.headers.get('date'));
    return response.json();
  }

  /**
   * The Date header has whole seconds: good enough to notice a clock that is wrong, which would
   * make nonsense of the latency computed from EXT-X-PROGRAM-DATE-TIME.
   * @param {string | null} date
   */
  #readClock(date) {
    const offset = date === null ? 0 : Date.parse(date) + 500 - Date.now();
    this.clockOffset = Math.abs(offset) > 2500 ? offset : 0;
  }

  /** The short form used in addresses: "name", or "app/name" outside the default application. @param {StreamId} id */
  label(id) {
    return id.app === this.server.defaultApp ? id.name : `${id.app}/${id.name}`;
  }

  /** @param {string} label @returns {StreamId} */
  parse(label) {
    // Applications may have several parts, names have one.
    const slash = label.lastIndexOf('/');
    if (slash <= 0) return { app: this.server.defaultApp, name: label.replace(/^\/+/, '') };
    return { app: label.slice(0, slash), name: label.slice(slash + 1) };
  }

  /** The absolute address of a stream's playlist. @param {StreamId} id @returns {string} */
  hlsUrl(id) {
    const advertised = this.find(id)?.hls;
    if (advertised) {
      const url = fromPage(advertised);
      if (url.protocol === 'http:' || url.protocol === 'https:') return url.href;
    }
    const path = id.app === this.server.defaultApp ? id.name : `${id.app}/${id.name}`;
    return fromPage(`hls/${escapePath(path)}.m3u8`).href;
  }

  /** The absolute address of this page for a stream, or without one. @param {StreamId | null} id @returns {string} */
  pageUrl(id) {
    const url = new URL(location.href);
    url.hash = '';
    url.searchParams.delete('stream');
    const rest = url.searchParams.toString();
    const stream = id === null ? '' : `stream=${escapePath(this.label(id))}`;
    url.search = [stream, rest].filter((part) => part !== '').join('&');
    return url.href;
  }

  /** The stream named in the address bar. @returns {StreamId | null} */
  selectedInAddress() {
    const label = new URLSearchParams(location.search).get('stream');
    return label ? this.parse(label) : null;
  }
}
