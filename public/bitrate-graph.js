// @ts-check
/** A small graph of what arrived from a publisher in the last minutes. */
import { bitrate } from './format.js';

const SVG = 'http://www.w3.org/2000/svg';
const SPAN_MS = 5 * 60_000;
/** A page just opened shows less, rather than an empty graph. */
const LEAST_SPAN_MS = 60_000;
/** Media comes in bursts: a rate is taken over at least this long. */
const WINDOW_MS = 5500;
/** Without an answer for this long nobody knows what came in between. */
const GAP_MS = 25_000;
const WIDTH = 240;
const HEIGHT = 40;

/** Nothing is a measurement, too. @param {number} rate */
export function rateText(rate) {
  return rate > 0 ? bitrate(rate) : '0 kb/s';
}

/** @typedef {{ at: number, bytes: number, rate: number | null }} Sample */

export class BitrateGraph {
  element = document.createElementNS(SVG, 'svg');
  #area = document.createElementNS(SVG, 'path');
  #line = document.createElementNS(SVG, 'path');
  #title = document.createElementNS(SVG, 'title');
  /** @type {Sample[]} */
  #samples = [];

  constructor() {
    this.element.setAttribute('class', 'graph');
    this.element.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    this.element.setAttribute('preserveAspectRatio', 'none');
    this.element.setAttribute('role', 'img');
    this.#area.setAttribute('class', 'graph-area');
    this.#line.setAttribute('class', 'graph-line');
    this.element.append(this.#title, this.#area, this.#line);
  }

  /** Bits per second lately; null before there are two samples. */
  get rate() {
    return this.#samples.at(-1)?.rate ?? null;
  }

  /** @param {number} at @param {number} bytes since the stream began */
  add(at, bytes) {
    const last = this.#samples.at(-1);
    // The stream, or the gateway, began anew.
    if (last && bytes < last.bytes) this.#samples.push({ at, bytes, rate: null });
    else this.#samples.push({ at, bytes, rate: this.#rateUntil(at, bytes) });
    while (this.#samples[0] && this.#samples[0].at < at - SPAN_MS) this.#samples.shift();
  }

  /** @param {number} at @param {number} bytes */
  #rateUntil(at, bytes) {
    /** @type {Sample | undefined} */
    let from;
    for (let i = this.#samples.length - 1; i >= 0; i -= 1) {
      const sample = this.#samples[i];
      if (!sample || at - sample.at > GAP_MS || sample.bytes > bytes) break;
      from = sample;
      if (at - sample.at >= WINDOW_MS) break;
    }
    return from && at > from.at ? ((bytes - from.bytes) * 8000) / (at - from.at) : null;
  }

  /** @param {number} now */
  draw(now) {
    const rates = this.#samples.flatMap(({ rate }) => rate ?? []);
    const top = Math.max(1, ...rates) * 1.12;
    const span = Math.min(SPAN_MS, Math.max(LEAST_SPAN_MS, now - (this.#samples[0]?.at ?? now)));
    /** @param {number} at */
    const across = (at) => ((at - now + span) / span) * WIDTH;
    let line = '';
    let area = '';
    /** @type {string[]} */
    let run = [];
    let runFrom = 0;
    let lastAt = -Infinity;
    const flush = () => {
      if (run.length > 1) {
        line += `M${run.join('L')}`;
        area += `M${runFrom.toFixed(1)},${HEIGHT}L${run.join('L')}L${across(lastAt).toFixed(1)},${HEIGHT}Z`;
      }
      run = [];
    };
    for (const { at, rate } of this.#samples) {
      if (rate === null || at - lastAt > GAP_MS) flush();
      if (rate === null) continue;
      const x = across(at);
      if (run.length === 0) runFrom = x;
      run.push(`${x.toFixed(1)},${(HEIGHT - (rate / top) * (HEIGHT - 2)).toFixed(1)}`);
      lastAt = at;
    }
    flush();
    this.#line.setAttribute('d', line);
    this.#area.setAttribute('d', area);
    const minutes = Math.round(span / 60_000);
    const period = minutes === 1 ? 'minute' : `${minutes} minutes`;
    const text =
      rates.length === 0
        ? 'Bitrate: nothing measured yet'
        : `Bitrate over the last ${period}: ${rateText(Math.min(...rates))} to ${rateText(Math.max(...rates))}`;
    if (this.#title.textContent !== text) this.#title.textContent = text;
  }
}
