import { SluiceError } from '../../media/errors.ts';

/** What one AMF message may hold. */
export interface AmfLimits {
  /** How many objects, arrays, vectors and dictionaries may be inside one another. The codec recurses, so keep it below a thousand. */
  readonly maxDepth: number;
  /** How many values a message may have in total, references included. */
  readonly maxNodes: number;
  /** How long a message may be or become, in bytes. */
  readonly maxBytes: number;
}

/**
 * Far above anything an encoder sends: `connect` and `onMetaData` have some dozens of values, three deep.
 * The byte limit is the largest length an RTMP message or FLV tag header can state (24 bits). It matters in
 * encoding, where a few bytes of AMF3 string references can stand for gigabytes of AMF0.
 */
export const AMF_LIMITS: AmfLimits = { maxDepth: 32, maxNodes: 10_000, maxBytes: 0xff_ffff };

/** The part of the limits one message has used up. Shared by the AMF0 and AMF3 parts of the message. */
export interface Budget {
  readonly limits: AmfLimits;
  depth: number;
  nodes: number;
}

/** A fresh budget: the defaults with `limits` over them. */
export function newBudget(limits?: Partial<AmfLimits>): Budget {
  return { limits: { ...AMF_LIMITS, ...limits }, depth: 0, nodes: 0 };
}

/** Accounts for one value. Throws SLUICE_AMF_LIMIT when there are too many. */
export function countValue(budget: Budget): void {
  budget.nodes++;
  if (budget.nodes > budget.limits.maxNodes) {
    throw overLimit(`more than ${budget.limits.maxNodes} values in one message`);
  }
}

/** Accounts for stepping into a container; pair with {@link leave}. Throws SLUICE_AMF_LIMIT when too deep. */
export function enter(budget: Budget): void {
  budget.depth++;
  if (budget.depth > budget.limits.maxDepth) {
    throw overLimit(`values nested deeper than ${budget.limits.maxDepth}`);
  }
}

/** The end of what {@link enter} began. Not needed on the way out of an error, which ends the message. */
export function leave(budget: Budget): void {
  budget.depth--;
}

/** The error for AMF that is cut short, contradicts itself or cannot be expressed. */
export function malformed(message: string): SluiceError {
  return new SluiceError('SLUICE_AMF_MALFORMED', `AMF: ${message}`);
}

/** The error for AMF beyond {@link AmfLimits} or beyond what a length field can state. */
export function overLimit(message: string): SluiceError {
  return new SluiceError('SLUICE_AMF_LIMIT', `AMF: ${message}`);
}
