// @ts-check
/** What the operator reads about the ladder of a stream. */
import { bitrate, NONE, seconds } from './format.js';

/** @typedef {import('./gateway.js').Warning} Warning */
/** @typedef {import('./operator-api.js').Rendition} Rendition */

const STATES = {
  idle: 'not encoded while nobody watches',
  waiting: 'waits for another ffmpeg to end',
  starting: 'starting',
  live: 'live',
  shed: 'left out, encoding did not keep up',
  failed: 'failed',
  omitted: 'not possible',
};

/** @param {Rendition} rendition */
export function renditionText({ name, state, error, width, height, bitrate: rate, lag }) {
  const size = width && height ? `${width}\u00a0×\u00a0${height}` : '';
  const what = [name, size, bitrate(rate)].filter((part) => part !== '' && part !== NONE).join(', ');
  const behind = state === 'live' && lag !== null ? `, ${seconds(lag)} behind` : '';
  return `${what}: ${STATES[state] ?? state}${behind}${error === null ? '' : `, ${error}`}`;
}

/** What somebody should look at. The source is never affected. @param {readonly Rendition[]} renditions @returns {Warning[]} */
export function renditionFindings(renditions) {
  const failed = renditions.filter(({ state }) => state === 'failed');
  const shed = renditions.filter(({ state }) => state === 'shed');
  /** @param {Rendition[]} list */
  const names = (list) => list.map(({ name }) => name).join(', ');
  return [
    ...(failed.length === 0
      ? []
      : [
          finding(
            'rendition-failed',
            `Not encoded now: ${names(failed)}. ${failed[0]?.error ?? ''}`,
            'The source plays on and encoding is tried again. What ffmpeg said is in the log.',
          ),
        ]),
    ...(shed.length === 0
      ? []
      : [
          finding(
            'rendition-shed',
            `Left out because encoding did not keep up: ${names(shed)}.`,
            'They come back when there is room. A faster preset, fewer renditions or another machine help.',
          ),
        ]),
  ];
}

/** @param {string} code @param {string} message @param {string} fix @returns {Warning} */
function finding(code, message, fix) {
  return { code, severity: 'warning', message, fix };
}
