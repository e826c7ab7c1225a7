// How fast one core turns FLV messages into MPEG-TS segments: demuxer, timeline and packager without sockets.
import { FlvDemuxer } from '../dist/formats/flv/demuxer.js';
import { Timeline } from '../dist/media/timeline.js';
import { HlsPackager } from '../dist/packaging/hls-packager.js';
import { MESSAGE } from '../dist/rtmp/message.js';
import { MemoryStore } from '../dist/storage/memory-store.js';
import { makeUnit, sequenceHeaders, UNIT_MS } from './support/media.js';
import { readOptions } from './support/options.js';
import { figure, report } from './support/report.js';

/** Before the first round, so that compilation is not measured. */
const WARM_UP_MB = 400;

const options = readOptions({ rounds: 5, mb: 1500 });
const unit = makeUnit();
const unitBytes = unit.reduce((sum, { body }) => sum + body.length, 0);
const pipeline = openPipeline();

await remux(WARM_UP_MB);
const speeds = [];
for (let round = 0; round < options.rounds; round++) speeds.push(await remux(options.mb));
pipeline.check();
report('remux', options, [figure('FLV to TS', speeds, 'MB per CPU second', { atLeast: 800 })]);

async function remux(megabytes) {
  const turns = Math.ceil((megabytes * 1e6) / unitBytes);
  const before = process.cpuUsage();
  for (let turn = 0; turn < turns; turn++) await pipeline.push(unit);
  const { user, system } = process.cpuUsage(before);
  return (turns * unitBytes) / (user + system);
}

function openPipeline() {
  // Wall time follows media time, so that segments expire as in a live stream and memory stays level.
  let base = 0;
  const clock = { now: () => base, after: () => () => {} };
  const faults = [];
  const packager = new HlsPackager({
    clock,
    store: new MemoryStore(),
    storePrefix: 'live/bench/',
    segmentName: (number) => `bench-${number}.ts`,
    firstMediaSequence: 0,
    firstDiscontinuitySequence: 0,
    maxBytes: Number.POSITIVE_INFINITY,
    segmentDuration: 2,
    maxSegmentDuration: 10,
    listedSegments: 6,
    resume: null,
    beforeListing: null,
    onListed: () => {},
    onStoreError: (error) => faults.push(error),
  });
  const timeline = new Timeline(packager, { clock, origin: 900_000, reason: 'start' });
  const demuxer = new FlvDemuxer(
    (frame) => timeline.push(frame),
    () => {},
  );
  const headers = sequenceHeaders();
  demuxer.pushVideo(0, headers.video);
  demuxer.pushAudio(0, headers.audio);
  return {
    push: async (messages) => {
      for (const { type, time, body } of messages) {
        const timestamp = (base + time) % 2 ** 32;
        if (type === MESSAGE.VIDEO) demuxer.pushVideo(timestamp, body);
        else demuxer.pushAudio(timestamp, body);
      }
      base += UNIT_MS;
      await packager.settled();
    },
    check: () => {
      const seconds = packager.nextMediaSequence * 2;
      if (faults.length > 0 || Math.abs(seconds - base / 1000) > 10) {
        throw new Error(`the pipeline lost media: ${seconds} s of ${base / 1000} s came out`);
      }
    },
  };
}
