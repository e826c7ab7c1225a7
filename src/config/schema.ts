import { z } from 'zod';
import { isAddressRange } from '../access/address-rules.ts';
import { isKeyHash } from '../access/stream-keys.ts';
import { HOOK_EVENTS } from '../hooks/hook-command.ts';
import { faultOfArgument, isFixed } from '../hooks/variables.ts';
import { isStreamPath } from '../live/stream-name.ts';
import { AUDIO_CODECS, VIDEO_CODECS } from '../media/track.ts';
import { RUNG_NAMES } from '../transcode/ladder/rungs.ts';

/** What an option's `.meta()` may say besides its description. */
export type OptionMeta = {
  /** Never printed. */
  readonly secret?: true;
  /** Only read at the start: a change in the file needs a restart. */
  readonly restart?: true;
  /** Streams and encoders that there are keep what they have. */
  readonly forNew?: true;
  /** A value, for who writes it as JSON. */
  readonly example?: unknown;
};

const RESTART: OptionMeta = { restart: true };
const FOR_NEW: OptionMeta = { forNew: true };
const SECRET: OptionMeta = { secret: true };

const port = z.int().min(0).max(65535);
const seconds = z.number().positive();
const RANGE_RULE = 'must be an address or a range such as 192.0.2.0/24';
const addressRanges = z.array(z.string(RANGE_RULE).refine(isAddressRange, { error: RANGE_RULE }));
const secret = z
  .string()
  .min(16, { error: 'must have at least 16 characters: make one with `openssl rand -hex 32`' });

/** Of a stream, also for `sluice key`. */
export const NAME_RULE =
  'must be a name of letters, digits, dot, dash, underscore and tilde, 128 at most, with no dot at the beginning';
const HASH_RULE = 'must be the hash of a key: `sluice key <name>` makes both';
const SIZE_RULE = 'must be like 720p or 1280x720';

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
      name: z
        .string()
        .refine((name) => isStreamPath('live', name), { error: NAME_RULE })
        .describe('What viewers see.'),
      key: z
        .string(HASH_RULE)
        .refine(isKeyHash, { error: HASH_RULE })
        .describe('Hash of what the encoder publishes with.'),
    }),
  )
  .describe(
    'Stream keys: encoders publish with the key, viewers see the name. Only hashes are kept; `sluice key <name>` makes a key and the entry for it. When there are keys, nothing else can be published.',
  )
  .meta({ example: [{ name: 'cam', key: 'sha256:…' }] } satisfies OptionMeta);
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
const segmentDuration = z.number().min(1).max(30).describe('Wanted seconds per segment.').meta(FOR_NEW);
const maxSegmentDuration = z
  .number()
  .min(1)
  .max(60)
  .describe('Longest segment in seconds that an encoder with rare keyframes gets.')
  .meta(FOR_NEW);
const listedSegments = z.int().min(6).max(1000).describe('Segments in the playlist, at least.').meta(FOR_NEW);

const silentAudio = z
  .boolean()
  .describe('Add silent AAC sound to streams that have only pictures; some players and TV sets need it.')
  .meta(FOR_NEW);
const slate = z
  .string()
  .min(1)
  .describe(
    'What viewers see in the grace window, while there is no publisher: `none` (the last segment ends), `last` (the last picture, in silence; needs no ffmpeg), `bars` (colour bars), or the path of an image.',
  );

/** Codecs that a publisher may send, by what can be said of them. */
const codecPolicy = z.enum(['remux', 'transcode', 'drop', 'reject']);
const codecs = z
  .partialRecord(z.enum([...VIDEO_CODECS, ...AUDIO_CODECS]), codecPolicy)
  .describe(
    'By codec: `remux` (as it is), `transcode` (to H.264 or AAC, by ffmpeg), `drop` (leave the track out), `reject` (refuse the publisher). When absent: remux where HLS allows it, else transcode, else drop.',
  )
  .meta({ ...FOR_NEW, example: { hevc: 'transcode' } } satisfies OptionMeta);
const when = z
  .enum(['watched', 'always'])
  .describe(
    'When the renditions of the ladder are encoded: while somebody asks for them, or whenever there is a stream (for CDNs).',
  );
const idle = z
  .number()
  .min(5)
  .max(3600)
  .describe('Seconds after the last request for a rendition at which encoding stops; for `watched`.');
const encoder = z
  .enum(['libx264', 'h264_nvenc', 'h264_qsv', 'h264_vaapi', 'h264_videotoolbox', 'auto'])
  .describe('H.264 encoder of ffmpeg; `auto` tries the hardware ones first.')
  .meta(FOR_NEW);
const preset = z
  .string()
  .regex(/^[a-z0-9_]+$/, { error: 'must be small letters, digits and underscores' })
  .describe('Preset of the encoder: slower is smaller.')
  .meta(FOR_NEW);
const audioBitrate = z
  .int()
  .min(16)
  .max(512)
  .describe('Kilobits per second of sound that has to be encoded.')
  .meta(FOR_NEW);

const rung = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9]{1,16}$/, { error: 'must be small letters and digits, 16 at most' })
    .describe('Of its playlist, in small letters and digits.'),
  size: z
    .string(SIZE_RULE)
    .regex(/^(\d{2,4}p|\d{2,4}x\d{2,4})$/, { error: SIZE_RULE })
    .describe('Of the picture, like 1280x720; `720p` is the shorter side.'),
  bitrate: z.int().min(30).max(100_000).describe('Kilobits per second.').optional(),
  fps: z.number().min(1).max(120).describe('Frames per second at most.').optional(),
  codec: z
    .enum(['h264', 'hevc', 'av1'])
    .describe('`h264` when absent. The others are left out for now: segments are MPEG-TS.')
    .optional(),
  encoder: encoder.describe('Instead of transcode.encoder.').optional(),
  preset: preset.describe('Instead of transcode.preset.').optional(),
  profile: z.enum(['baseline', 'main', 'high']).describe('Of H.264.').optional(),
  gop: z
    .number()
    .min(0.5)
    .max(30)
    .describe('Seconds between keyframes besides those of the source.')
    .optional(),
});
const ladder = z
  .array(z.union([z.enum(RUNG_NAMES), rung]))
  .max(8)
  .refine((rungs) => new Set(rungs.map(nameOfRung)).size === rungs.length, {
    error: 'must not have two renditions of one name',
  })
  .describe(
    'Renditions that ffmpeg makes beside the source, such as [1080p, 720p, 480p, 360p, 160p, audio], or ones of your own. Those larger than the source are left out.',
  )
  .meta({ example: ['720p', { name: 'low', size: '480p' }] } satisfies OptionMeta);

const hooks = z
  .array(
    z.strictObject({
      on: z.enum(HOOK_EVENTS).describe('The event; `live` runs the command as long as there is a publisher.'),
      run: z
        .array(z.string())
        .min(1)
        .describe('The program and its arguments; $app, $name, $args, $addr … are replaced. No shell.'),
      timeout: seconds.max(86_400).optional().describe('Seconds it may take; not for `live`.'),
    }),
  )
  .superRefine((entries, context) => {
    entries.forEach(({ on, run, timeout }, index) => {
      const complain = (path: (string | number)[], message: string) =>
        context.addIssue({ code: 'custom', path: [index, ...path], message });
      run.forEach((argument, position) => {
        const fault = faultOfArgument(argument);
        if (fault !== null) complain(['run', position], fault);
      });
      const [program] = run;
      if (program === undefined) return;
      if (program === '') complain(['run', 0], 'must name a program');
      if (!isFixed(program)) complain(['run', 0], 'must be the same program for every stream');
      if (on === 'live' && timeout !== undefined)
        complain(['timeout'], 'is not for `live`, which has no end');
    });
  })
  .describe('Commands that are run when something happens to a stream; see docs/hooks.md.')
  .meta({ example: [{ on: 'publish', run: ['logger', '$app/$name'] }] } satisfies OptionMeta);

/** What one application may have different from the rest. */
const application = z.strictObject({
  publish: z
    .strictObject({ takeover, graceWindow, keys, allow: publishAllow, deny: publishDeny, slate })
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
  hls: z
    .strictObject({ segmentDuration, maxSegmentDuration, listedSegments, silentAudio })
    .partial()
    .optional(),
  ladder: ladder.optional(),
  transcode: z.strictObject({ when, idle, encoder, preset, audioBitrate, codecs }).partial().optional(),
  hooks: hooks.optional(),
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
        maxStreams: z
          .int()
          .min(1)
          .default(1000)
          .describe(
            'Streams at a time. When there are as many, a newcomer takes the place of the newest stream of the address that has most, if its own would still have fewer; otherwise it is refused.',
          ),
        keys: keys.default([]),
        allow: publishAllow.default([]),
        deny: publishDeny.default([]),
        slate: slate.default('none'),
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
        silentAudio: silentAudio.default(false),
      })
      .prefault({}),
    transcode: z
      .strictObject({
        when: when.default('watched'),
        idle: idle.default(30),
        encoder: encoder.default('libx264'),
        preset: preset.default('veryfast'),
        audioBitrate: audioBitrate.default(128),
        codecs: codecs.default({}),
        ffmpeg: z
          .string()
          .min(1)
          .optional()
          .describe('Path of ffmpeg. When absent: that of the package ffmpeg-static, then the one on PATH.')
          .meta(RESTART),
        maxJobs: z
          .int()
          .min(1)
          .max(1000)
          .default(8)
          .describe('How many ffmpeg processes may encode streams at a time; others wait.'),
        niceness: z
          .int()
          .min(0)
          .max(19)
          .default(5)
          .describe('How far ffmpeg stands behind the gateway for the CPU.')
          .meta(FOR_NEW),
        threads: z
          .int()
          .min(0)
          .max(64)
          .default(0)
          .describe('Threads of each software encoder; 0 means four, as each adds a frame of delay.')
          .meta(FOR_NEW),
      })
      .prefault({}),
    storage: z
      .strictObject({
        type: z
          .enum(['memory', 'disk'])
          .default('memory')
          .describe(
            'Where segments are kept. With `disk` a crash loses none either, and nginx can serve the files; see docs/deployment.md.',
          )
          .meta(RESTART),
        directory: z
          .string()
          .min(1)
          .optional()
          .describe(
            'Folder for segments (`disk`; with `memory` from one process to the next) and for the state that lets playlists go on after a restart. The command uses $STATE_DIRECTORY or ~/.local/state/sluice when absent; the library keeps no state then.',
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
        z.string().refine((app) => isStreamPath(app, 'name'), {
          error:
            'is not the name of an application: those have letters, digits, dot, dash, underscore and tilde, in up to four parts with / between them',
        }),
        application,
      )
      .default({})
      .describe(
        'Settings of single applications (the part between the host and the stream key), over those above.',
      )
      .meta({ example: { members: { play: { listed: false } } } } satisfies OptionMeta),
    ladder: ladder.default([]),
    hooks: hooks.default([]),
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
export type ApplicationSettings = Pick<
  Config,
  'publish' | 'play' | 'callback' | 'hls' | 'ladder' | 'transcode' | 'hooks'
>;
/** One entry of `ladder` as it is written. */
export type RungInput = Config['ladder'][number];
export type HookInput = Config['hooks'][number];

/** What holds in an application: its own settings over the general ones. */
export function settingsOf(config: Config, app: string | null): ApplicationSettings {
  const own = app === null ? undefined : config.applications[app];
  return {
    publish: over(config.publish, own?.publish),
    play: over(config.play, own?.play),
    callback: over(config.callback, own?.callback),
    hls: over(config.hls, own?.hls),
    ladder: own?.ladder ?? config.ladder,
    transcode: over(config.transcode, own?.transcode),
    hooks: own?.hooks ?? config.hooks,
  };
}

/** What is undefined does not count as set. */
function over<T extends object>(base: T, own: { [K in keyof T]?: T[K] | undefined } | undefined): T {
  const set = Object.entries(own ?? {}).filter(([, value]) => value !== undefined);
  return { ...base, ...Object.fromEntries(set) };
}

function nameOfRung(entry: string | { readonly name: string }): string {
  return typeof entry === 'string' ? entry : entry.name;
}
