import { z } from 'zod';
import { isAddressRange } from '../access/address-rules.ts';
import { isKeyHash } from '../access/stream-keys.ts';
import { isStreamPath } from '../live/stream-name.ts';

/** What an option's `.meta()` may say besides its description. */
export type OptionMeta = {
  /** Never printed. */
  readonly secret?: true;
  /** Only read at the start: a change in the file needs a restart. */
  readonly restart?: true;
};

const RESTART: OptionMeta = { restart: true };
const SECRET: OptionMeta = { secret: true };

const port = z.int().min(0).max(65535);
const seconds = z.number().positive();
const addressRanges = z.array(
  z.string().refine(isAddressRange, { error: 'must be an address or a range such as 192.0.2.0/24' }),
);
const secret = z
  .string()
  .min(16, { error: 'must have at least 16 characters: make one with `openssl rand -hex 32`' });

const takeover = z
  .enum(['newest', 'reject'])
  .describe('Who wins when a name is published twice: the newest (a reconnecting encoder) or the first.');
const graceWindow = z
  .number()
  .min(0)
  .max(3600)
  .describe('Seconds a stream waits for a publisher that left before it ends.');
const keys = z
  .array(
    z.strictObject({
      name: z.string().refine((name) => isStreamPath('live', name), {
        error: 'must be a name of letters, digits, dot, dash, underscore and tilde',
      }),
      key: z
        .string()
        .refine(isKeyHash, { error: 'must be the hash of a key: `sluice key <name>` makes both' }),
    }),
  )
  .describe(
    'Stream keys: encoders publish with the key, viewers see the name. Only hashes are kept; `sluice key <name>` makes a key and the entry for it. When there are keys, nothing else can be published.',
  );
const publishAllow = addressRanges.describe('Addresses that may publish; everybody when empty.');
const publishDeny = addressRanges.describe('Addresses that may not publish, whatever else allows them.');
const playSecrets = z
  .array(secret)
  .describe(
    'When set, playing needs a signed URL (`sluice sign <name>`, or signPlayback() of the library). The first secret signs, all verify, so that secrets can be changed without breaking links.',
  )
  .meta(SECRET);
const playAllow = addressRanges.describe(
  'Addresses that may play; everybody when empty. Caches in front answer without asking: behind one, put the rule there.',
);
const playDeny = addressRanges.describe('Addresses that may not play.');
const listed = z
  .boolean()
  .describe('Show streams on the player page. Streams that need a signed URL are never shown.');
const callbackUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http:// or https:// address' })
  .describe(
    'Asked with a POST before somebody publishes or plays; 2xx allows, everything else refuses. No callback when absent.',
  )
  .meta(SECRET);
const callbackActions = z
  .array(z.enum(['publish', 'play']))
  .describe('What the callback is asked about. Asking about `play` needs play.secrets too.');
const callbackTimeout = seconds.max(60).describe('Seconds the callback may take.');
const callbackOnError = z
  .enum(['deny', 'allow'])
  .describe('What happens when the callback cannot be reached, fails (5xx) or takes too long.');
const segmentDuration = z.number().min(1).max(30).describe('Wanted seconds per segment.');
const maxSegmentDuration = z
  .number()
  .min(1)
  .max(60)
  .describe('Longest segment in seconds that an encoder with rare keyframes gets.');
const listedSegments = z.int().min(6).max(1000).describe('Segments in the playlist, at least.');

/** What one application may have different from the rest. */
const application = z.strictObject({
  publish: z
    .strictObject({ takeover, graceWindow, keys, allow: publishAllow, deny: publishDeny })
    .partial()
    .optional(),
  play: z
    .strictObject({ secrets: playSecrets, allow: playAllow, deny: playDeny, listed })
    .partial()
    .optional(),
  callback: z
    .strictObject({
      url: callbackUrl,
      actions: callbackActions,
      timeout: callbackTimeout,
      onError: callbackOnError,
    })
    .partial()
    .optional(),
  hls: z.strictObject({ segmentDuration, maxSegmentDuration, listedSegments }).partial().optional(),
});

/**
 * Every option, its default and what it is for: the only place where they are documented. `strictObject`, because a
 * misspelt key must not be ignored.
 */
export const configSchema = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .optional()
      .describe('Address to listen on, for RTMP and HTTP. All addresses when absent.')
      .meta(RESTART),
    rtmp: z
      .strictObject({
        port: port.default(1935).describe('RTMP port; 0 takes any free one.').meta(RESTART),
        maxConnections: z.int().min(1).default(1000).describe('RTMP connections at a time.'),
        handshakeTimeout: seconds.default(10).describe('Seconds a connection may take to speak RTMP.'),
        idleTimeout: seconds
          .default(30)
          .describe('Seconds without media after which a publisher counts as gone.'),
      })
      .prefault({}),
    http: z
      .strictObject({
        port: port
          .default(8080)
          .describe('HTTP port for player page, HLS and API; 0 takes any free one.')
          .meta(RESTART),
        idleTimeout: seconds
          .default(60)
          .describe('Seconds after which a viewer that neither reads nor writes is disconnected.')
          .meta(RESTART),
        trustProxy: addressRanges
          .default([])
          .describe(
            'Addresses of proxies in front whose X-Forwarded-For is believed when address rules are checked.',
          )
          .meta(RESTART),
      })
      .prefault({}),
    api: z
      .strictObject({
        token: secret
          .regex(/^\S*$/, { error: 'must not contain spaces' })
          .optional()
          .describe(
            'Bearer token for /api, /metrics and the dashboard. Without one they answer on this computer only.',
          )
          .meta(SECRET),
      })
      .prefault({}),
    publish: z
      .strictObject({
        takeover: takeover.default('newest'),
        graceWindow: graceWindow.default(60),
        maxStreams: z.int().min(1).default(1000).describe('Streams at a time.'),
        keys: keys.default([]),
        allow: publishAllow.default([]),
        deny: publishDeny.default([]),
      })
      .prefault({}),
    play: z
      .strictObject({
        secrets: playSecrets.default([]),
        allow: playAllow.default([]),
        deny: playDeny.default([]),
        listed: listed.default(true),
      })
      .prefault({}),
    callback: z
      .strictObject({
        url: callbackUrl.optional(),
        actions: callbackActions.default(['publish']),
        timeout: callbackTimeout.default(5),
        onError: callbackOnError.default('deny'),
      })
      .prefault({}),
    hls: z
      .strictObject({
        segmentDuration: segmentDuration.default(2),
        maxSegmentDuration: maxSegmentDuration.default(10),
        listedSegments: listedSegments.default(6),
      })
      .prefault({}),
    storage: z
      .strictObject({
        type: z
          .enum(['memory', 'disk'])
          .default('memory')
          .describe(
            'Where segments are kept. With `disk` a restart loses none, and nginx can serve the files; see docs/deployment.md.',
          )
          .meta(RESTART),
        directory: z
          .string()
          .min(1)
          .optional()
          .describe(
            'Folder for segments (`disk`) and for the state that lets playlists go on after a restart. The command uses $STATE_DIRECTORY or ~/.local/state/sluice when absent; the library keeps no state then.',
          )
          .meta(RESTART),
        maxBytes: z
          .int()
          .min(16 * 1024 * 1024)
          .optional()
          .describe(
            'Bytes of segments over all streams, in memory or on disk. What does not fit is lost and counted. When absent the command takes half of the memory, and the library sets no limit.',
          )
          .meta(RESTART),
        maxAge: seconds
          .default(3600)
          .describe(
            'Seconds after which files on disk that belong to no stream any more are deleted, such as those a killed process left. They go after a minute when half of storage.maxBytes is used.',
          )
          .meta(RESTART),
      })
      .prefault({}),
    applications: z
      .record(
        z.string().refine((app) => isStreamPath(app, 'name'), { error: 'is not the name of an application' }),
        application,
      )
      .default({})
      .describe(
        'Settings of single applications (the part between the host and the stream key), over those above.',
      ),
    demo: z.boolean().default(false).describe('Publish a bundled clip in a loop as live/demo.').meta(RESTART),
  })
  .superRefine((config, context) => {
    if (config.storage.type === 'disk' && config.storage.directory === undefined) {
      context.addIssue({
        code: 'custom',
        path: ['storage', 'directory'],
        message: 'is needed for storage.type "disk"',
      });
    }
    for (const app of [null, ...Object.keys(config.applications)]) {
      const { hls, callback, play } = settingsOf(config, app);
      const place = app === null ? [] : ['applications', app];
      if (hls.maxSegmentDuration < hls.segmentDuration) {
        context.addIssue({
          code: 'custom',
          path: [...place, 'hls', 'maxSegmentDuration'],
          message: 'must not be less than segmentDuration',
        });
      }
      if (callback.url !== undefined && callback.actions.includes('play') && play.secrets.length === 0) {
        context.addIssue({
          code: 'custom',
          path: [...place, 'callback', 'actions'],
          message:
            'asking about play needs play.secrets, because what was allowed is remembered in a signed URL',
        });
      }
    }
  });

/** The whole configuration with defaults filled in. */
export type Config = z.output<typeof configSchema>;
/** What a user may write: every key optional. */
export type ConfigInput = z.input<typeof configSchema>;

/** The settings that an application may have for itself. */
export type ApplicationSettings = Pick<Config, 'publish' | 'play' | 'callback' | 'hls'>;

/** What holds in an application: its own settings over the general ones. */
export function settingsOf(config: Config, app: string | null): ApplicationSettings {
  const own = app === null ? undefined : config.applications[app];
  return {
    publish: over(config.publish, own?.publish),
    play: over(config.play, own?.play),
    callback: over(config.callback, own?.callback),
    hls: over(config.hls, own?.hls),
  };
}

/** What is undefined does not count as set. */
function over<T extends object>(base: T, own: { [K in keyof T]?: T[K] | undefined } | undefined): T {
  const set = Object.entries(own ?? {}).filter(([, value]) => value !== undefined);
  return { ...base, ...Object.fromEntries(set) };
}
