// @ts-check
/** The page: ties the gateway's news, the player and the panels together. */
import { byId, create, setText } from './dom.js';
import { bySeverity, fixLine, severityName, worst } from './findings.js';
import { bitrate, channels, codecName, duration, frameRate, NONE, sampleRate, seconds } from './format.js';
import { Gateway, sameStream } from './gateway.js';
import { ObsSettings } from './obs-settings.js';
import { Pictures } from './pictures.js';
import { Player } from './playback.js';
import { QualityMenu } from './quality-menu.js';
import { StreamList } from './stream-list.js';

/** @typedef {import('./gateway.js').Stream} Stream */
/** @typedef {import('./gateway.js').StreamId} StreamId */

const STATS_MS = 500;
const POSTER_WIDTH = 960;

const { body } = document;
const video = byId('video', HTMLVideoElement);
const stage = byId('stage', HTMLElement);
const overlay = byId('overlay', HTMLElement);
const overlayTitle = byId('overlay-title', HTMLElement);
const overlayText = byId('overlay-text', HTMLElement);
const pill = byId('pill', HTMLElement);
const startButton = byId('start', HTMLButtonElement);
const unmuteButton = byId('unmute', HTMLButtonElement);
const pauseButton = byId('pause', HTMLButtonElement);
const muteButton = byId('mute', HTMLButtonElement);
const volume = byId('volume', HTMLInputElement);
const liveButton = byId('live', HTMLButtonElement);
const pipButton = byId('pip', HTMLButtonElement);
const fullscreenButton = byId('fullscreen', HTMLButtonElement);
const streamTitle = byId('stream-title', HTMLElement);
const streamBadge = byId('stream-badge', HTMLElement);
const warnings = byId('warnings', HTMLElement);
const gatewayStatus = byId('gateway-status', HTMLElement);

/** @type {StreamId | null} */
let selected = null;

const gateway = new Gateway();
const player = new Player({
  video,
  still: byId('still', HTMLCanvasElement),
  supply,
  session: () => (selected ? gateway.find(selected)?.startedAt : undefined),
  clockOffset: () => gateway.clockOffset,
  onChange: render,
  onTrouble: () => gateway.refresh(),
});
const pictures = new Pictures();
const poster = pictures.add(stage, (url) => {
  if (url === null) video.removeAttribute('poster');
  else video.poster = url;
});
const list = new StreamList(byId('stream-list', HTMLElement), gateway, pictures, (id) => choose(id, true));
const qualityMenu = new QualityMenu(
  {
    root: byId('quality', HTMLElement),
    mode: byId('quality-mode', HTMLElement),
    now: byId('quality-now', HTMLElement),
    select: byId('quality-select', HTMLSelectElement),
  },
  (key) => player.chooseQuality(key),
);
const obs = new ObsSettings(gateway);

/** @returns {import('./playback.js').Supply} */
function supply() {
  if (!selected || !gateway.fresh) return 'unknown';
  return gateway.find(selected)?.state ?? 'unlisted';
}

/** @param {StreamId | null} id @param {boolean} remember  as a step of the browser's history */
function choose(id, remember) {
  selected = id;
  poster.clear();
  const address = gateway.addressFor(id);
  if (remember && address !== location.href) history.pushState(null, '', address);
  else history.replaceState(null, '', address);
  video.muted = true;
  player.open(id === null ? null : gateway.playlistUrl(id));
  render();
  if (remember && id !== null) stage.scrollIntoView({ block: 'nearest' });
}

// ---- what is shown ----

function render() {
  const stream = selected ? gateway.find(selected) : undefined;
  const nothing = gateway.streams.every((item) => item.state === 'ended');
  const answered = gateway.reachable !== null && (gateway.reachable || gateway.streams.length > 0);

  body.dataset.playback = player.state;
  body.dataset.paused = String(player.paused);
  body.dataset.muted = String(video.muted || video.volume === 0);
  const layout = selected ? 'watch' : !answered ? 'loading' : nothing ? 'empty' : 'browse';
  const changed = body.dataset.layout !== layout;
  body.dataset.layout = layout;
  body.dataset.streams = nothing ? 'none' : 'some';

  list.render(selected);
  obs.render(selected, nothing && answered);
  if (changed && layout === 'empty') obs.forceOpen();

  gatewayStatus.dataset.state =
    gateway.reachable === null ? 'asking' : gateway.reachable ? 'connected' : 'reconnecting';
  setText(
    gatewayStatus,
    gateway.reachable === null
      ? 'Connecting…'
      : gateway.reachable
        ? liveCount()
        : 'Gateway not answering, trying again…',
  );
  setText(
    byId('version', HTMLElement),
    gateway.server.version ? `Sluice ${gateway.server.version}` : 'Sluice',
  );

  renderStage(stream);
  renderFacts(stream);
  renderWarnings(stream);
  renderStats();

  const name = selected ? gateway.label(selected) : '';
  document.title = selected ? `${name} · Sluice` : 'Sluice · live video';
}

function liveCount() {
  const count = gateway.streams.filter((stream) => stream.state === 'live').length;
  if (count === 0 && gateway.streams.some((stream) => stream.state === 'grace'))
    return 'A stream is reconnecting';
  return count === 0 ? 'Nobody is live' : count === 1 ? '1 stream live' : `${count} streams live`;
}

/** @param {Stream | undefined} stream */
function renderStage(stream) {
  if (!selected) return;
  setText(streamTitle, gateway.label(selected));
  const state = badgeState(stream);
  streamBadge.dataset.state = state;
  setText(
    streamBadge,
    {
      live: 'Live',
      grace: 'Reconnecting',
      ended: 'Ended',
      absent: 'Not live',
      denied: 'No access',
      unknown: 'Checking',
    }[state],
  );

  const hasVideo = stream?.tracks.some((track) => track.kind === 'video') ?? false;
  const qualities = player.qualities();
  qualityMenu.render(qualities);
  const soundAlone = qualities.variants.some(({ key, width }) => key === qualities.current && width === 0);
  const audioOnly = stream !== undefined && stream.tracks.length > 0 && !hasVideo;
  body.dataset.audioOnly = String(audioOnly || (soundAlone && hasVideo));
  // Only where there is no picture yet.
  const bare = player.state === 'waiting' && hasVideo && !player.denied;
  poster.update(bare && selected !== null ? gateway.pictureUrl(selected, POSTER_WIDTH) : null, false);

  const waiting = player.state === 'waiting' && !player.blocked;
  overlay.hidden = !waiting;
  const [title, text] = waiting ? waitingText(stream) : ['', ''];
  setText(overlayTitle, title);
  setText(overlayText, text);
  overlay.dataset.calm = String(player.unsupported || player.denied);

  const stalled = player.state === 'stalled';
  pill.hidden = !stalled;
  setText(pill, stalled ? stalledText() : '');

  startButton.hidden = !player.blocked;
  const active = player.state === 'playing' || player.state === 'stalled';
  unmuteButton.hidden = !video.muted || !active || player.paused || player.blocked;
  const still = player.paused || player.blocked;
  pauseButton.disabled = !active;
  pauseButton.setAttribute('aria-label', still ? 'Play' : 'Pause');
  muteButton.setAttribute('aria-label', video.muted ? 'Unmute' : 'Mute');
  liveButton.disabled = !active;
  pipButton.disabled = !active || video.videoWidth === 0;
  fullscreenButton.disabled = !fullscreenTarget();
  const level = video.muted ? '0' : String(video.volume);
  if (volume.value !== level) volume.value = level;
}

function stalledText() {
  if (gateway.reachable === false) return 'The gateway does not answer. Trying again…';
  return supply() === 'grace' ? 'The encoder is reconnecting…' : 'Catching up…';
}

/** Streams need not be in the list: those are known by whether they play. @param {Stream | undefined} stream */
function badgeState(stream) {
  if (player.denied) return 'denied';
  if (!gateway.fresh) return 'unknown';
  if (stream) return stream.state;
  if (player.ended) return 'ended';
  return player.state === 'playing' || player.state === 'stalled' ? 'live' : 'absent';
}

/** @param {Stream | undefined} stream @returns {[string, string]} */
function waitingText(stream) {
  const name = selected ? gateway.label(selected) : '';
  if (player.unsupported) {
    const codecs = (stream?.tracks ?? []).map((track) => codecName(track.codec)).join(' and ');
    return [
      'This browser has no decoder for this stream',
      `${codecs ? `It carries ${codecs}. ` : ''}Another browser may play it; H.264 video with AAC audio plays everywhere.`,
    ];
  }
  if (player.denied) {
    const expired = selected !== null && gateway.tokenFor(selected) !== null;
    return [
      expired ? 'This link has expired or is not valid' : 'This stream needs a link of its own',
      'Ask the person who shared the stream with you for a new link.',
    ];
  }
  if (gateway.reachable === false) {
    return ['Reconnecting to the gateway', 'It does not answer just now. Playback goes on here by itself.'];
  }
  switch (supply()) {
    case 'live':
      return ['Opening the stream', ''];
    case 'grace':
      return [
        'The encoder is reconnecting',
        'Its connection dropped. The picture comes back here by itself.',
      ];
    case 'ended':
    case 'unlisted':
      if (player.ended) return ['The stream has ended', 'If it starts again, it plays here by itself.'];
      return [
        'Waiting for the stream',
        `“${name}” is not live yet. It starts here by itself, no reload needed.`,
      ];
    default:
      return ['Waiting for the stream', ''];
  }
}

/** @param {Stream | undefined} stream */
function renderFacts(stream) {
  byId('facts', HTMLElement).hidden = stream === undefined;
  const shown = stream?.tracks.filter((track) => track.inHls !== false) ?? [];
  const picture = shown.find((track) => track.kind === 'video');
  const sound = shown.find((track) => track.kind === 'audio');
  const size = picture?.width && picture.height ? `${picture.width} × ${picture.height}` : '';
  fact('fact-video', picture ? [codecName(picture.codec), size].filter(Boolean).join(', ') : NONE);
  fact('fact-rate', frameRate(stream?.frameRate ?? picture?.frameRate));
  fact('fact-keyframes', seconds(stream?.keyframeInterval));
  fact(
    'fact-audio',
    sound
      ? [codecName(sound.codec), sampleRate(sound.sampleRate), channels(sound.channels)]
          .filter((part) => part !== NONE)
          .join(', ')
      : NONE,
  );
  fact('fact-bitrate', bitrate(stream?.bitrate));
  fact('fact-uptime', stream && stream.state !== 'ended' ? duration(stream.uptime) : NONE);
}

/** @param {string} id @param {string} text */
function fact(id, text) {
  setText(byId(id, HTMLElement), text);
}

let warningsShown = '';

/** @param {Stream | undefined} stream */
function renderWarnings(stream) {
  const items = bySeverity(stream?.warnings ?? []);
  const signature = JSON.stringify(items);
  if (signature === warningsShown) return;
  warningsShown = signature;
  warnings.replaceChildren(
    ...items.map((item) => {
      const entry = create('li', 'hint');
      const message = create('p', 'hint-message', item.message);
      message.prepend(create('span', 'hint-severity', severityName(item)), ' ');
      entry.append(message);
      if (item.fix) entry.append(fixLine('hint-fix', item.fix));
      return entry;
    }),
  );
  const hints = byId('hints', HTMLElement);
  hints.hidden = items.length === 0;
  hints.dataset.severity = worst(items);
}

function renderStats() {
  if (!selected) return;
  const stats = player.stats();
  fact('stat-latency', seconds(stats.latency));
  fact('stat-resolution', stats.width > 0 ? `${stats.width} × ${stats.height}` : NONE);
  fact('stat-bitrate', bitrate(stats.bitrate));
  fact(
    'stat-dropped',
    stats.dropped === null || stats.frames === null ? NONE : `${stats.dropped} of ${stats.frames}`,
  );
  fact('stat-buffer', seconds(stats.buffer));
  level('stat-latency', stats.latency, 20);
  level('stat-buffer', stats.buffer, 12);

  liveButton.dataset.live = String(stats.atLive && player.state === 'playing');
  const atLive = stats.atLive || player.state !== 'playing';
  setText(byId('live-label', HTMLElement), atLive ? 'Live' : 'Go to live');
}

/** How full a tile's water mark is. @param {string} id @param {number | null} value @param {number} full */
function level(id, value, full) {
  const tile = byId(id, HTMLElement).parentElement;
  tile?.style.setProperty('--level', String(Math.min(1, Math.max(0, (value ?? 0) / full))));
}

// ---- what is clicked ----

function unmute() {
  video.muted = false;
  if (video.volume === 0) video.volume = 1;
  // The big button goes away: its focus goes to the one that stays.
  if (document.activeElement === unmuteButton) muteButton.focus({ preventScroll: true });
}

function toggleMute() {
  if (video.muted || video.volume === 0) unmute();
  else video.muted = true;
}

/** @typedef {HTMLVideoElement & { webkitEnterFullscreen?: () => void }} IosVideo */

/** @returns {(() => void) | null} */
function fullscreenTarget() {
  if (document.fullscreenEnabled) {
    return () => {
      stage.requestFullscreen().catch(() => {});
    };
  }
  // Telephones by Apple: the video element alone goes full screen.
  const ios = /** @type {IosVideo} */ (video);
  return ios.webkitEnterFullscreen ? () => ios.webkitEnterFullscreen?.() : null;
}

function toggleFullscreen() {
  if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
  else fullscreenTarget()?.();
}

function togglePip() {
  if (document.pictureInPictureElement) document.exitPictureInPicture().catch(() => {});
  else video.requestPictureInPicture().catch(() => {});
}

startButton.addEventListener('click', () => player.togglePause());
unmuteButton.addEventListener('click', unmute);
pauseButton.addEventListener('click', () => player.togglePause());
video.addEventListener('click', () => {
  if (!pauseButton.disabled) player.togglePause();
});
muteButton.addEventListener('click', toggleMute);
liveButton.addEventListener('click', () => player.goLive());
fullscreenButton.addEventListener('click', toggleFullscreen);
pipButton.addEventListener('click', togglePip);
pipButton.hidden = !document.pictureInPictureEnabled;
volume.addEventListener('input', () => {
  video.volume = Number(volume.value);
  video.muted = video.volume === 0;
});
video.addEventListener('volumechange', render);
document.addEventListener('fullscreenchange', () => {
  fullscreenButton.setAttribute(
    'aria-label',
    document.fullscreenElement ? 'Leave full screen' : 'Full screen',
  );
});
stage.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement) return;
  const onButton = event.target instanceof HTMLButtonElement;
  if (event.key === 'm') toggleMute();
  else if (event.key === 'f') toggleFullscreen();
  else if ((event.key === 'k' || (event.key === ' ' && !onButton)) && !pauseButton.disabled)
    player.togglePause();
  else return;
  event.preventDefault();
});
for (const link of document.querySelectorAll('[data-home]')) {
  link.addEventListener('click', (event) => {
    if (event instanceof MouseEvent && (event.ctrlKey || event.metaKey || event.shiftKey)) return;
    event.preventDefault();
    choose(null, true);
  });
}
window.addEventListener('popstate', () => choose(gateway.selectedInAddress(), false));

// ---- start ----

let defaultApp = gateway.server.defaultApp;
gateway.addEventListener('change', () => {
  if (gateway.server.defaultApp !== defaultApp) {
    // The address was read before the gateway had told its default application.
    defaultApp = gateway.server.defaultApp;
    const again = gateway.selectedInAddress();
    if (selected && again && !sameStream(again, selected)) choose(again, false);
  }
  // The gateway's own word on the address goes before the usual one.
  if (selected && gateway.find(selected)) player.open(gateway.playlistUrl(selected));
  player.update();
  render();
});
const first = gateway.selectedInAddress();
if (first) choose(first, false);
render();
gateway.start();
setInterval(() => {
  if (!document.hidden) renderStats();
}, STATS_MS);
