// @ts-check
/** The streams of the dashboard: one card each for as long as the stream is there, in order of attention. */
import { byAttention, matches } from './attention.js';
import { OperatorCard } from './operator-card.js';

/** @typedef {import('./operator-api.js').StreamView} StreamView */

/** Cards do not move away under a hand that is about to click. */
const HOLD_MS = 4000;

export class OperatorList {
  #list;
  #onKick;
  /** @type {Map<string, OperatorCard>} */
  #cards = new Map();
  /** @type {WeakMap<Element, OperatorCard>} */
  #byElement = new WeakMap();
  #heldUntil = -Infinity;
  #seen = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const card = this.#byElement.get(target);
        if (!card) continue;
        card.visible = isIntersecting;
        card.draw(performance.now());
      }
    },
    { rootMargin: '200px' },
  );

  /** @param {HTMLElement} list @param {(stream: StreamView) => void} onKick */
  constructor(list, onKick) {
    this.#list = list;
    this.#onKick = onKick;
    for (const event of ['pointermove', 'pointerdown', 'keydown', 'focusin']) {
      list.addEventListener(event, () => {
        this.#heldUntil = performance.now() + HOLD_MS;
      });
    }
  }

  /**
   * News: every stream as the gateway has just described it.
   * @param {readonly StreamView[]} streams @param {(stream: StreamView) => { label: string, watch: string }} describe
   */
  update(streams, describe) {
    const now = performance.now();
    /** @type {Set<string>} */
    const present = new Set();
    for (const stream of streams) {
      const key = `${stream.app}/${stream.name}`;
      present.add(key);
      let card = this.#cards.get(key);
      if (!card) {
        card = new OperatorCard(stream, this.#onKick);
        this.#cards.set(key, card);
        this.#byElement.set(card.element, card);
        this.#seen.observe(card.element);
      }
      if (stream.state === 'live') card.graph.add(now, stream.bytes ?? 0);
      const { label, watch } = describe(stream);
      card.update(stream, label, watch);
      card.draw(now);
    }
    for (const [key, card] of this.#cards) {
      if (present.has(key)) continue;
      this.#seen.unobserve(card.element);
      card.element.remove();
      this.#cards.delete(key);
    }
  }

  /** @param {string} query @param {boolean} hold  something is being decided: leave the order @returns {number} how many are shown */
  arrange(query, hold) {
    let shown = 0;
    for (const card of this.#cards.values()) {
      const fits = query === '' || matches(card.stream, query);
      card.element.hidden = !fits;
      if (fits) shown += 1;
    }
    const cards = [...this.#cards.values()];
    if (hold || performance.now() < this.#heldUntil) {
      for (const { element } of cards) if (!element.isConnected) this.#list.append(element);
      return shown;
    }
    cards.sort((a, b) => byAttention(a.stream, b.stream));
    const focused = document.activeElement;
    let next = this.#list.firstElementChild;
    for (const { element } of cards) {
      if (element === next) next = next.nextElementSibling;
      else this.#list.insertBefore(element, next);
    }
    // Moving an element takes its focus away.
    if (focused instanceof HTMLElement && focused !== document.activeElement)
      focused.focus({ preventScroll: true });
    return shown;
  }
}
