import type { Publisher, Stream } from '../live/stream.ts';
import type { Hooks } from './hooks.ts';
import { cleanValue, type HookValues } from './variables.ts';

/** What is known of a stream between two events. */
interface Known {
  /** Of the publisher that is there, or was there last. */
  values: HookValues;
  publisher: Publisher | null;
  /** Something can be played. */
  ready: boolean;
}

/** Makes events for hooks out of what happens to streams. */
export interface StreamHooks {
  /** Also when a publisher takes over from another. */
  stateChanged(stream: Stream): void;
  segmentListed(stream: Stream): void;
  /** Its playlist has ENDLIST. */
  ended(stream: Stream): void;
}

export function streamHooks(hooks: Hooks): StreamHooks {
  const streams = new WeakMap<Stream, Known>();
  let publications = 0;

  function knownOf(stream: Stream): Known {
    let known = streams.get(stream);
    if (known === undefined) {
      // One that begins without a publisher goes on with what an earlier process has listed.
      known = { values: valuesOf(stream, ''), publisher: null, ready: stream.state !== 'live' };
      streams.set(stream, known);
    }
    return known;
  }

  function publisherLeft(known: Known): void {
    if (known.publisher === null) return;
    known.publisher = null;
    hooks.endLive(known.values);
    hooks.event(known.values, 'publish-done');
  }

  return {
    stateChanged: (stream) => {
      const known = knownOf(stream);
      if (stream.publisher === known.publisher) return;
      publisherLeft(known);
      if (stream.state !== 'live') return;
      known.publisher = stream.publisher;
      known.values = valuesOf(stream, String(++publications));
      hooks.event(known.values, 'publish');
      if (known.ready) hooks.beginLive(known.values);
    },
    segmentListed: (stream) => {
      const known = knownOf(stream);
      if (known.ready) return;
      known.ready = true;
      hooks.event(known.values, 'ready');
      // Most of these commands play the stream, and before this there is nothing to play.
      if (known.publisher !== null) hooks.beginLive(known.values);
    },
    ended: (stream) => {
      const { values, ready } = knownOf(stream);
      if (ready) hooks.event(values, 'ended');
    },
  };
}

/** The public names only: what a publisher has sent itself must not have its key in it when it comes here. */
function valuesOf({ app, name, publisher }: Stream, clientid: string): HookValues {
  const claims = publisher?.claims;
  return {
    app,
    name,
    args: cleanValue(claims?.query),
    addr: cleanValue(publisher?.address),
    flashver: cleanValue(publisher?.encoder),
    swfurl: cleanValue(claims?.swfUrl),
    tcurl: cleanValue(claims?.tcUrl),
    pageurl: cleanValue(claims?.pageUrl),
    clientid,
  };
}
