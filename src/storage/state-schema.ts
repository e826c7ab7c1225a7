import { createHash } from 'node:crypto';
import { z } from 'zod';
import { isStreamPath, streamFolder } from '../live/stream-name.ts';
import { secondsFromTicks } from '../media/time.ts';
import type { RenditionState, StreamState } from '../packaging/rendition-state.ts';
import { isSegmentFile } from './disk-inventory.ts';

const VERSION = 1;
const FILE = /^\{"version":(\d{1,9}),"sha256":"([0-9a-f]{64})","state":(.*)\}\n?$/s;
/** The last millisecond of the year 9999, which dates in playlists cannot pass. */
const LAST_DATE = 253_402_300_799_999;
const MAX_SEGMENTS = 5000;
const MAX_RENDITIONS = 100;
const NOT_CONSECUTIVE = 'media sequence numbers are not consecutive';
const TOO_LONG = 'a segment is longer than the target duration';

const epochMs = z.number().min(0).max(LAST_DATE);
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const bytes = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
/** hls.js uses them as array indices. */
const discontinuitySequence = z.number().int().min(0).max(0xffff_fffe);
const uri = z.string().refine(isSegmentFile, 'is no name of a segment');

const duration = z.number().positive().max(Number.MAX_SAFE_INTEGER);
const retiredDuration = z.number().min(0).max(Number.MAX_SAFE_INTEGER).default(0);

const segment = z.strictObject({
  mediaSequence: count,
  uri,
  duration,
  bytes,
  programDateTime: epochMs,
  discontinuity: z.boolean(),
  independent: z.boolean(),
});

const renditionShape = {
  targetDuration: z.number().int().min(1).max(3600),
  discontinuitySequence,
  segments: z.array(segment).max(MAX_SEGMENTS),
  ended: z.boolean(),
  retired: z
    // Files of the first builds have no durations here.
    .array(z.strictObject({ uri, bytes, duration: retiredDuration, until: epochMs }))
    .max(MAX_SEGMENTS),
  description: z.strictObject({
    codecs: z.array(z.string().regex(/^[A-Za-z0-9.]{1,64}$/)).max(16),
    resolution: z
      .strictObject({
        width: z.number().int().min(1).max(65_535),
        height: z.number().int().min(1).max(65_535),
      })
      .nullable(),
    frameRate: z.number().positive().max(1000).nullable(),
  }),
  bandwidth: z.strictObject({ peak: count, average: count }),
};

const rendition = z
  .strictObject(renditionShape)
  .refine(isConsecutive, NOT_CONSECUTIVE)
  .refine(isShortEnough, TOO_LONG);

const alignedRendition = z
  .strictObject({ ...renditionShape, name: z.string().regex(/^[a-z0-9]{1,16}$/) })
  .refine(isConsecutive, NOT_CONSECUTIVE)
  .refine(isShortEnough, TOO_LONG);

/** What a process that was stopped knew of a stream, checked as strictly as what comes from the network. */
const streamState: z.ZodType<StreamState> = z
  .strictObject({
    app: z.string(),
    name: z.string(),
    savedAt: epochMs,
    startedAt: epochMs,
    end: z.number().min(Number.MIN_SAFE_INTEGER).max(Number.MAX_SAFE_INTEGER),
    rendition: rendition.nullable(),
    // Files of the first builds have none.
    aligned: z.array(alignedRendition).max(MAX_RENDITIONS).default([]),
    nextMediaSequence: count,
    nextDiscontinuitySequence: discontinuitySequence,
  })
  .refine(({ app, name }) => isStreamPath(app, name), 'the stream has an impossible name')
  .refine(
    (state) =>
      renditionsOf(state).every(
        ({ segments }) => (segments.at(-1)?.mediaSequence ?? -1) < state.nextMediaSequence,
      ),
    'the next media sequence number was given out',
  )
  .refine((state) => {
    const uris = renditionsOf(state).flatMap(({ segments, retired }) =>
      [...segments, ...retired].map((one) => one.uri),
    );
    return new Set(uris).size === uris.length;
  }, 'a segment is there twice')
  .refine(
    ({ aligned }) => new Set(aligned.map(({ name }) => name)).size === aligned.length,
    'a rendition is there twice',
  )
  .refine(({ rendition: current, nextDiscontinuitySequence }) => {
    if (current === null) return true;
    const listed = current.segments.filter((one) => one.discontinuity).length;
    return nextDiscontinuitySequence >= current.discontinuitySequence + listed;
  }, 'the next discontinuity sequence number was given out');

/** The file of a state; the checksum tells a damaged one from a good one. */
export function encodeState(state: StreamState): string {
  const text = JSON.stringify(state);
  return `{"version":${VERSION},"sha256":"${checksum(text)}","state":${text}}\n`;
}

/** @returns the state, or what is wrong with the file of the stream in `folder` */
export function decodeState(text: string, folder: string): StreamState | string {
  const [, version, sum, state = ''] = FILE.exec(text) ?? [];
  if (version === undefined) return 'is cut short or no state file';
  if (Number(version) !== VERSION) return `has version ${Number(version)}, which this Sluice does not know`;
  if (checksum(state) !== sum) return 'is damaged: its checksum is wrong';
  const parsed = streamState.safeParse(parseJson(state));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `is not valid: ${issue?.path.join('.')} ${issue?.message}`;
  }
  const { app, name } = parsed.data;
  return streamFolder(app, name) === folder ? parsed.data : `belongs to another stream, ${app}/${name}`;
}

function renditionsOf({
  rendition: source,
  aligned,
}: Pick<StreamState, 'rendition' | 'aligned'>): RenditionState[] {
  return source === null ? [...aligned] : [source, ...aligned];
}

function isConsecutive({ segments }: Pick<RenditionState, 'segments'>): boolean {
  return segments.every((one, index) => one.mediaSequence === (segments[0]?.mediaSequence ?? 0) + index);
}

function isShortEnough({
  segments,
  targetDuration,
}: Pick<RenditionState, 'segments' | 'targetDuration'>): boolean {
  return segments.every((one) => Math.round(secondsFromTicks(one.duration)) <= targetDuration);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
