// @ts-check
/** One stream of the dashboard, updated in place. */
import { conditionOf } from './attention.js';
import { BitrateGraph, rateText } from './bitrate-graph.js';
import { create, setText } from './dom.js';
import { bySeverity, fixLine, severityName } from './findings.js';
import { bytes, channels, codecName, duration, frameRate, NONE, sampleRate, seconds } from './format.js';
import { renditionFindings, renditionText } from './renditions.js';

/** @typedef {import('./operator-api.js').StreamView} StreamView */
/** @typedef {import('./gateway.js').Track} Track */
/** @typedef {import('./gateway.js').Warning} Warning */

const STATES = { live: 'Live', grace: 'Encoder away', ended: 'Ended' };
const HEALTH = { poor: 'Poor', fair: 'Fair', good: 'Good' };

/** The parts that are known, as one text. @param {string[]} parts */
function joined(parts) {
  return parts.filter((part) => part !== '' && part !== NONE).join(', ') || NONE;
}

/** @param {Track | undefined} track @param {number | null} rate */
function picture(track, rate) {
  if (!track) return NONE;
  const size = track.width && track.height ? `${track.width}\u00a0×\u00a0${track.height}` : '';
  return joined([codecName(track.codec), size, frameRate(rate ?? track.frameRate)]);
}

/** @param {Track | undefined} track */
function sound(track) {
  return track
    ? joined([codecName(track.codec), sampleRate(track.sampleRate), channels(track.channels)])
    : NONE;
}

/** @param {Warning} finding */
function findingItem(finding) {
  const item = create('li', 'finding');
  item.dataset.severity = finding.severity ?? 'warning';
  const text = create('div', 'finding-text');
  text.append(create('p', 'finding-message', finding.message));
  if (finding.fix) text.append(fixLine('finding-fix', finding.fix));
  item.append(create('span', 'finding-severity', severityName(finding)), text);
  return item;
}

export class OperatorCard {
  element = create('li', 'card');
  /** Drawn only while it can be seen: there may be hundreds. */
  visible = true;
  graph = new BitrateGraph();
  /** @type {StreamView} */
  stream;

  #name = create('h3', 'card-name');
  #health = create('span', 'health');
  #badge = create('span', 'badge');
  #publisher = create('p', 'card-publisher');
  #rate = create('p', 'card-rate');
  #watch = create('a', 'button', 'Watch');
  #kick = create('button', 'button danger', 'Disconnect');
  #findings = create('ul', 'findings');
  #more = create('details', 'more');
  #summary = create('summary', '');
  #details = create('div', 'more-body');
  #findingsShown = '';
  #detailsShown = '';
  /** @type {Record<'video' | 'audio' | 'keyframes' | 'uptime', HTMLElement>} */
  #facts;

  /** @param {StreamView} stream @param {(stream: StreamView) => void} onKick */
  constructor(stream, onKick) {
    this.stream = stream;
    const who = create('div', 'card-who');
    const marks = create('p', 'card-marks');
    marks.append(this.#health, this.#badge);
    who.append(this.#name, marks, this.#publisher);

    const flow = create('div', 'card-flow');
    flow.append(this.graph.element, this.#rate);

    const facts = create('dl', 'card-facts');
    /** @param {string} label */
    const fact = (label) => {
      const pair = create('div', 'card-fact');
      const value = create('dd', '', NONE);
      pair.append(create('dt', '', label), value);
      facts.append(pair);
      return value;
    };
    this.#facts = {
      video: fact('Video'),
      audio: fact('Audio'),
      keyframes: fact('Keyframes'),
      uptime: fact('Up'),
    };

    const actions = create('div', 'card-actions');
    actions.append(this.#watch, this.#kick);
    this.#kick.type = 'button';
    this.#kick.addEventListener('click', () => onKick(this.stream));
    this.#more.append(this.#summary, this.#details);
    this.#more.addEventListener('toggle', () => this.#renderDetails());
    this.element.append(who, flow, facts, actions, this.#findings, this.#more);
  }

  /** @param {StreamView} stream @param {string} label @param {string} watch the player page for it */
  update(stream, label, watch) {
    this.stream = stream;
    const condition = conditionOf(stream);
    this.element.dataset.condition = condition;
    setText(this.#name, label);
    setText(this.#badge, STATES[stream.state] ?? stream.state);
    this.#badge.dataset.state = stream.state;
    const health = stream.health ?? 'good';
    // An encoder that is away is not doing well, however well it did.
    this.#health.hidden = stream.state === 'ended' || (stream.state === 'grace' && health === 'good');
    setText(this.#health, HEALTH[health] ?? '');
    this.#health.dataset.health = health;
    setText(
      this.#publisher,
      stream.publisher
        ? [stream.publisher.address, stream.publisher.encoder].filter(Boolean).join(' · ')
        : stream.state === 'grace'
          ? `Nobody connected, waiting for the encoder${stream.slate ? '; viewers see the slate' : ''}`
          : 'Nobody connected',
    );
    const live = stream.state === 'live';
    setText(this.#rate, live ? rateText(this.graph.rate ?? stream.bitrate) : NONE);
    const { video, audio, keyframes, uptime } = this.#facts;
    setText(video, picture(shown(stream, 'video'), stream.frameRate));
    setText(audio, sound(shown(stream, 'audio')));
    setText(keyframes, seconds(stream.keyframeInterval));
    setText(uptime, stream.state === 'ended' ? NONE : duration(stream.uptime));
    if (this.#watch.getAttribute('href') !== watch) {
      this.#watch.href = watch;
      this.#watch.setAttribute('aria-label', `Watch ${label}`);
    }
    // Without an encoder there still is a stream that waits for one.
    const act = stream.state === 'grace' ? 'End' : 'Disconnect';
    setText(this.#kick, act);
    this.#kick.setAttribute('aria-label', `${act} ${label}`);
    this.#kick.disabled = stream.state === 'ended';
    this.#renderFindings();
    if (this.#more.open) this.#renderDetails();
  }

  /** @param {number} now */
  draw(now) {
    if (this.visible) this.graph.draw(now);
  }

  #renderFindings() {
    const { warnings, renditions = [] } = this.stream;
    const findings = bySeverity([...warnings, ...renditionFindings(renditions)]);
    const signature = JSON.stringify(findings);
    if (signature === this.#findingsShown) return;
    this.#findingsShown = signature;
    const urgent = findings.filter(({ severity }) => severity !== 'notice');
    const notices = findings.length - urgent.length;
    this.#findings.replaceChildren(...urgent.map(findingItem));
    this.#findings.hidden = urgent.length === 0;
    setText(
      this.#summary,
      notices === 0 ? 'Details' : `Details and ${notices === 1 ? '1 notice' : `${notices} notices`}`,
    );
    this.#detailsShown = '';
  }

  #renderDetails() {
    const { stream } = this;
    const rows = /** @type {[string, string][]} */ ([
      ...stream.tracks.map((track) => ['Track', trackText(track)]),
      ...(stream.renditions ?? []).map((rendition) => ['Rendition', renditionText(rendition)]),
      ['Target duration', seconds(stream.targetDuration, 0)],
      ['Media sequence', stream.mediaSequence?.toString() ?? NONE],
      ['Received', bytes(stream.bytes)],
      ['Started', new Date(stream.startedAt).toLocaleString()],
      ['Playlist', stream.hls ?? NONE],
    ]);
    const signature = JSON.stringify(rows);
    if (signature === this.#detailsShown) return;
    this.#detailsShown = signature;
    const list = create('dl', 'more-facts');
    for (const [label, value] of rows) list.append(create('dt', '', label), create('dd', '', value));
    const notices = create('ul', 'findings');
    notices.append(...stream.warnings.filter(({ severity }) => severity === 'notice').map(findingItem));
    this.#details.replaceChildren(...(notices.childElementCount > 0 ? [notices] : []), list);
  }
}

/** The track of a kind that viewers get, or the first that there is. @param {StreamView} stream @param {'video' | 'audio'} kind */
function shown(stream, kind) {
  const tracks = stream.tracks.filter((track) => track.kind === kind);
  return tracks.find((track) => track.inHls !== false) ?? tracks[0];
}

/** @param {Track} track */
function trackText(track) {
  const text = track.kind === 'video' ? picture(track, null) : sound(track);
  const codec = track.codecString ? ` (${track.codecString})` : '';
  const name = `${text}${codec}`;
  if (track.inHls === false) return `${name}: not in HLS, ${track.reason ?? 'unknown reason'}`;
  return track.policy === 'transcode' ? `${name}: converted by ffmpeg` : name;
}
