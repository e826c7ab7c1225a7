import { randomUUID } from 'node:crypto';
import { renderMediaPlaylist, renderMultivariantPlaylist } from '../formats/m3u8/playlist.ts';
import type { Stream } from '../live/stream.ts';
import { streamFolder } from '../live/stream-name.ts';
import type { MediaSink } from '../media/packet.ts';
import { afterlifeMs } from './afterlife.ts';
import { HlsPackager, type HlsPackagerOptions } from './hls-packager.ts';
import type { PackagingFigures } from './packaging-figures.ts';
import type { StoreAction } from './rendition.ts';
import type { StreamState } from './rendition-state.ts';
import type { PlaylistFiles, StreamJournal } from './segment-store.ts';
import { MEDIA_PLAYLIST, offeredVariants, playlistName } from './variants.ts';

/** File name of the multivariant playlist in the folder, where a web server maps `<name>.m3u8` to it. */
const MULTIVARIANT_PLAYLIST = 'multivariant.m3u8';
/** Over a minute at 100 Mb/s. A publisher whose timestamps stand still would otherwise fill the memory. */
const MAX_STREAM_BYTES = 1024 * 1024 * 1024;
/** Ended streams whose numbers are remembered; publishers choose the names. */
const MAX_REMEMBERED = 10_000;

/** The settings of one application. */
export type HlsSettings = Pick<
  HlsPackagerOptions,
  'segmentDuration' | 'maxSegmentDuration' | 'listedSegments'
>;

export interface HlsOutputsOptions extends Pick<HlsPackagerOptions, 'clock' | 'store'> {
  /** What holds for streams that begin now. */
  readonly settings: (app: string) => HlsSettings;
  /** The store outlives the process, so what is listed should too. */
  readonly persistent: boolean;
  /** Where streams are written down; null when nothing is. */
  readonly journal: StreamJournal | null;
  /** Where playlists go as files for a web server; null when nothing outlives the process. */
  readonly playlistFiles: PlaylistFiles | null;
  /** Whether a web server may serve the playlists of this application to everybody. */
  readonly isOpen: (app: string) => boolean;
  /** Totals over all streams. */
  readonly figures: PackagingFigures;
  /**
   * What stands between a stream and its packager: it hands on what it gets, perhaps in other codecs, and may add
   * renditions. Absent: nothing.
   */
  readonly prepare?: (stream: Stream, packager: HlsPackager) => PreparingSink;
  /** A playlist has changed. */
  readonly onListed: (stream: Stream) => void;
  /** The store has taken a segment of it. */
  readonly onStored: (stream: Stream) => void;
  readonly onStoreError: (stream: Stream, error: unknown, uri: string, action: StoreAction) => void;
}

/** A sink that may take a while. */
export interface PreparingSink extends MediaSink {
  /** Resolves when everything before `close` has been handed on. */
  settled(): Promise<void>;
}

/** Where a name goes on when it is published again. */
type Numbers = Pick<StreamState, 'nextMediaSequence' | 'nextDiscontinuitySequence'>;

/**
 * The packagers of all streams. When a name is published anew after its stream ended, the old one's segments stay for
 * the players that are still in it.
 */
export class HlsOutputs {
  readonly #options: HlsOutputsOptions;
  readonly #packagers = new Map<Stream, HlsPackager>();
  readonly #preparing = new Map<Stream, PreparingSink>();
  /** By app/name, newest first. */
  readonly #byPath = new Map<string, readonly HlsPackager[]>();
  /** The same by folder, for the names of files. */
  readonly #byFolder = new Map<string, readonly HlsPackager[]>();
  /** By folder: of names whose newest packager is gone, the least recent first. */
  readonly #remembered = new Map<string, Numbers>();
  /** The segments are the next process's. */
  #handedOn = false;

  constructor(options: HlsOutputsOptions) {
    this.#options = options;
  }

  of(stream: Stream): HlsPackager | null {
    return this.#packagers.get(stream) ?? null;
  }

  /** Newest first; empty when there is none. */
  find(app: string, name: string): readonly HlsPackager[] {
    return this.#byPath.get(`${app}/${name}`) ?? [];
  }

  /** Lets a name that an earlier process published go on with its numbers. */
  remember({ app, name, ...state }: StreamState): void {
    this.#remember(streamFolder(app, name), state);
  }

  /**
   * Makes the stream's packager a sink of it. Once per stream.
   *
   * @param resume what an earlier process had of it
   */
  begin(stream: Stream, resume: StreamState | null = null): void {
    const { clock, store, settings, journal, persistent, onListed, onStored, onStoreError } = this.#options;
    const folder = folderOf(stream);
    const predecessors = this.#byFolder.get(folder) ?? [];
    // What is remembered came after whatever predecessor is still there.
    const before = resume ?? this.#remembered.get(folder) ?? numbersOf(predecessors[0]);
    this.#remembered.delete(folder);
    const now = clock.now();
    let saved = before.nextDiscontinuitySequence;
    const save = () => this.#save(stream, packager, persistent);
    const packager: HlsPackager = new HlsPackager({
      ...settings(stream.app),
      clock,
      store,
      storePrefix: `${folder}/`,
      maxBytes: MAX_STREAM_BYTES,
      segmentName: (number, rendition) => {
        const name = `${Math.floor(now).toString(36)}-${number}-${secret()}.ts`;
        return rendition === undefined ? name : `${rendition}-${name}`;
      },
      // A playlist that goes on cannot have a hole in its numbers. A new one starts at the seconds since 1970: they
      // never fall back, also not when nothing was remembered, and segments are not shorter than a second.
      firstMediaSequence:
        resume?.rendition != null
          ? before.nextMediaSequence
          : Math.max(Math.floor(now / 1000), before.nextMediaSequence),
      firstDiscontinuitySequence:
        resume?.rendition?.discontinuitySequence ?? before.nextDiscontinuitySequence,
      resume: resume?.rendition ?? null,
      resumeAligned: resume?.rendition != null ? resume.aligned : [],
      beforeListing: journal !== null && persistent ? save : null,
      onListed: () => {
        // Without the segments only the numbers matter, and only those that the time of day does not give.
        const next = packager.rendition.nextDiscontinuitySequence;
        if (!persistent && next !== saved) void save();
        saved = next;
        this.#writePlaylists(stream, packager);
        onListed(stream);
      },
      onDropped: (name) => {
        void this.#options.playlistFiles?.deletePlaylist(`${folder}/${playlistName(name)}`);
        this.#writePlaylists(stream, packager);
      },
      onStored: () => onStored(stream),
      onStoreError: (error, uri, action) => onStoreError(stream, error, uri, action),
      figures: this.#options.figures,
    });
    this.#packagers.set(stream, packager);
    this.#setPackagers(stream, [packager, ...predecessors]);
    const preparing = this.#options.prepare?.(stream, packager);
    if (preparing !== undefined) this.#preparing.set(stream, preparing);
    stream.addSink(preparing ?? packager);
  }

  /** Resolves when everything cut so far is listed. */
  async settled(): Promise<void> {
    await Promise.all([...this.#packagers.values()].map((packager) => packager.settled()));
  }

  /** Resolves when everything of streams that are closed is listed. */
  async ended(): Promise<void> {
    await Promise.all([...this.#preparing.values()].map((preparing) => preparing.settled()));
    await this.settled();
  }

  /**
   * Writes every stream down for the next process.
   *
   * @param withSegments it has those too; nothing that is listed is deleted from here on
   */
  async handOn(withSegments: boolean): Promise<void> {
    this.#handedOn = withSegments;
    await this.settled();
    await Promise.all(
      [...this.#packagers].map(([stream, packager]) => this.#save(stream, packager, withSegments)),
    );
  }

  /**
   * Keeps what an ended stream published for one window, so that every player gets to its end, then deletes it.
   *
   * @returns resolves when the playlist has its ENDLIST
   * @param gone called when all is deleted
   */
  async retire(stream: Stream, gone: () => void): Promise<void> {
    const packager = this.#packagers.get(stream);
    if (packager === undefined) return;
    await this.#preparing.get(stream)?.settled();
    this.#preparing.delete(stream);
    await packager.settled();
    const { window } = packager.rendition;
    const empty = window.segments.length === 0;
    if (!empty) await this.#save(stream, packager, this.#options.persistent);
    this.#options.clock.after(empty ? 0 : afterlifeMs(window), () => {
      if (this.#handedOn) return;
      this.#forget(stream, packager);
      gone();
      void packager.discard();
    });
  }

  /** Whether this segment of the store belongs to a stream; `name` is `<folder>/<file>`. */
  holds(name: string): boolean {
    const slash = name.indexOf('/');
    const packagers = this.#byFolder.get(name.slice(0, Math.max(0, slash))) ?? [];
    return packagers.some((packager) => packager.has(name.slice(slash + 1)));
  }

  /** Only the newest of a name: a slow store may let a successor be written down before its predecessor ends. */
  async #save(stream: Stream, packager: HlsPackager, withRendition: boolean): Promise<void> {
    const { journal, clock } = this.#options;
    const folder = folderOf(stream);
    if (this.#byFolder.get(folder)?.[0] !== packager || this.#remembered.has(folder)) return;
    await journal?.save(folder, stateOf(stream, packager, withRendition, clock.now()));
  }

  #forget(stream: Stream, packager: HlsPackager): void {
    this.#packagers.delete(stream);
    const folder = folderOf(stream);
    const packagers = this.#byFolder.get(folder) ?? [];
    const left = packagers.filter((other) => other !== packager);
    this.#setPackagers(stream, left);
    // A short one may go before its predecessor, whose numbers are older.
    if (packager === packagers[0] && !this.#remembered.has(folder)) {
      this.#remember(folder, numbersOf(packager));
    }
    if (left.length === 0) this.#deletePlaylists(folder, [packager]);
  }

  #setPackagers(stream: Stream, packagers: readonly HlsPackager[]): void {
    const [path, folder] = [pathOf(stream), folderOf(stream)];
    if (packagers.length > 0) {
      this.#byPath.set(path, packagers);
      this.#byFolder.set(folder, packagers);
    } else {
      this.#byPath.delete(path);
      this.#byFolder.delete(folder);
    }
  }

  #remember(folder: string, { nextMediaSequence, nextDiscontinuitySequence }: Numbers): void {
    this.#remembered.set(folder, { nextMediaSequence, nextDiscontinuitySequence });
    for (const oldest of this.#remembered.keys()) {
      if (this.#remembered.size <= MAX_REMEMBERED) break;
      this.#remembered.delete(oldest);
      void this.#options.journal?.remove(oldest);
    }
  }

  /** To be called when other settings hold: playlists that not everybody may have any more go from the disk. */
  settingsChanged(): void {
    for (const stream of this.#packagers.keys()) {
      const folder = folderOf(stream);
      if (!this.#options.isOpen(stream.app)) this.#deletePlaylists(folder, this.#byFolder.get(folder) ?? []);
    }
  }

  #deletePlaylists(folder: string, packagers: readonly HlsPackager[]): void {
    const aligned = packagers.flatMap((packager) => [...packager.aligned.keys()].map(playlistName));
    for (const file of [MEDIA_PLAYLIST, MULTIVARIANT_PLAYLIST, ...aligned]) {
      void this.#options.playlistFiles?.deletePlaylist(`${folder}/${file}`);
    }
  }

  #writePlaylists(stream: Stream, packager: HlsPackager): void {
    const { playlistFiles: files, isOpen } = this.#options;
    if (files === null || !isOpen(stream.app)) return;
    const variants = offeredVariants(packager, (file) => `${stream.name}/${file}`);
    if (variants.length === 0) return;
    const folder = folderOf(stream);
    files.putPlaylist(`${folder}/${MEDIA_PLAYLIST}`, renderMediaPlaylist(packager.rendition.window));
    for (const [name, { current }] of packager.aligned) {
      if (current === null) continue;
      files.putPlaylist(`${folder}/${playlistName(name)}`, renderMediaPlaylist(current.window));
    }
    files.putPlaylist(`${folder}/${MULTIVARIANT_PLAYLIST}`, renderMultivariantPlaylist(variants));
  }
}

/**
 * Segment names are all that protects the segments of a stream that needs a signed URL. Each has a secret of its own: who
 * was let in once must not know the next ones. 122 random bits; Node makes them for many UUIDs at a time.
 */
function secret(): string {
  return randomUUID().replaceAll('-', '');
}

function numbersOf(packager: HlsPackager | undefined): Numbers {
  if (packager === undefined) return { nextMediaSequence: 0, nextDiscontinuitySequence: 0 };
  const { nextDiscontinuitySequence } = packager.rendition;
  return { nextMediaSequence: packager.nextMediaSequence, nextDiscontinuitySequence };
}

function pathOf({ app, name }: Stream): string {
  return `${app}/${name}`;
}

function folderOf({ app, name }: Stream): string {
  return streamFolder(app, name);
}

function stateOf(
  stream: Stream,
  packager: HlsPackager,
  withRendition: boolean,
  savedAt: number,
): StreamState {
  const { app, name, startedAt, end } = stream;
  const { nextMediaSequence, rendition } = packager;
  return {
    app,
    name,
    savedAt,
    startedAt: startedAt ?? savedAt,
    end,
    rendition: withRendition ? rendition.state : null,
    aligned: withRendition ? packager.alignedStates : [],
    nextMediaSequence,
    nextDiscontinuitySequence: rendition.nextDiscontinuitySequence,
  };
}
