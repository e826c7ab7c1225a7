import type { Clock } from '../media/clock.ts';

const WINDOW_MS = 10_000;
/** More addresses than this are not counted one by one: a botnet has more, and they are not worth the memory. */
const MAX_ADDRESSES = 1000;

/** Something that one peer does now and then, and a thousand may do at once. */
export interface Incident<Level extends string> {
  readonly level: Level;
  /** What is counted together. Not the peer's choice: kinds must be few. */
  readonly kind: string;
  readonly fields: Record<string, unknown>;
  readonly message: string;
  /** Absent for what no peer does. */
  readonly peer?: string;
  /** How many in ten seconds are worth a line; 1 when absent. */
  readonly worthALine?: number;
}

/** The part of a logger that lines go to. */
export type LineLog<Level extends string> = Readonly<
  Record<Level, (fields: Record<string, unknown>, message: string) => void>
>;

interface Crowd<Level extends string> {
  latest: Incident<Level>;
  /** Incidents, and where they came from, that no line has told yet. */
  untold: number;
  readonly addresses: Set<string>;
  /** The first line is out. */
  told: boolean;
}

/**
 * One line for the first incident of a kind, and one every ten seconds for all that followed: a flood must neither
 * fill the log nor stay out of it.
 */
export class CrowdLog<Level extends string> {
  readonly #clock: Clock;
  readonly #log: LineLog<Level>;
  readonly #crowds = new Map<string, Crowd<Level>>();

  constructor(clock: Clock, log: LineLog<Level>) {
    this.#clock = clock;
    this.#log = log;
  }

  note(incident: Incident<Level>): void {
    const { level, kind, fields, message, peer, worthALine = 1 } = incident;
    const crowd = this.#crowds.get(kind) ?? this.#begin(incident, false);
    crowd.latest = incident;
    crowd.untold++;
    if (peer !== undefined && crowd.addresses.size < MAX_ADDRESSES) crowd.addresses.add(peer);
    if (crowd.told || crowd.untold < worthALine) return;
    crowd.told = true;
    crowd.untold = 0;
    crowd.addresses.clear();
    this.#log[level](fields, message);
  }

  #begin(latest: Incident<Level>, told: boolean): Crowd<Level> {
    const crowd: Crowd<Level> = { latest, untold: 0, addresses: new Set(), told };
    this.#crowds.set(latest.kind, crowd);
    this.#clock.after(WINDOW_MS, () => this.#summarise(crowd));
    return crowd;
  }

  #summarise({ latest, untold, addresses, told }: Crowd<Level>): void {
    const { level, kind, fields, message, worthALine = 1 } = latest;
    this.#crowds.delete(kind);
    if (!told || untold < worthALine) return;
    const from = addresses.size === 0 ? '' : ` from ${countOf(addresses)}`;
    this.#log[level](
      { ...fields, count: untold },
      `${untold} more of this kind${from} in ${WINDOW_MS / 1000} s, the latest: ${message}`,
    );
    // What lasts is one line per window.
    this.#begin(latest, true);
  }
}

function countOf({ size }: ReadonlySet<string>): string {
  if (size === 1) return '1 address';
  return size < MAX_ADDRESSES ? `${size} addresses` : `${MAX_ADDRESSES} addresses or more`;
}
