// @ts-check
/** Which quality plays, and a choice of them: the browser's own menu, which every keyboard and telephone knows. */
import { setText } from './dom.js';
import { variantName, variantTitle } from './variants.js';

/** @typedef {import('./variants.js').Variant} Variant */
/**
 * @typedef {object} Qualities
 * @property {readonly Variant[]} variants  the best first
 * @property {string | null} chosen   null while the player decides
 * @property {string | null} current  what is shown now
 */

const AUTO = '';

export class QualityMenu {
  #root;
  #mode;
  #now;
  #select;
  #signature = '';

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.root
   * @param {HTMLElement} elements.mode
   * @param {HTMLElement} elements.now
   * @param {HTMLSelectElement} elements.select
   * @param {(key: string | null) => void} onChoose
   */
  constructor({ root, mode, now, select }, onChoose) {
    this.#root = root;
    this.#mode = mode;
    this.#now = now;
    this.#select = select;
    select.addEventListener('change', () => onChoose(select.value === AUTO ? null : select.value));
  }

  /** @param {Qualities} qualities */
  render({ variants, chosen, current }) {
    this.#root.hidden = variants.length < 2;
    if (variants.length < 2) return;
    // A change of the entries closes an open menu: only when there are others. Their bitrates are measured anew all
    // the time.
    const signature = variants.map((variant) => `${variant.key} ${variantName(variant)}`).join();
    if (signature !== this.#signature) {
      this.#signature = signature;
      this.#select.replaceChildren(
        new Option('Auto', AUTO),
        ...variants.map((variant) => new Option(variantTitle(variant), variant.key)),
      );
    }
    if (this.#select.value !== (chosen ?? AUTO)) this.#select.value = chosen ?? AUTO;
    const shown = variants.find(({ key }) => key === (current ?? chosen));
    this.#mode.hidden = chosen !== null || shown === undefined;
    setText(this.#now, shown ? variantName(shown) : 'Auto');
  }
}
