// @ts-check
/**
 * Plays one live stream and keeps playing it: a missing stream, an encoder that drops, a stream that
 * ends and starts anew, a gateway that restarts are all normal, and end with the picture coming back
 * by itself. hls.js wherever Media Source Extensions exist, the browser's own HLS otherwise.
 */
import { byQuality, readVariants, variantKey } from './variants.js';
import Hls from './vendor/hls.min.mjs';

/** @typedef {import('./variants.js').Variant} Variant */
/** @typedef {'idle' | 'waiting' | 'playing' | 'stalled'} PlaybackState */
/** What the gateway says of the stream; 'unknown' when it does not answer. 'unlisted' when it names no such stream, which may be live all the same. @typedef {'live' | 'grace' | 'ended' | 'unlisted' | 'unknown'} Supply */
/** One attached source: from its creation to the next failure, end or choice of another stream. */
/**
 * @typedef {object} Engine
 * @property {Hls | null} hls
 * @property {number} openedAt
 * @property {string | undefined} session  which run of the stream it was opened on
 * @property {boolean} played   it has shown something
 * @property {number} playedAt  since when
 * @property {Variant[]} variants  what the stream has, as far as is known; more than hls.js has when some came later
 * @property {Set<string>} loadable  what hls.js has, by key
 * @property {Set<string>} unplayable  what this browser has no decoder for, by key
 * @property {number} variantsAt  when to look for others
 * @property {boolean} broken   it loads nothing more: play out what is buffered, then replace it
 * @property {number} mediaErrorAt
 * @property {{ type: string, bits: number, seconds: number }[]} loaded  the last fragments
 */
/**
 * @typedef {object} Stats
 * @property {number | null} latency
 * @property {number} width
 * @property {number} height
 * @property {number | null} bitrate
 * @property {number | null} dropped
 * @property {number | null} frames
 * @property {number | null} buffer
 * @property {boolean} atLive
 */

const TICK_MS = 500;
const STALL_MS = 1500;
const PROBE_TIMEOUT_MS = 4000;
const CODEC_RETRY_MS = 15000;
const DENIED_RETRY_MS = 30000;
const FRAGMENTS_MEASURED = 6;
/** Renditions that are encoded on demand come within seconds after the first viewer … */
const EARLY_VARIANTS_MS = 3000;
const VARIANTS_MS = 10_000;
/** … who hardly minds when playback starts over then; later it is left alone. */
const RESTART_MS = 10_000;

/** @type {Partial<import('hls.js').HlsConfig>} */
const HLS_CONFIG = {
  liveDurationInfinity: true,
  backBufferLength: 30,
  maxBufferLength: 30,
  // Drifted a little behind (a short stall)? Catch up at a rate nobody hears.
  maxLiveSyncPlaybackRate: 1.05,
  enableInterstitialPlayback: false,
  // Give up early: this file retries from the top, where a restarted stream is found.
  manifestLoadPolicy: loadPolicy(6000, 10000, 0),
  // But sit out a gateway that restarts: with what it kept, playback goes on as if nothing had been.
  playlistLoadPolicy: loadPolicy(8000, 12000, 30),
  fragLoadPolicy: loadPolicy(10000, 40000, 30),
};

/** @param {number} firstByte @param {number} whole @param {number} retries */
function loadPolicy(firstByte, whole, retries) {
  /** @type {import('hls.js').RetryConfig} */
  const retry = {
    maxNumRetry: retries,
    retryDelayMs: 500,
    maxRetryDelayMs: 2000,
    // hls.js takes a refused connection (status 0) for final.
    shouldRetry: (_config, count, _timeout, response, usual) =>
      usual || (count < retries && response?.code === 0),
  };
  return {
    default: {
      maxTimeToFirstByteMs: firstByte,
      maxLoadTimeMs: whole,
      timeoutRetry: retry,
      errorRetry: retry,
    },
  };
}

/** Errors that mean "this browser has no decoder for it", which no retry heals soon. */
const CODEC_ERRORS = new Set([
  'manifestIncompatibleCodecsError',
  'bufferIncompatibleCodecsError',
  'bufferAddCodecError',
]);

export class Player {
  /** @type {PlaybackState} */
  state = 'idle';
  /** The last session came to its end. */
  ended = false;
  /** The browser has no decoder for this stream. */
  unsupported = false;
  /** The gateway refuses to show it: the link is not signed, or no longer valid. */
  denied = false;
  /** The browser refuses to start without a click. */
  blocked = false;
  /** The viewer paused. */
  paused = false;

  #video;
  #still;
  #supply;
  #session;
  #onChange;
  #onTrouble;
  #clockOffset;

  /** @type {string | null} */
  #url = null;
  /** @type {Engine | null} */
  #engine = null;
  /** @type {AbortController | null} */
  #probe = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  /** What the viewer wants, by key; null leaves it to hls.js. @type {string | null} */
  #choice = null;
  #retryAt = 0;
  #failures = 0;
  #lastTime = -1;
  #movedAt = 0;
  #startedMovingAt = 0;
  #jumpedAt = 0;

  /**
   * @param {object} options
   * @param {HTMLVideoElement} options.video
   * @param {HTMLCanvasElement} options.still  keeps the last picture while there is none
   * @param {() => Supply} options.supply
   * @param {() => string | undefined} options.session  which run of the stream this is, as far as is known
   * @param {() => number} options.clockOffset  server clock minus ours, ms
   * @param {() => void} options.onChange
   * @param {() => void} options.onTrouble  worth asking the gateway again now
   */
  constructor({ video, still, supply, session, clockOffset, onChange, onTrouble }) {
    this.#video = video;
    this.#still = still;
    this.#supply = supply;
    this.#session = session;
    this.#clockOffset = clockOffset;
    this.#onChange = onChange;
    this.#onTrouble = onTrouble;
    video.addEventListener('ended', () => this.#finish());
    video.addEventListener('error', () => this.#nativeError());
    video.addEventListener('pause', () => this.#pausedOutside());
    video.addEventListener('play', () => this.#playedOutside());
    video.addEventListener('timeupdate', () => this.#watch());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this.#engine && !this.paused && video.paused) void this.#play();
    });
  }

  /** @param {string | null} url The playlist to play, or null for nothing. */
  open(url) {
    if (url === this.#url) return;
    this.#probe?.abort();
    this.#probe = null;
    this.#close();
    this.#still.hidden = true;
    this.#url = url;
    this.ended = false;
    this.unsupported = false;
    this.denied = false;
    this.blocked = false;
    this.paused = false;
    this.#choice = null;
    this.#failures = 0;
    this.#retryAt = 0;
    clearInterval(this.#timer);
    if (url === null) {
      this.#become('idle');
      return;
    }
    this.#become('waiting');
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#tick();
  }

  /** News from the gateway: act on it without waiting for the next turn. */
  update() {
    if (this.#url !== null) this.#tick();
  }

  togglePause() {
    if (this.blocked || this.#video.paused) {
      this.paused = false;
      void this.#play();
    } else {
      this.paused = true;
      this.#video.pause();
    }
    this.#onChange();
  }

  goLive() {
    const position = this.#livePosition();
    if (position !== null) this.#video.currentTime = position;
    this.paused = false;
    void this.#play();
  }

  /** @returns {import('./quality-menu.js').Qualities} */
  qualities() {
    const engine = this.#engine;
    const variants = (engine?.variants ?? []).filter(({ key }) => !engine?.unplayable.has(key));
    const level = engine?.hls?.levels[engine.hls.currentLevel];
    return {
      variants: variants.sort(byQuality),
      // A rendition that is gone may come back.
      chosen: variants.some(({ key }) => key === this.#choice) ? this.#choice : null,
      current: level ? variantKey(level.uri) : null,
    };
  }

  /** @param {string | null} key of the variant; null leaves the choice to the player */
  chooseQuality(key) {
    this.#choice = key;
    const engine = this.#engine;
    const hls = engine?.hls;
    if (!engine || !hls) return;
    if (key === null) hls.loadLevel = -1;
    else if (engine.loadable.has(key)) hls.nextLevel = levelOf(hls, key);
    else this.#reopen();
    this.#onChange();
  }

  /** @returns {Stats} */
  stats() {
    const video = this.#video;
    const quality = this.#engine ? video.getVideoPlaybackQuality?.() : undefined;
    return {
      latency: this.#latency(),
      width: video.videoWidth,
      height: video.videoHeight,
      bitrate: this.#bitrate(),
      dropped: quality ? quality.droppedVideoFrames : null,
      frames: quality ? quality.totalVideoFrames : null,
      buffer: this.#engine ? bufferAhead(video) : null,
      atLive: this.#atLive(),
    };
  }

  // ---- the turn ----

  #tick() {
    const now = performance.now();
    if (this.#engine) this.#watch();
    const engine = this.#engine;
    if (engine) engine.session ??= this.#session();
    if (engine && !engine.broken) {
      if (now >= engine.variantsAt && !document.hidden) void this.#lookForVariants(engine, now);
      this.#keepUp(engine, now);
      return;
    }
    if (now >= this.#retryAt && this.#probe === null && this.#worthTrying()) void this.#attempt();
  }

  /** @param {Engine} engine @param {number} now */
  async #lookForVariants(engine, now) {
    const url = this.#url;
    // Of a media playlist alone there is nothing to choose from.
    if (url === null || engine.hls === null || engine.variants.length === 0) return;
    const early = now - engine.playedAt < RESTART_MS - EARLY_VARIANTS_MS;
    engine.variantsAt = now + (early ? EARLY_VARIANTS_MS : VARIANTS_MS);
    const variants = await fetchVariants(url);
    if (this.#engine !== engine || engine.broken || variants.length === 0) return;
    if (sameKeys(variants, engine.variants)) return;
    engine.variants = variants;
    const missed = variants.map(({ key }) => key).filter((key) => isMissed(engine, key));
    const young = performance.now() - engine.playedAt < RESTART_MS;
    const wanted = this.#choice === null ? missed.length > 0 && young : missed.includes(this.#choice);
    if (wanted && !this.paused) this.#reopen();
    this.#onChange();
  }

  /** Nothing to fetch while the gateway itself says that there is nothing. */
  #worthTrying() {
    const supply = this.#supply();
    if (supply === 'live') return true;
    const perhaps = supply === 'unlisted' || supply === 'unknown';
    return perhaps && (!document.hidden || this.#engine !== null);
  }

  /** Looks before it leaps: the old picture goes only once there is a playlist to replace it. */
  async #attempt() {
    const url = this.#url;
    if (url === null) return;
    const probe = new AbortController();
    this.#probe = probe;
    const giveUp = setTimeout(() => probe.abort(), PROBE_TIMEOUT_MS);
    const found = await look(url, this.#supply() === 'live', probe.signal);
    clearTimeout(giveUp);
    if (this.#probe !== probe) return;
    this.#probe = null;
    const denied = found === 'denied';
    if (denied !== this.denied) {
      this.denied = denied;
      this.#onChange();
    }
    if (found === 'ended' && !this.#engine) {
      this.ended = true;
      this.#onChange();
    }
    if (found !== 'live') {
      this.#later();
      if (denied) this.#retryAt = performance.now() + DENIED_RETRY_MS;
      return;
    }
    this.#close();
    this.#create(url);
  }

  #later() {
    this.#failures += 1;
    this.#retryAt = performance.now() + Math.min(2000, 750 + 250 * this.#failures);
  }

  /** @param {string} url */
  #create(url) {
    const now = performance.now();
    /** @type {Engine} */
    const engine = {
      hls: null,
      openedAt: now,
      session: this.#session(),
      played: false,
      playedAt: Infinity,
      variants: [],
      loadable: new Set(),
      unplayable: new Set(),
      variantsAt: Infinity,
      broken: false,
      mediaErrorAt: -Infinity,
      loaded: [],
    };
    this.#engine = engine;
    this.#lastTime = -1;
    this.#movedAt = now;
    this.#startedMovingAt = 0;
    if (Hls.isSupported()) {
      this.#attachHls(engine, url);
    } else {
      this.#video.src = url;
    }
    if (!this.paused) void this.#play();
  }

  #close() {
    const engine = this.#engine;
    if (!engine) return;
    if (engine.played) this.#keepPicture();
    this.#engine = null;
    engine.hls?.destroy();
    this.#video.removeAttribute('src');
    this.#video.load();
  }

  /** hls.js reads the multivariant playlist only once: another one is needed for what came later. */
  #reopen() {
    if (this.#url === null) return;
    this.#close();
    this.#create(this.#url);
  }

  #keepPicture() {
    const { videoWidth, videoHeight, readyState } = this.#video;
    if (videoWidth === 0 || readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    this.#still.width = videoWidth;
    this.#still.height = videoHeight;
    this.#still.getContext('2d')?.drawImage(this.#video, 0, 0, videoWidth, videoHeight);
    this.#still.hidden = false;
  }

  async #play() {
    try {
      await this.#video.play();
      this.#setBlocked(false);
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return;
      if (this.#video.muted) {
        this.#setBlocked(true);
      } else {
        this.#video.muted = true;
        await this.#play();
      }
    }
  }

  /** @param {boolean} blocked */
  #setBlocked(blocked) {
    if (this.blocked === blocked) return;
    this.blocked = blocked;
    this.#onChange();
  }

  /** @param {Engine} engine @param {string} url */
  #attachHls(engine, url) {
    const hls = new Hls(HLS_CONFIG);
    engine.hls = hls;
    /** @param {() => void} action Outside hls.js's own event handling, if still wanted then. */
    const soon = (action) => {
      setTimeout(() => {
        if (this.#engine === engine) action();
      });
    };
    hls.on(Hls.Events.ERROR, (_event, data) => {
      if (data.fatal && this.#engine === engine) this.#fatal(engine, hls, data.type, data.details);
    });
    /** @type {{ startSN: number, endSN: number } | null} */
    let previous = null;
    hls.on(Hls.Events.LEVEL_LOADED, (_event, { details }) => {
      // Not the playlist we followed: of a gateway that forgot it, or after a long sleep. Start over in it.
      const torn =
        previous !== null && (details.startSN > previous.endSN + 1 || details.endSN < previous.startSN);
      previous = { startSN: details.startSN, endSN: details.endSN };
      if (torn && details.live) soon(() => this.#abandon(engine));
      // A playlist that is already complete is the end of the last session: wait for the next one.
      if (!details.live && !engine.played) soon(() => this.#finish());
    });
    hls.on(Hls.Events.MANIFEST_LOADED, (_event, { levels: listed }) => {
      engine.variants = listed.map(({ url: address, bitrate, width, height, attrs }) => ({
        key: variantKey(address),
        bitrate,
        width: width ?? 0,
        height: height ?? 0,
        frameRate: attrs.optionalFloat('FRAME-RATE', 0),
      }));
      // By now hls.js has sorted out what it cannot play, and sound alone where there is a picture.
      const levels = new Set(hls.levels.map((level) => variantKey(level.uri)));
      engine.unplayable = new Set(engine.variants.map(({ key }) => key).filter((key) => !levels.has(key)));
    });
    hls.on(Hls.Events.MANIFEST_PARSED, () => {
      engine.loadable = new Set(hls.levels.map((level) => variantKey(level.uri)));
      if (this.#choice !== null && engine.loadable.has(this.#choice)) {
        hls.loadLevel = levelOf(hls, this.#choice);
      }
      soon(() => this.#onChange());
    });
    hls.on(Hls.Events.LEVEL_SWITCHED, () => soon(() => this.#onChange()));
    hls.on(Hls.Events.MEDIA_ENDED, () => soon(() => this.#finish()));
    hls.on(Hls.Events.FRAG_BUFFERED, (_event, { frag, part, stats }) => {
      const length = part?.duration ?? frag.duration;
      if (stats.loaded > 0 && length > 0) {
        engine.loaded.push({ type: frag.type, bits: stats.loaded * 8, seconds: length });
        if (engine.loaded.length > 2 * FRAGMENTS_MEASURED) engine.loaded.shift();
      }
    });
    hls.loadSource(url);
    hls.attachMedia(this.#video);
  }

  /** @param {Engine} engine @param {Hls} hls @param {string} type @param {string} details */
  #fatal(engine, hls, type, details) {
    const now = performance.now();
    if (CODEC_ERRORS.has(details)) {
      setTimeout(() => {
        if (this.#engine !== engine) return;
        this.unsupported = true;
        this.#close();
        this.#retryAt = performance.now() + CODEC_RETRY_MS;
        this.#become('waiting');
      });
      return;
    }
    if (type === Hls.ErrorTypes.MEDIA_ERROR && now - engine.mediaErrorAt > 5000) {
      engine.mediaErrorAt = now;
      setTimeout(() => {
        if (this.#engine !== engine) return;
        hls.recoverMediaError();
        if (!this.paused) void this.#play();
      });
      return;
    }
    this.#abandon(engine);
    this.#onTrouble();
  }

  /** Nothing more comes from this engine: the next one replaces it. @param {Engine} engine */
  #abandon(engine) {
    engine.hls?.stopLoad();
    engine.broken = true;
    this.#later();
  }

  /** The session is over. */
  #finish() {
    if (!this.#engine) return;
    this.ended = true;
    this.#close();
    this.#later();
    this.#become('waiting');
    this.#onTrouble();
  }

  #nativeError() {
    const engine = this.#engine;
    if (!engine || engine.hls) return;
    this.unsupported =
      this.#video.error?.code === MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED && this.#failures > 3;
    this.#close();
    this.#later();
    this.#become('waiting');
    this.#onTrouble();
  }

  #pausedOutside() {
    // Media keys, picture-in-picture, headphones pulled out; not the browser saving power in a hidden tab.
    if (!this.#engine || document.hidden || this.#video.ended || this.#video.error || !this.#video.paused)
      return;
    if (this.#engine.played) this.paused = true;
    this.#onChange();
  }

  #playedOutside() {
    this.paused = false;
    this.#onChange();
  }

  // ---- watching ----

  /** Does the picture move? */
  #watch() {
    const engine = this.#engine;
    if (!engine) return;
    const now = performance.now();
    const time = this.#video.currentTime;
    if (this.paused || this.blocked) {
      this.#movedAt = now;
      if (this.state === 'stalled') this.#become('playing');
      return;
    }
    if (time !== this.#lastTime) {
      const first = this.#lastTime < 0;
      this.#lastTime = time;
      this.#movedAt = now;
      // The first change is the seek to the live point, which shows nothing yet.
      if (first || this.#video.seeking || this.#video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
      if (this.state !== 'playing') this.#startedMovingAt = now;
      if (!engine.played) {
        engine.playedAt = now;
        engine.variantsAt = now + EARLY_VARIANTS_MS;
      }
      engine.played = true;
      this.ended = false;
      this.unsupported = false;
      this.#still.hidden = true;
      this.#become('playing');
      return;
    }
    if (now - this.#movedAt > STALL_MS && this.state === 'playing') {
      this.#become('stalled');
      this.#onTrouble();
    }
    // Nothing more will come, and all that was buffered has been shown.
    if (this.state !== 'playing' && engine.broken) this.#become('waiting');
  }

  /** @param {Engine} engine @param {number} now */
  #keepUp(engine, now) {
    const moving = now - this.#movedAt <= STALL_MS;
    const details = engine.hls?.latestLevelDetails ?? null;
    const target = details?.targetduration ?? 2;
    if (moving && engine.played) {
      if (this.#startedMovingAt > 0 && now - this.#startedMovingAt > 5000) this.#failures = 0;
      const late = engine.hls ? engine.hls.latency : nativeBehind(this.#video);
      const position = this.#livePosition();
      const gain = position === null ? 0 : position - this.#video.currentTime;
      if (!this.paused && late > 15 + 3 * target && gain > target && now - this.#jumpedAt > 5000) {
        this.#jumpedAt = now;
        if (position !== null) this.#video.currentTime = position;
      }
      return;
    }
    if (this.paused || this.blocked) return;
    if (engine.played && details && !details.live) {
      this.#finish();
      return;
    }
    // The encoder or the gateway is away: the buffer runs dry, and that is all right.
    const supply = this.#supply();
    if (supply !== 'live' && supply !== 'unlisted') {
      engine.openedAt = now;
      return;
    }
    // The gateway has a live stream and nothing moves: start over from the top.
    // At once when it is another run of the stream than the one opened.
    const session = this.#session();
    const replaced = engine.session !== undefined && session !== undefined && session !== engine.session;
    const patience = replaced ? 0 : Math.max(10000, 4000 * target);
    if (now - Math.max(this.#movedAt, engine.openedAt) > patience) {
      this.#abandon(engine);
      if (this.state !== 'playing') this.#become('waiting');
    }
  }

  /** @param {PlaybackState} state */
  #become(state) {
    if (this.state === state && state !== 'waiting') return;
    this.state = state;
    this.#onChange();
  }

  // ---- measuring ----

  /** @returns {number | null} */
  #livePosition() {
    const engine = this.#engine;
    if (!engine) return null;
    if (engine.hls) return engine.hls.liveSyncPosition;
    const { seekable } = this.#video;
    return seekable.length > 0 ? seekable.end(seekable.length - 1) : null;
  }

  #atLive() {
    const engine = this.#engine;
    if (!engine?.played || this.paused) return false;
    if (!engine.hls) return nativeBehind(this.#video) < 15;
    const position = engine.hls.liveSyncPosition;
    const target = engine.hls.latestLevelDetails?.targetduration ?? 2;
    return position === null || position - this.#video.currentTime < Math.max(3, 1.5 * target);
  }

  /** Seconds between the picture shown and now: by the stream's own clock if it carries one. @returns {number | null} */
  #latency() {
    const engine = this.#engine;
    if (!engine?.played) return null;
    const shown = engine.hls ? engine.hls.playingDate : nativeDate(this.#video);
    if (shown && !Number.isNaN(shown.getTime())) {
      const late = (Date.now() + this.#clockOffset() - shown.getTime()) / 1000;
      if (late > -1 && late < 3600) return Math.max(0, late);
    }
    return engine.hls ? engine.hls.latency : null;
  }

  /** Of the fragments loaded lately; audio and video add up when they come apart. @returns {number | null} */
  #bitrate() {
    const loaded = this.#engine?.loaded ?? [];
    if (loaded.length === 0) return null;
    let sum = 0;
    for (const type of new Set(loaded.map((fragment) => fragment.type))) {
      const last = loaded.filter((fragment) => fragment.type === type).slice(-FRAGMENTS_MEASURED);
      const bits = last.reduce((total, fragment) => total + fragment.bits, 0);
      const time = last.reduce((total, fragment) => total + fragment.seconds, 0);
      sum += bits / time;
    }
    return sum;
  }
}

/**
 * What a playlist address has. Of a stream that is surely live the multivariant playlist tells enough.
 * @param {string} url @param {boolean} surelyLive @param {AbortSignal} signal
 * @returns {Promise<'live' | 'ended' | 'denied' | 'absent'>}
 */
async function look(url, surelyLive, signal) {
  try {
    const response = await fetch(url, { cache: 'no-store', signal });
    if (response.status === 403) return 'denied';
    if (!response.ok) return 'absent';
    if (surelyLive) return 'live';
    const lines = (await response.text()).split(/\r?\n/);
    if (lines.includes('#EXT-X-ENDLIST')) return 'ended';
    const rendition = lines.find((line) => line !== '' && !line.startsWith('#'));
    if (rendition === undefined || lines.some((line) => line.startsWith('#EXTINF'))) return 'live';
    const media = await fetch(new URL(rendition, url), { cache: 'no-store', signal });
    if (!media.ok) return 'absent';
    return /^#EXT-X-ENDLIST/m.test(await media.text()) ? 'ended' : 'live';
  } catch {
    // Not reachable: the next turn asks again.
    return 'absent';
  }
}

/** @param {string} url @returns {Promise<Variant[]>} nothing when it cannot be told */
async function fetchVariants(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    return response.ok ? readVariants(await response.text(), url) : [];
  } catch {
    return [];
  }
}

/** @param {readonly Variant[]} some @param {readonly Variant[]} others */
function sameKeys(some, others) {
  const keys = new Set(others.map(({ key }) => key));
  return some.length === others.length && some.every(({ key }) => keys.has(key));
}

/** The stream has it, and hls.js does not know. @param {Engine} engine @param {string} key */
function isMissed(engine, key) {
  return !engine.loadable.has(key) && !engine.unplayable.has(key);
}

/** @param {Hls} hls @param {string} key */
function levelOf(hls, key) {
  return hls.levels.findIndex((level) => variantKey(level.uri) === key);
}

/** @param {HTMLVideoElement} video */
function bufferAhead(video) {
  const { buffered, currentTime } = video;
  for (let i = 0; i < buffered.length; i += 1) {
    if (buffered.start(i) <= currentTime + 0.1 && buffered.end(i) > currentTime)
      return buffered.end(i) - currentTime;
  }
  return 0;
}

/** @param {HTMLVideoElement} video */
function nativeBehind(video) {
  const { seekable, currentTime } = video;
  return seekable.length > 0 ? seekable.end(seekable.length - 1) - currentTime : 0;
}

/** Safari: the date of media time zero. @param {HTMLVideoElement & { getStartDate?: () => Date }} video */
function nativeDate(video) {
  const start = video.getStartDate?.();
  return start && !Number.isNaN(start.getTime())
    ? new Date(start.getTime() + video.currentTime * 1000)
    : null;
}
