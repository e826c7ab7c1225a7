import { z } from 'zod';

const port = z.number().int().min(0).max(65535);
const seconds = z.number().positive();

/** Every option, its default and what it is for. `strictObject`, because a misspelt key must not be ignored. */
export const configSchema = z.strictObject({
  host: z
    .string()
    .min(1)
    .optional()
    .describe('Address to listen on, for RTMP and HTTP. All addresses when absent.'),
  rtmp: z
    .strictObject({
      port: port.default(1935).describe('RTMP port; 0 takes any free one.'),
      maxConnections: z.number().int().min(1).default(1000).describe('RTMP connections at a time.'),
      handshakeTimeout: seconds.default(10).describe('Seconds a connection may take to speak RTMP.'),
      idleTimeout: seconds
        .default(30)
        .describe('Seconds without media after which a publisher counts as gone.'),
    })
    .prefault({}),
  http: z
    .strictObject({
      port: port.default(8080).describe('HTTP port for player page, HLS and API; 0 takes any free one.'),
    })
    .prefault({}),
  api: z
    .strictObject({
      token: z
        .string()
        .min(1)
        .regex(/^\S+$/, 'must not contain spaces')
        .optional()
        .describe('Bearer token for the API and the metrics. Without one they answer this computer only.'),
    })
    .prefault({}),
  publish: z
    .strictObject({
      takeover: z
        .enum(['newest', 'reject'])
        .default('newest')
        .describe(
          'Who wins when a name is published twice: the newest (a reconnecting encoder) or the first.',
        ),
      graceWindow: z
        .number()
        .min(0)
        .max(3600)
        .default(60)
        .describe('Seconds a stream waits for a publisher that left before it ends.'),
      maxStreams: z.number().int().min(1).default(1000).describe('Streams at a time.'),
    })
    .prefault({}),
  hls: z
    .strictObject({
      segmentDuration: z.number().min(1).max(30).default(2).describe('Wanted seconds per segment.'),
      maxSegmentDuration: z
        .number()
        .min(1)
        .max(60)
        .default(10)
        .describe('Longest segment in seconds that an encoder with rare keyframes gets.'),
      listedSegments: z
        .number()
        .int()
        .min(6)
        .max(1000)
        .default(6)
        .describe('Segments in the playlist, at least.'),
    })
    .refine((hls) => hls.maxSegmentDuration >= hls.segmentDuration, {
      path: ['maxSegmentDuration'],
      message: 'must not be less than segmentDuration',
    })
    .prefault({}),
  demo: z.boolean().default(false).describe('Publish a bundled clip in a loop as live/demo.'),
});

/** The whole configuration with defaults filled in. */
export type Config = z.output<typeof configSchema>;
/** What a user may write: every key optional. */
export type ConfigInput = z.input<typeof configSchema>;
