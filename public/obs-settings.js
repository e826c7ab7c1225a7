// @ts-check
/** The "Go live with OBS" panel: settings ready to copy. */
import { byId, setText } from './dom.js';

/** @typedef {import('./gateway.js').StreamId} StreamId */

/**
 * The clipboard API exists on secure origins only; over plain http, selecting and copying still works.
 * @param {HTMLInputElement} field
 * @returns {Promise<boolean>}
 */
async function copy(field) {
  if (navigator.clipboard && window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(field.value);
      return true;
    } catch {
      // Refused by a permission: the old way may still work.
    }
  }
  field.focus({ preventScroll: true });
  field.select();
  field.setSelectionRange(0, field.value.length);
  return document.execCommand('copy');
}

/** @param {HTMLButtonElement} button @param {HTMLElement} announce */
function wireCopyButton(button, announce) {
  const field = byId(button.dataset.copy ?? '', HTMLInputElement);
  const label = button.textContent ?? '';
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  button.addEventListener('click', async () => {
    const copied = await copy(field);
    clearTimeout(timer);
    button.dataset.copied = String(copied);
    button.textContent = copied ? 'Copied' : 'Press Ctrl+C';
    setText(announce, copied ? `${button.dataset.what} copied` : 'Selected: copy it with Control C');
    if (copied) button.focus({ preventScroll: true });
    timer = setTimeout(() => {
      button.textContent = label;
      delete button.dataset.copied;
      setText(announce, '');
    }, 1800);
  });
}

export class ObsSettings {
  #gateway;
  #details = byId('obs-details', HTMLDetailsElement);
  #server = byId('obs-server', HTMLInputElement);
  #key = byId('obs-key', HTMLInputElement);
  #hls = byId('obs-hls', HTMLInputElement);
  #page = byId('obs-page', HTMLInputElement);
  /** @type {StreamId | null} */
  #selected = null;
  /** The viewer opened, closed or edited something: leave it so. */
  #touched = false;

  /** @param {import('./gateway.js').Gateway} gateway */
  constructor(gateway) {
    this.#gateway = gateway;
    const announce = byId('copy-status', HTMLElement);
    for (const button of document.querySelectorAll('button[data-copy]')) {
      if (button instanceof HTMLButtonElement) wireCopyButton(button, announce);
    }
    for (const field of [this.#server, this.#hls, this.#page]) {
      field.addEventListener('focus', () => field.select());
    }
    this.#key.addEventListener('input', () => this.#fill());
    this.#details.querySelector('summary')?.addEventListener('click', () => {
      this.#touched = true;
    });
  }

  /** @param {StreamId | null} selected @param {boolean} large Show everything: nobody is live. */
  render(selected, large) {
    if (selected?.name !== this.#selected?.name || selected?.app !== this.#selected?.app) {
      this.#selected = selected;
      if (selected) this.#key.value = selected.name;
    }
    if (!this.#touched && this.#details.open !== large) this.#details.open = large;
    this.#fill();
  }

  /** The empty page shows the panel whatever was clicked before. */
  forceOpen() {
    this.#touched = false;
    this.#details.open = true;
  }

  #fill() {
    const { rtmpPort, defaultApp } = this.#gateway.server;
    const app = this.#selected?.app ?? defaultApp;
    // A key may carry parameters ("name?token=..."): they are no part of the stream's name.
    const name = this.#key.value.trim().split('?')[0] || 'test';
    const host = location.hostname || 'localhost';
    const values = /** @type {[HTMLInputElement, string][]} */ ([
      [this.#server, `rtmp://${host}:${rtmpPort}/${app}`],
      [this.#hls, this.#gateway.hlsUrl({ app, name })],
      [this.#page, this.#gateway.pageUrl({ app, name })],
    ]);
    for (const [field, value] of values) if (field.value !== value) field.value = value;
  }
}
