/** Added to the one and a half target durations within which a playlist must gain a segment, for busy machines. */
const SLACK_MS = 1000;

/**
 * Follows one media playlist from look to look and tells what is wrong with it. Its own reading of the few tags it
 * needs, so that it shares nothing with the gateway.
 */
export function watchPlaylist() {
  /** Addresses by media sequence number, of what is or was listed lately. */
  const listed = new Map();
  let target = null;
  let first = null;
  let last = null;
  let discontinuities = null;
  let changedAt = 0;

  return {
    /** Media is due anew from now on: the publisher has come back. */
    restart: (now) => {
      changedAt = now;
    },
    targetDuration: () => target,
    /**
     * @param {string} text of the playlist
     * @param {boolean} due whether there is a publisher, so that new segments must come
     * @returns what is wrong, and the addresses of segments not seen before
     */
    look: (text, now, due) => {
      const problems = [];
      const playlist = readPlaylist(text);
      if (playlist === null) return { problems: ['what came is no media playlist'], fresh: [] };
      const { sequence, uris } = playlist;
      const newest = sequence + uris.length - 1;
      if (target !== null && playlist.target !== target)
        problems.push(`the target duration changed from ${target} to ${playlist.target}`);
      if (first !== null && sequence < first)
        problems.push(`the media sequence went back from ${first} to ${sequence}`);
      if (last !== null && newest < last) problems.push(`segments ${newest + 1} to ${last} were withdrawn`);
      if (last !== null && sequence > last + 1) problems.push(`gap: ${last} is followed by ${sequence}`);
      if (discontinuities !== null && playlist.discontinuities < discontinuities)
        problems.push(`the discontinuity sequence went back from ${discontinuities}`);
      if (playlist.ended) problems.push('the playlist ended');
      const fresh = [];
      uris.forEach((uri, index) => {
        const number = sequence + index;
        const known = listed.get(number);
        if (known !== undefined && known !== uri) problems.push(`segment ${number} was ${known}, is ${uri}`);
        if (known === undefined) fresh.push(uri);
        listed.set(number, uri);
      });
      for (const number of listed.keys()) if (number < sequence) listed.delete(number);
      if (newest !== last || !due) changedAt = now;
      const still = now - changedAt;
      if (still > 1500 * playlist.target + SLACK_MS) {
        problems.push(`no new segment for ${(still / 1000).toFixed(1)} s`);
        changedAt = now;
      }
      target = playlist.target;
      first = sequence;
      last = newest;
      discontinuities = playlist.discontinuities;
      return { problems, fresh };
    },
  };
}

function readPlaylist(text) {
  const lines = text.split('\n');
  const target = tagValue(lines, '#EXT-X-TARGETDURATION:');
  if (lines[0] !== '#EXTM3U' || target === null) return null;
  return {
    target,
    sequence: tagValue(lines, '#EXT-X-MEDIA-SEQUENCE:') ?? 0,
    discontinuities: tagValue(lines, '#EXT-X-DISCONTINUITY-SEQUENCE:') ?? 0,
    ended: lines.includes('#EXT-X-ENDLIST'),
    uris: lines.filter((line) => line !== '' && !line.startsWith('#')),
  };
}

function tagValue(lines, tag) {
  const line = lines.find((candidate) => candidate.startsWith(tag));
  return line === undefined ? null : Number(line.slice(tag.length));
}
