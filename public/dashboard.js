// @ts-check
/** The dashboard: what the gateway tells its operator, and the one thing an operator does here. */
import { needsAttention } from './attention.js';
import { byId, setText } from './dom.js';
import { bitrate, bytes, duration, NONE } from './format.js';
import { OperatorApi, Refusal } from './operator-api.js';
import { OperatorList } from './operator-list.js';

/** @typedef {import('./operator-api.js').StreamView} StreamView */

/** With fewer streams than this a search helps nobody. */
const MANY = 8;
/** Seconds a name stays closed after its publisher was disconnected: encoders try again at once. */
const BLOCK_SECONDS = 30;

const { body } = document;
const status = byId('gateway-status', HTMLElement);
const filter = byId('filter', HTMLInputElement);
const tokenForm = byId('token-form', HTMLFormElement);
const tokenField = byId('token', HTMLInputElement);
const dialog = byId('kick', HTMLDialogElement);
const dialogError = byId('kick-error', HTMLElement);
const confirmButton = byId('kick-confirm', HTMLButtonElement);
const announce = byId('announce', HTMLElement);

const api = new OperatorApi();
const list = new OperatorList(byId('streams', HTMLElement), askToDisconnect);
/** The stream that the dialog is about. @type {StreamView | null} */
let leaving = null;

/** @param {import('./gateway.js').StreamId} id "name", or "app/name" outside the default application. */
function label({ app, name }) {
  return app === api.server?.defaultApp ? name : `${app}/${name}`;
}

/** @param {StreamView} stream */
function watchAddress(stream) {
  const path = label(stream).split('/').map(encodeURIComponent).join('/');
  return `./?stream=${path}`;
}

// ---- what is shown ----

function render() {
  const { access, streams } = api;
  const layout = access === 'lost' && api.answeredAt === null ? 'unreachable' : access;
  const changed = body.dataset.access !== layout;
  body.dataset.access = layout;
  body.dataset.empty = String(streams.length === 0);
  if (access === 'ready' || access === 'token' || access === 'locked') {
    list.update(streams, (stream) => ({ label: label(stream), watch: watchAddress(stream) }));
  }
  renderList();
  renderServer();
  renderStatus();
  if (access === 'token') {
    byId('token-rejected', HTMLElement).hidden = !api.rejected;
    if (changed) {
      dialog.close();
      tokenField.focus();
    } else if (api.rejected) {
      tokenField.select();
    }
  }
}

function renderList() {
  const total = api.streams.length;
  const query = filter.value.trim();
  byId('filter-row', HTMLElement).hidden = total < MANY && query === '';
  const shown = list.arrange(query, dialog.open);
  setText(byId('filter-count', HTMLElement), query === '' ? '' : `${shown} of ${total}`);
  byId('filter-none', HTMLElement).hidden = shown > 0 || total === 0;
}

function renderServer() {
  const { server, streams } = api;
  const live = streams.filter(({ state }) => state === 'live');
  const attention = streams.filter(needsAttention).length;
  fact('sum-live', String(live.length));
  fact('sum-attention', String(attention));
  byId('sum-attention', HTMLElement).dataset.some = String(attention > 0);
  fact('sum-bitrate', bitrate(live.reduce((sum, stream) => sum + stream.bitrate, 0)));
  fact('server-uptime', duration(server?.uptime));
  fact('server-memory', bytes(server?.memory?.rss));
  fact('server-store', bytes(server?.storeBytes));
  fact('server-rtmp', server?.rtmpConnections?.toLocaleString('en') ?? NONE);
  setText(
    byId('version', HTMLElement),
    server
      ? ['Sluice', server.version, server.node && `Node ${server.node.replace(/^v/, '')}`]
          .filter(Boolean)
          .join(' · ')
      : 'Sluice',
  );
  setText(byId('publish-address', HTMLElement), publishAddress());
  document.title = `${attention > 0 ? `(${attention}) ` : ''}Dashboard · Sluice`;
}

function publishAddress() {
  const { rtmpPort, defaultApp } = api.server ?? { rtmpPort: 1935, defaultApp: 'live' };
  return `rtmp://${location.hostname || 'localhost'}:${rtmpPort ?? 1935}/${defaultApp}`;
}

function renderStatus() {
  const { access, answeredAt, trouble } = api;
  const since = answeredAt?.toLocaleTimeString();
  status.dataset.state = access === 'ready' ? 'connected' : access === 'lost' ? 'reconnecting' : 'asking';
  setText(
    status,
    {
      asking: 'Connecting…',
      ready: 'Connected',
      token: 'Token needed',
      locked: 'No access from here',
      lost: 'Connection lost, trying again…',
    }[access],
  );
  const lost = byId('lost', HTMLElement);
  lost.hidden = access !== 'lost';
  const what =
    trouble === '' ? 'The gateway does not answer.' : `The gateway answers with an error: ${trouble}`;
  const shown = since === undefined ? '' : ` Everything below is from ${since}.`;
  setText(byId('lost-text', HTMLElement), access === 'lost' ? `${what}${shown} Trying again by itself.` : '');
  // What is old cannot be acted on.
  byId('board', HTMLElement).inert = access === 'lost';
}

/** @param {string} id @param {string} text */
function fact(id, text) {
  setText(byId(id, HTMLElement), text);
}

// ---- what is clicked ----

/** @param {StreamView} stream */
function askToDisconnect(stream) {
  leaving = stream;
  const act = stream.state === 'grace' ? 'End' : 'Disconnect';
  setText(byId('kick-title', HTMLElement), `${act} ${label(stream)}?`);
  setText(confirmButton, act);
  const who = [stream.publisher?.address, stream.publisher?.encoder].filter(Boolean).join(' · ');
  setText(byId('kick-who', HTMLElement), who);
  dialogError.hidden = true;
  confirmButton.disabled = false;
  dialog.showModal();
}

async function disconnect() {
  if (!leaving) return;
  const stream = leaving;
  confirmButton.disabled = true;
  try {
    await api.disconnect(stream, BLOCK_SECONDS);
    dialog.close();
    setText(announce, `${label(stream)} is over`);
  } catch (error) {
    confirmButton.disabled = false;
    dialogError.hidden = false;
    setText(
      dialogError,
      error instanceof Refusal
        ? error.message
        : 'The gateway does not answer. Nothing was disconnected, as far as is known here.',
    );
  }
}

byId('kick-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  void disconnect();
});
byId('kick-cancel', HTMLButtonElement).addEventListener('click', () => dialog.close());
dialog.addEventListener('close', () => {
  leaving = null;
});

tokenForm.addEventListener('submit', (event) => {
  event.preventDefault();
  const token = tokenField.value.trim();
  if (token === '') return;
  tokenField.value = '';
  api.enter(token);
});

filter.addEventListener('input', renderList);
document.addEventListener('keydown', (event) => {
  const typing = event.target instanceof HTMLInputElement;
  if (event.key === 'Escape' && event.target === filter && filter.value !== '') {
    filter.value = '';
    renderList();
  } else if (event.key === '/' && !typing && !dialog.open && !byId('filter-row', HTMLElement).hidden) {
    filter.focus();
  } else return;
  event.preventDefault();
});

// ---- start ----

api.addEventListener('change', render);
render();
api.start();
