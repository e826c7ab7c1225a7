/**
 * - `idle`: nobody watches
 * - `waiting`: for a free job
 * - `starting`: encoded, and not enough of it yet
 * - `live`: offered to players
 * - `shed`: left out because encoding did not keep up
 * - `failed`: `error` says why; it is tried again
 * - `omitted`: not possible for this source; `error` says why
 */
export type RungState = 'idle' | 'waiting' | 'starting' | 'live' | 'shed' | 'failed' | 'omitted';

/** A rendition as the API shows it. */
export interface RungView {
  readonly name: string;
  readonly state: RungState;
  readonly error: string | null;
  readonly width: number | null;
  readonly height: number | null;
  /** Bits per second that the encoder was told. */
  readonly bitrate: number | null;
  /** Seconds of the source that are not encoded yet; null while it is not encoded. */
  readonly lag: number | null;
}
