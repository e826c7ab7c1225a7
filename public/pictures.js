// @ts-check
/**
 * Pictures of streams, as far as the gateway has any: fetched when they come into view, refreshed while they are, and
 * simply absent otherwise. Few at a time, so that they never take the line from the video.
 */

const REFRESH_MS = 10_000;
const LONGEST_WAIT_MS = 120_000;
const TURN_MS = 500;
const MAX_LOADING = 2;
const TIMEOUT_MS = 8000;
/** The gateway has no ffmpeg, and will have none soon. */
const NOT_IMPLEMENTED = 501;

/** One place for a picture. */
export class Picture {
  /** @type {string | null} */
  url = null;
  refreshed = false;
  visible = false;
  loading = false;
  dueAt = 0;
  #failures = 0;
  #show;
  /** @type {string | null} */
  #shown = null;

  /** @param {(url: string | null) => void} show  called with what an image can load, or null for none */
  constructor(show) {
    this.#show = show;
  }

  /**
   * @param {string | null} url  where the picture is; null leaves what is shown as it is
   * @param {boolean} refreshed  again and again, rather than once
   */
  update(url, refreshed) {
    if (url !== null && url !== this.url) {
      this.dueAt = 0;
      this.#failures = 0;
    }
    this.url = url;
    this.refreshed = refreshed;
  }

  clear() {
    this.url = null;
    this.#replace(null);
  }

  /** @returns {Promise<boolean>} false when the gateway makes no pictures at all */
  async load() {
    const { url } = this;
    if (url === null) return true;
    this.loading = true;
    let status = 0;
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
      status = response.status;
      const blob = response.ok ? await response.blob() : null;
      if (blob !== null && this.url === url) this.#replace(URL.createObjectURL(blob));
    } catch {
      // Not reachable; the list says so.
    }
    this.loading = false;
    this.#failures = status === 200 ? 0 : this.#failures + 1;
    const wait = Math.min(LONGEST_WAIT_MS, REFRESH_MS * 2 ** Math.max(0, this.#failures - 1));
    const again = this.refreshed || this.#failures > 0;
    this.dueAt = again ? performance.now() + wait : Infinity;
    return status !== NOT_IMPLEMENTED;
  }

  /** @param {string | null} url */
  #replace(url) {
    const old = this.#shown;
    if (old === url) return;
    this.#shown = url;
    this.#show(url);
    // What shows it may still be decoding it.
    if (old !== null) setTimeout(() => URL.revokeObjectURL(old), 1000);
  }
}

/** Decides which picture is fetched when. */
export class Pictures {
  /** @type {Set<Picture>} */
  #pictures = new Set();
  /** @type {WeakMap<Element, Picture>} */
  #byElement = new WeakMap();
  #available = true;
  #observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const picture = this.#byElement.get(target);
      if (picture) picture.visible = isIntersecting;
    }
    this.#turn();
  });

  constructor() {
    setInterval(() => this.#turn(), TURN_MS);
  }

  /**
   * @param {Element} element  in view when this is
   * @param {(url: string | null) => void} show
   */
  add(element, show) {
    const picture = new Picture(show);
    this.#pictures.add(picture);
    this.#byElement.set(element, picture);
    this.#observer.observe(element);
    return picture;
  }

  /** @param {Element} element */
  remove(element) {
    const picture = this.#byElement.get(element);
    this.#observer.unobserve(element);
    if (!picture) return;
    picture.clear();
    this.#pictures.delete(picture);
  }

  #turn() {
    if (!this.#available || document.hidden) return;
    const now = performance.now();
    const due = [...this.#pictures]
      .filter(({ url, visible, loading, dueAt }) => url !== null && visible && !loading && dueAt <= now)
      .sort((a, b) => a.dueAt - b.dueAt);
    const loading = [...this.#pictures].filter((picture) => picture.loading).length;
    for (const picture of due.slice(0, Math.max(0, MAX_LOADING - loading))) void this.#load(picture);
  }

  /** @param {Picture} picture */
  async #load(picture) {
    this.#available = (await picture.load()) && this.#available;
    this.#turn();
  }
}
