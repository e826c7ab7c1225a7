import type { SegmentBody } from '../media/segment-body.ts';
import type { StreamState } from './rendition-state.ts';

/**
 * Where finished segments are kept. A name is `<folder>/<file>`, the folder being what `streamFolder` gives. It is
 * written once and never again, so what is read never changes.
 */
export interface SegmentStore {
  /**
   * Resolves when the segment can be read by its name.
   *
   * @param body from here on the store holds it, also when it throws
   * @throws SluiceError SLUICE_STORE_FULL
   */
  put(name: string, body: SegmentBody): Promise<void>;
  /** The whole segment, held by the caller, or null when it is not (or no longer) there. */
  get(name: string): Promise<SegmentBody | null>;
  delete(name: string): Promise<void>;
  /** Size of all that is stored. */
  readonly bytes: number;
}

/** Where playlists are kept as files beside the segments. The newest text of a name wins. */
export interface PlaylistFiles {
  putPlaylist(name: string, playlist: string): void;
  deletePlaylist(name: string): Promise<void>;
}

/** What is remembered of streams over a restart, by their folder. A failure is reported elsewhere and not thrown. */
export interface StreamJournal {
  /** Resolves when this or a newer state is written, or could not be. */
  save(folder: string, state: StreamState): Promise<void>;
  remove(folder: string): Promise<void>;
}
