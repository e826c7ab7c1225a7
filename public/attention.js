// @ts-check
/** What an operator should look at first, and what belongs to a search. */

/** @typedef {import('./operator-api.js').StreamView} StreamView */
/** @typedef {'poor' | 'away' | 'fair' | 'good' | 'ended'} Condition */

/** @type {readonly Condition[]} The worst first. */
const ORDER = ['poor', 'away', 'fair', 'good', 'ended'];

/** @param {StreamView} stream @returns {Condition} */
export function conditionOf(stream) {
  if (stream.state === 'ended') return 'ended';
  if (stream.state === 'grace') return stream.health === 'poor' ? 'poor' : 'away';
  return stream.health ?? 'good';
}

/** @param {StreamView} stream */
export function needsAttention(stream) {
  const condition = conditionOf(stream);
  return condition === 'poor' || condition === 'away';
}

/** @param {StreamView} a @param {StreamView} b */
export function byAttention(a, b) {
  const rank = ORDER.indexOf(conditionOf(a)) - ORDER.indexOf(conditionOf(b));
  if (rank !== 0) return rank;
  return compare(a.app, b.app) || compare(a.name, b.name);
}

/** @param {string} a @param {string} b */
function compare(a, b) {
  return collator.compare(a, b);
}

const collator = new Intl.Collator(undefined, { numeric: true });

/** Every word of the query has to occur somewhere. @param {StreamView} stream @param {string} query */
export function matches(stream, query) {
  const text = [
    `${stream.app}/${stream.name}`,
    stream.state,
    conditionOf(stream),
    stream.publisher?.address,
    stream.publisher?.encoder,
    ...stream.tracks.map((track) => track.codec),
    ...stream.warnings.flatMap(({ code, message }) => [code, message]),
  ]
    .join(' ')
    .toLowerCase();
  return query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
