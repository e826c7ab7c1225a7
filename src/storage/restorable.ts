import { streamFolder } from '../live/stream-name.ts';
import type { RenditionState, StreamState } from '../packaging/rendition-state.ts';

/** Names of all segments that a state refers to. */
export function segmentsOf({ app, name, rendition, aligned }: StreamState): string[] {
  const folder = streamFolder(app, name);
  const all = rendition === null ? aligned : [rendition, ...aligned];
  return all.flatMap(({ segments, retired }) =>
    [...segments, ...retired].map(({ uri }) => `${folder}/${uri}`),
  );
}

/**
 * What of a state can go on: a playlist cannot have holes, so one begins anew when a listed segment is not there as it was
 * written.
 */
export function withoutLost(state: StreamState, sizeOf: (segment: string) => number | null): StreamState {
  const { rendition, aligned } = state;
  const folder = streamFolder(state.app, state.name);
  const isWhole = ({ segments }: RenditionState) =>
    segments.every(({ uri, bytes }) => sizeOf(`${folder}/${uri}`) === bytes);
  if (rendition === null || !isWhole(rendition)) return { ...state, rendition: null, aligned: [] };
  return { ...state, aligned: aligned.filter(isWhole) };
}
