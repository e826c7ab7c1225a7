// @ts-check
/** The list of streams: one link each, updated in place so that focus and hover stay where they are. */
import { create, setText } from './dom.js';
import { bitrate, duration, frameRate, NONE } from './format.js';
import { sameStream } from './gateway.js';

/** @typedef {import('./gateway.js').Stream} Stream */
/** @typedef {import('./gateway.js').StreamId} StreamId */

/** Enough for a card on a sharp screen. */
const PICTURE_WIDTH = 480;

const STATES = { live: 'Live', grace: 'Reconnecting', ended: 'Ended' };

/** @param {Stream} stream */
function facts(stream) {
  const video = stream.tracks.find((track) => track.kind === 'video');
  const size = video?.width && video.height ? `${video.width} × ${video.height}` : '';
  const picture = video ? size : 'Audio only';
  return [
    picture,
    frameRate(stream.frameRate ?? video?.frameRate),
    bitrate(stream.bitrate),
    duration(stream.uptime),
  ]
    .filter((fact) => fact !== '' && fact !== NONE)
    .map((fact) => fact.replaceAll(' ', '\u00a0'))
    .join(' · ');
}

class Row {
  element = create('li', 'stream');
  #link = create('a', 'stream-link');
  #image = create('img', 'stream-picture');
  #picture;
  #name = create('span', 'stream-name');
  #badge = create('span', 'badge');
  #facts = create('span', 'stream-facts');
  #hints = create('span', 'stream-hints');

  /** @param {import('./pictures.js').Pictures} pictures @param {() => void} onChoose */
  constructor(pictures, onChoose) {
    // The name beside it says all that it could.
    this.#image.alt = '';
    this.#image.hidden = true;
    this.#picture = pictures.add(this.element, (url) => this.#show(url));
    this.#link.append(this.#image, this.#name, this.#badge, this.#facts, this.#hints);
    this.element.append(this.#link);
    this.#link.addEventListener('click', (event) => {
      if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      onChoose();
    });
  }

  /** Only once it can be drawn, so that nothing flickers. @param {string | null} url */
  async #show(url) {
    const next = new Image();
    next.src = url ?? '';
    const drawable = url !== null && (await next.decode().then(always, never));
    if (drawable) this.#image.src = url;
    this.#image.hidden = !drawable;
  }

  /**
   * @param {Stream} stream
   * @param {{ label: string, href: string, picture: string, current: boolean }} place
   */
  update(stream, { label, href, picture, current }) {
    const seen = stream.tracks.some((track) => track.kind === 'video');
    this.#picture.update(seen ? picture : null, stream.state === 'live');
    if (this.#link.href !== href) this.#link.href = href;
    if (current) this.#link.setAttribute('aria-current', 'true');
    else this.#link.removeAttribute('aria-current');
    setText(this.#name, label);
    setText(this.#badge, STATES[stream.state] ?? stream.state);
    this.#badge.dataset.state = stream.state;
    setText(this.#facts, stream.state === 'ended' ? '' : facts(stream));
    const hints = stream.warnings.length;
    setText(this.#hints, hints === 0 ? '' : hints === 1 ? '1 hint' : `${hints} hints`);
    this.#hints.hidden = hints === 0;
  }
}

const always = () => true;
const never = () => false;

export class StreamList {
  /** @type {Map<string, Row>} */
  #rows = new Map();
  #list;
  #gateway;
  #pictures;
  #onChoose;

  /**
   * @param {HTMLElement} list
   * @param {import('./gateway.js').Gateway} gateway
   * @param {import('./pictures.js').Pictures} pictures
   * @param {(id: StreamId) => void} onChoose
   */
  constructor(list, gateway, pictures, onChoose) {
    this.#list = list;
    this.#gateway = gateway;
    this.#pictures = pictures;
    this.#onChoose = onChoose;
  }

  /** @param {StreamId | null} selected */
  render(selected) {
    /** @type {Set<string>} */
    const seen = new Set();
    for (const stream of this.#gateway.streams) {
      const id = { app: stream.app, name: stream.name };
      const key = `${id.app}/${id.name}`;
      seen.add(key);
      let row = this.#rows.get(key);
      if (!row) {
        row = new Row(this.#pictures, () => this.#onChoose(id));
        this.#rows.set(key, row);
      }
      row.update(stream, {
        label: this.#gateway.label(id),
        href: this.#gateway.pageUrl(id),
        picture: this.#gateway.pictureUrl(id, PICTURE_WIDTH),
        current: selected !== null && sameStream(id, selected),
      });
    }
    for (const [key, row] of this.#rows) {
      if (seen.has(key)) continue;
      this.#pictures.remove(row.element);
      row.element.remove();
      this.#rows.delete(key);
    }
    // In the gateway's order; an element already in its place is not touched.
    let index = 0;
    for (const key of seen) {
      const element = this.#rows.get(key)?.element;
      if (element && this.#list.children[index] !== element) {
        this.#list.insertBefore(element, this.#list.children[index] ?? null);
      }
      index += 1;
    }
  }
}
