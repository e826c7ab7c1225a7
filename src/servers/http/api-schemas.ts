import { z } from 'zod';

/** Longest time for which a kick can refuse a name. */
export const MAX_BLOCK_SECONDS = 3600;

const trackSchema = z
  .object({
    id: z.string().describe('v0, v1 … for video, a0, a1 … for audio, as the publisher numbers them.'),
    kind: z.enum(['video', 'audio']),
    codec: z.string().describe('Short name, such as h264 or aac.'),
    codecString: z.string().nullable().describe('As RFC 6381 writes it; null when it cannot be derived.'),
    width: z.int().optional().describe('Pixels; video only.'),
    height: z.int().optional().describe('Pixels; video only.'),
    frameRate: z
      .number()
      .nullable()
      .optional()
      .describe('Frames per second that the video itself announces; null when it does not.'),
    sampleRate: z.number().optional().describe('Samples per second; audio only.'),
    channels: z.int().optional().describe('Audio only.'),
    inHls: z.boolean().describe('Whether the HLS segments carry it, as it is or converted.'),
    policy: z
      .enum(['remux', 'transcode', 'drop', 'reject'])
      .describe('What happens to it: remux (as it is), transcode (to H.264 or AAC), drop, reject.'),
    reason: z.string().optional().describe('Why it is not in HLS as it is.'),
    conversion: z
      .enum(['waiting', 'running', 'failed'])
      .nullable()
      .describe('How the conversion does; null where there is none. What failed is tried again.'),
    error: z.string().nullable().describe('The last thing that went wrong with its conversion.'),
  })
  .describe('A track of the publication.');

const warningSchema = z
  .object({
    code: z.string().describe('Stable, for scripts.'),
    severity: z
      .enum(['notice', 'warning', 'problem'])
      .describe('notice: could be better; warning: viewers notice; problem: viewers suffer now.'),
    message: z.string().describe('What is wrong.'),
    fix: z.string().describe('What to do, with the menu path where there is one.'),
  })
  .describe('Something to change, at the encoder in most cases.');

const publisherSchema = z
  .object({
    address: z.string().describe('IP address it publishes from.'),
    encoder: z.string().nullable().describe('What the encoder calls itself; null when it does not.'),
  })
  .describe('Who publishes.');

const renditionSchema = z
  .object({
    name: z.string(),
    state: z
      .enum(['idle', 'waiting', 'starting', 'live', 'shed', 'failed', 'omitted'])
      .describe(
        'idle: nobody watches; waiting: for a free job; starting: not enough of it yet; live: offered to players; shed: left out because encoding did not keep up; failed: tried again; omitted: not possible for this source.',
      ),
    error: z.string().nullable().describe('Why it is failed or omitted.'),
    width: z.int().nullable().describe('Pixels; null without pictures, or when it is not known.'),
    height: z.int().nullable().describe('Pixels.'),
    bitrate: z.number().nullable().describe('Bits per second that the encoder was told.'),
    lag: z
      .number()
      .nullable()
      .describe('Seconds of the source that are not encoded yet; null while it rests.'),
  })
  .describe('A rendition of the ladder, beside the source.');

const streamSchema = z
  .object({
    app: z.string().describe('Application; may contain slashes.'),
    name: z.string(),
    state: z
      .enum(['live', 'grace', 'ended'])
      .describe('live: has a publisher; grace: waits for it to come back; ended: over, still played.'),
    slate: z.boolean().describe('A slate is shown in place of a publisher.'),
    hls: z.string().describe("Multivariant playlist, relative to the gateway's root."),
    publisher: publisherSchema.nullable().describe('Null while nobody publishes.'),
    startedAt: z.iso.datetime().describe('When the stream began; reconnects do not move it.'),
    uptime: z.number().describe('Seconds since startedAt.'),
    bitrate: z.number().describe('Bits of media per second, the mean of the last five seconds.'),
    bytes: z.number().describe('Bytes of media received since startedAt.'),
    frameRate: z.number().nullable().describe('Measured frames per second; null without video.'),
    keyframeInterval: z
      .number()
      .nullable()
      .describe('Seconds between the last two keyframes; null before the second.'),
    targetDuration: z
      .number()
      .nullable()
      .describe('EXT-X-TARGETDURATION in seconds; null before the first segment.'),
    mediaSequence: z.int().nullable().describe('EXT-X-MEDIA-SEQUENCE; null before the first segment.'),
    health: z
      .enum(['good', 'fair', 'poor'])
      .describe(
        'The verdict on what the encoder sends and what becomes of it: poor when viewers suffer, fair when they notice something.',
      ),
    tracks: z.array(trackSchema),
    renditions: z.array(renditionSchema).describe('Those of the ladder; the source is not among them.'),
    warnings: z.array(warningSchema),
  })
  .describe('A stream and who publishes it.');

const publicStreamSchema = streamSchema
  .omit({ publisher: true })
  .describe('A stream as everybody may see it: not where it is published from.');

const serverSchema = z
  .object({
    version: z.string().describe('Of Sluice.'),
    node: z.string().describe('Version of Node.js.'),
    uptime: z.number().describe('Seconds since the gateway was started.'),
    rtmpPort: z.int().nullable().describe('Null while RTMP is not listening.'),
    httpPort: z.int().nullable().describe('Null inside an app that has its own.'),
    defaultApp: z.string().describe('Application whose streams are at /hls/<name>.m3u8.'),
    memory: z
      .object({
        rss: z
          .number()
          .nullable()
          .describe('Bytes of memory that the process takes; null while the system does not tell.'),
        heap: z.number().describe('Bytes of JavaScript objects in use.'),
        external: z.number().describe('Bytes outside the JavaScript heap: buffers, media among them.'),
      })
      .describe('Of the whole process, other gateways in it included.'),
    storeBytes: z.number().describe('Bytes of segments that can be fetched.'),
    rtmpConnections: z.int().describe('Open RTMP connections, publishing or not.'),
  })
  .describe('The gateway, and the process it runs in.');

const streamListSchema = z.object({ streams: z.array(streamSchema) });

const publicInfoSchema = z
  .object({
    version: z.string().describe('Of Sluice.'),
    rtmpPort: z.int().nullable().describe('Null while RTMP is not listening.'),
    defaultApp: z.string().describe('Application whose streams are at /hls/<name>.m3u8.'),
    streams: z.array(publicStreamSchema),
  })
  .describe('What the player page shows.');

const BLOCK_RULE = `must be seconds, a whole number from 0 to ${MAX_BLOCK_SECONDS}`;

/** The query of a kick. */
export const kickQuerySchema = z.object({
  block: z.coerce
    .number(BLOCK_RULE)
    .int(BLOCK_RULE)
    .min(0, BLOCK_RULE)
    .max(MAX_BLOCK_SECONDS, BLOCK_RULE)
    .default(30)
    .describe('Seconds for which the name is refused to publishers; encoders reconnect by themselves.'),
});

const kickedSchema = z
  .object({
    app: z.string(),
    name: z.string(),
    blockedSeconds: z.int().describe('For how long nobody can publish under this name.'),
  })
  .describe('The stream was ended.');

const errorSchema = z
  .object({
    code: z.string().describe('Stable, for scripts.'),
    message: z.string().describe('What is wrong with this request, for people.'),
  })
  .describe('Every error answer.');

const statusSchema = z.object({ status: z.string().describe('ok, ready or not ready.') });

/** Everything the HTTP side answers with, by its name in the OpenAPI document. */
export const API_SCHEMAS = {
  Error: errorSchema,
  Kicked: kickedSchema,
  PublicInfo: publicInfoSchema,
  PublicStream: publicStreamSchema,
  Publisher: publisherSchema,
  Rendition: renditionSchema,
  Server: serverSchema,
  Status: statusSchema,
  Stream: streamSchema,
  StreamList: streamListSchema,
  Track: trackSchema,
  Warning: warningSchema,
} as const;

/** One track in `/api/streams`. */
export type TrackView = Readonly<z.output<typeof trackSchema>>;
/** One stream in `/api/streams`. */
export type StreamView = Readonly<z.output<typeof streamSchema>>;
/** What `/streams.json` shows to everybody. */
export type PublicStreamView = Readonly<z.output<typeof publicStreamSchema>>;
/** The answer of `/api/server`. */
export type ServerView = Readonly<z.output<typeof serverSchema>>;
export type PublicInfo = Readonly<z.output<typeof publicInfoSchema>>;
export type Kicked = Readonly<z.output<typeof kickedSchema>>;
