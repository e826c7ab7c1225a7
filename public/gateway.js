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
 * @property {string} [reason]  why it is not in HLS
 * @property {string} [policy]  `transcode` when ffmpeg converts it
 */
/** @typedef {'notice' | 'warning' | 'problem'} Severity */
/** @typedef {{ code: string, severity?: Severity, message: string, fix?: string }} Warning */
/**
 * @typedef {object} Stream
 * @property {string} app
 * @property {string} name
 * @property {'live' | 'grace' | 'ended'} state
 * @property {'good' | 'fair' | 'poor'} [health]
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
      const { streams, ...server } = await this.#ask();
      this.server = { ...this.server, ...server };
      this.streams = streams ?? [];
      this.reachable = true;
      this.#answeredAt = performance.now();
    } catch {
      this.reachable = false;
    }
    this.#loading = false;
    this.dispatchEvent(new Event('change'));
    clearTimeout(this.#timer);
    if (!document.hidden) this.#timer = setTimeout(() => this.refresh(), POLL_MS);
  }

  /** @returns {Promise<Partial<ServerInfo> & { streams?: Stream[] }>} */
  async #ask() {
    const response = await fetch(fromPage('streams.json'), {
      cache: 'no-store',
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(`streams.json: ${response.status}`);
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

  /** What to play: with the token of the address bar, when that names this stream. @param {StreamId} id @returns {string} */
  playlistUrl(id) {
    const url = new URL(this.hlsUrl(id));
    const token = this.tokenFor(id);
    if (token !== null) url.searchParams.set('token', token);
    return url.href;
  }

  /** A picture of the stream as it is now. @param {StreamId} id @param {number} width @returns {string} */
  pictureUrl(id, width) {
    const url = new URL(this.playlistUrl(id));
    url.pathname = url.pathname.replace(/\.m3u8$/, '/thumbnail.jpg');
    url.searchParams.set('width', String(width));
    return url.href;
  }

  /** The signature this page was opened with; it is good for one stream. @param {StreamId | null} id @returns {string | null} */
  tokenFor(id) {
    const named = this.selectedInAddress();
    if (id === null || named === null || !sameStream(id, named)) return null;
    return new URLSearchParams(location.search).get('token');
  }

  /**
   * The absolute address of this page for a stream, or without one: to pass on, so without a token.
   * @param {StreamId | null} id @returns {string}
   */
  pageUrl(id) {
    const url = new URL(location.href);
    url.hash = '';
    url.searchParams.delete('stream');
    url.searchParams.delete('token');
    const rest = url.searchParams.toString();
    const stream = id === null ? '' : `stream=${escapePath(this.label(id))}`;
    url.search = [stream, rest].filter((part) => part !== '').join('&');
    return url.href;
  }

  /** The same for the address bar, where the token stays. @param {StreamId | null} id @returns {string} */
  addressFor(id) {
    const url = new URL(this.pageUrl(id));
    const token = this.tokenFor(id);
    if (token !== null) url.search += `&token=${encodeURIComponent(token)}`;
    return url.href;
  }

  /** The stream named in the address bar. @returns {StreamId | null} */
  selectedInAddress() {
    const label = new URLSearchParams(location.search).get('stream');
    return label ? this.parse(label) : null;
  }
}
