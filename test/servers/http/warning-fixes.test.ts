import { expect, test } from 'vitest';
import { buildAvcC, h264Track } from '../../../src/codecs/h264.ts';
import { AudioGaps } from '../../../src/live/ingest-doctor/audio-gaps.ts';
import { ClockDrift } from '../../../src/live/ingest-doctor/clock-drift.ts';
import { FrameSpacing } from '../../../src/live/ingest-doctor/frame-spacing.ts';
import { IngestDoctor } from '../../../src/live/ingest-doctor/ingest-doctor.ts';
import { KeyframeSpacing } from '../../../src/live/ingest-doctor/keyframe-spacing.ts';
import { Pace, type PaceSample, stalled, uploadBehind } from '../../../src/live/ingest-doctor/pace.ts';
import { Reordering } from '../../../src/live/ingest-doctor/reordering.ts';
import { formatWarnings } from '../../../src/live/ingest-doctor/track-format.ts';
import { ticksFromMs, ticksFromSeconds } from '../../../src/media/time.ts';
import type { Track } from '../../../src/media/track.ts';
import type { Warning } from '../../../src/media/warning.ts';
import { packagingWarnings } from '../../../src/packaging/packaging-warnings.ts';
import { warningsOf } from '../../../src/servers/http/stream-view.ts';
import type { TrackConversion } from '../../../src/transcode/conversion/conversion.ts';
import { makeSps } from '../../codecs/support.ts';
import { audioTrack, PPS, videoTrack } from '../../media/support.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Studio } from '../../support/publish-clip.ts';

const ENCODER = 'Settings > Output > Output Mode "Advanced" > Streaming > ';
const STREAMING = 'Settings > Output > Streaming > ';

/** Why OBS is not the place to mend these. */
const NOT_IN_OBS = {
  'damaged-media': 'no setting makes OBS send what cannot be parsed',
  'faster-than-real-time': 'OBS sends what it shows, by its clock; ffmpeg without -re does this',
  'segments-lost': 'the disk of the gateway is full or broken',
} as const;

/** Where in OBS each of them is mended: one of the places, where there are several. */
const IN_OBS: Record<Exclude<Warning['code'], keyof typeof NOT_IN_OBS>, readonly string[]> = {
  'audio-channels': ['Settings > Audio > Channels: Stereo'],
  'audio-gaps': ['Settings > Audio > Sample Rate'],
  'audio-missing': ['Settings > Audio > Global Audio Devices'],
  'audio-sample-rate': ['Settings > Audio > Sample Rate: 48 kHz'],
  'b-frames': [`${ENCODER}B-Frames (or Max B-frames): 0`],
  'clock-drift': ['Sources > the audio device > Properties > Use Device Timestamps: off'],
  'frame-rate-variable': ['Settings > Video > Common FPS Values'],
  'frames-missing': ['View > Stats'],
  'keyframe-interval-long': [`${ENCODER}Keyframe Interval: 2 s`],
  'keyframe-interval-uneven': [`${ENCODER}Keyframe Interval: 2 s`],
  'segments-without-keyframe': [`${ENCODER}Keyframe Interval: 2 s`],
  'track-converted': [`${STREAMING}Video Encoder`, `${STREAMING}Audio Encoder`],
  'track-not-converted': [`${STREAMING}Video Encoder`, `${STREAMING}Audio Encoder`],
  'track-not-in-hls': [
    ...[`${STREAMING}Video Encoder`, `${STREAMING}Audio Encoder`],
    ...['Settings > Stream > Enable Multitrack Video: off', `${ENCODER}Twitch VOD Track: off`],
  ],
  'upload-behind': [`lower ${STREAMING}Bitrate`],
  'upload-stalled': [`lower ${STREAMING}Bitrate`],
  'video-interlaced': ['right-click the source > Deinterlacing'],
  'video-level': ['Settings > Video > Output (Scaled) Resolution'],
  'video-profile': ['Settings > Advanced > Video > Color Format: NV12'],
};

const range = (count: number) => Array.from({ length: count }, (_, index) => index);

function ofFrames(): (Warning | null)[] {
  const keyframes = new KeyframeSpacing();
  const uneven = [0, 2, 6, 8, 14, 16].map((at) => keyframes.keyframe(ticksFromSeconds(at)));
  const order = new Reordering();
  for (const frame of range(300)) order.frame(frame % 2 === 0 ? frame + 1 : frame - 1);
  const variable = new FrameSpacing();
  const missing = new FrameSpacing();
  for (const frame of range(300)) {
    variable.frame(ticksFromMs(frame * 40 + (frame % 2) * 14));
    if (frame % 50 < 40) missing.frame(ticksFromMs(frame * 40));
    if (frame === 150) variable.judge();
  }
  const gaps = new AudioGaps();
  gaps.begin(audioTrack());
  gaps.frame(0);
  return [...uneven, order.judge(40), variable.judge(), missing.judge(), gaps.silence(ticksFromSeconds(5))];
}

function ofTime(): (Warning | null)[] {
  const sample = (wall: number, media: number): PaceSample => ({
    wall: wall * 1000,
    media: ticksFromSeconds(media),
    bytes: media * 250_000,
  });
  const pace = new Pace();
  const drift = new ClockDrift();
  return [
    stalled(0, 20_000),
    uploadBehind(sample(0, 0), sample(20, 10)),
    ...range(60).map((at) => pace.sample(sample(at, at * 2))),
    ...range(400).map((at) => drift.sample(sample(at, at * 1.005))),
  ];
}

function ofTracks(): Warning[] {
  const sps = makeSps({ profile: 110, level: 60, mbWidth: 40, mapHeight: 23, frameMbsOnly: false });
  const parameters = { nalLengthSize: 4, sps: [sps], pps: [PPS] };
  const doctor = new IngestDoctor(new FakeClock());
  const video = videoTrack();
  doctor.epoch({ reason: 'start', tracks: [video], start: 0, startedAt: 0 });
  const at = ticksFromSeconds(6);
  doctor.packet({ track: video, dts: at, pts: at, keyframe: true, data: new Uint8Array(1) });
  return [
    ...formatWarnings([
      h264Track('v0', buildAvcC(parameters), parameters),
      { ...audioTrack(), sampleRate: 32_000, channels: 6 },
    ]),
    ...doctor.findings(),
  ];
}

function ofPackaging(): Warning[] {
  const tracks: Track[] = [
    videoTrack(),
    audioTrack(),
    { ...videoTrack(), codec: 'hevc', h264: null },
    { ...audioTrack(), codec: 'opus' },
  ];
  return packagingWarnings({
    tracks,
    carries: () => false,
    keyframeInterval: 8,
    segmentDuration: 2,
    targetDuration: 2,
    forcedCuts: 1,
    losesSegments: true,
  });
}

function ofConversion(): Warning[] {
  const conversion = (trackId: string, state: TrackConversion['state']): TrackConversion => ({
    ...{ trackId, state, policy: 'transcode', reason: 'it has to be', error: null, dropped: 0 },
  });
  const conversions = [
    ...[conversion('v0', 'running'), conversion('a0', 'running')],
    ...[conversion('v0', 'failed'), conversion('a0', 'failed')],
  ];
  const { stream } = new Studio();
  stream.stats.damagedMessages = 1;
  return warningsOf(stream, null, { conversions: () => conversions });
}

const WARNINGS = [...ofFrames(), ...ofTime(), ...ofTracks(), ...ofPackaging(), ...ofConversion()].filter(
  (warning) => warning !== null,
);

test('every warning there is is looked at', () => {
  const codes = new Set(WARNINGS.map(({ code }) => code));
  expect([...codes].sort()).toEqual([...Object.keys(IN_OBS), ...Object.keys(NOT_IN_OBS)].sort());
});

test.each(Object.entries(IN_OBS))('%s is mended in OBS, and its fix says where', (code, places) => {
  const fixes = WARNINGS.filter((warning) => warning.code === code).map(({ fix }) => fix);
  for (const fix of fixes) {
    expect(fix).toMatch(/In OBS: .* > /);
    expect(places.some((place) => fix.includes(`In OBS: ${place}`))).toBe(true);
  }
  for (const place of places) expect(fixes.some((fix) => fix.includes(place))).toBe(true);
});

test.each(Object.entries(NOT_IN_OBS))('%s is not: %s', (code) => {
  for (const warning of WARNINGS) if (warning.code === code) expect(warning.fix).not.toContain('In OBS');
});
