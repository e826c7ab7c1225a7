import { figure, median } from '../support/report.js';
import { linearTrend, lowerEnvelope } from './trend.js';

/** A slope of fewer minutes says nothing about an hour. */
const JUDGED_MINUTES = 30;
const MAX_SLOPE = 1;
/** Short-lived connections of the validators come and go between samples. */
const DESCRIPTOR_NOISE = 3;
/** V8 collects about once a minute under this load: each stretch is to see the level after a collection. */
const STRETCH_SECONDS = 300;

/** What the run amounts to. */
export function judge(state, options) {
  const { samples, counts, load } = state;
  const minutes = (samples.at(-1)?.seconds ?? 0) / 60;
  const warmUp = Math.min(options['warm-up'], minutes / 3);
  const steady = samples.filter(({ seconds }) => seconds >= warmUp * 60);
  const memory = steady.map(({ seconds, rss }) => ({ x: seconds / 3600, y: rss }));
  const stretches = Math.max(1, Math.round(((minutes - warmUp) * 60) / STRETCH_SECONDS));
  const trend = linearTrend(memory);
  const floor = linearTrend(lowerEnvelope(memory, stretches));
  const media = linearTrend(
    steady.flatMap(({ seconds, media: mb }) => (mb === null ? [] : [{ x: seconds / 3600, y: mb }])),
  );
  const judged = minutes >= JUDGED_MINUTES;
  const growth = descriptorGrowth(steady);
  const left = state.after === null ? 0 : Math.max(0, state.after.fds - state.idle.fds);

  const figures = [];
  const add = (name, value, unit, target) => figures.push(figure(name, [value], unit, target));
  if (trend !== null && floor !== null) {
    add('memory, slope of its lower envelope', floor.slope, 'MB/h', judged ? { atMost: MAX_SLOPE } : {});
    add('memory, slope of all samples', trend.slope, 'MB/h');
  }
  // Memory that was used once and is free again would hide it if blocks were not given back.
  if (media !== null) add('media memory in use, slope', media.slope, 'MB/h');
  if (steady.length > 0) {
    const of = (name) => steady.map((sample) => sample[name]);
    add('memory, lowest', Math.min(...of('rss')), 'MB');
    add('memory, highest', Math.max(...of('rss')), 'MB');
    add('descriptors, fewest', Math.min(...of('fds')), '');
    add('descriptors, most', Math.max(...of('fds')), '');
    add('descriptors, growth', growth, '', { atMost: DESCRIPTOR_NOISE });
    add('CPU', of('cpu').reduce((sum, cpu) => sum + cpu, 0) / steady.length, '%');
    add('sender, latest send', Math.max(...samples.map(({ late }) => late)), 'ms behind');
  }
  add('descriptors left when all have gone', left, '', { atMost: 0 });
  add('problems of viewers', counts.viewers, '', { atMost: 0 });
  add('problems of the validator', counts.validator, '', { atMost: 0 });
  add('problems of publishers', counts.publishers, '', { atMost: 0 });
  add('problems of the gateway', counts.gateway, '', { atMost: 0 });
  add('warnings of the validator', counts.warnings, '');
  add('segments fetched by viewers', load.segments, '', { atLeast: 1 });
  if (options.validated > 0) add('segments validated', state.validated, '', { atLeast: 1 });
  add('reconnects', load.reconnects, '');

  const notes = [
    `${minutes.toFixed(1)} minutes, of which the first ${warmUp.toFixed(1)} are warm-up.`,
    ...(state.idle === null || state.after === null
      ? []
      : [
          `Before the load ${state.idle.rss.toFixed(0)} MB and ${state.idle.fds} descriptors, ` +
            `after it ${state.after.rss.toFixed(0)} MB and ${state.after.fds}.`,
        ]),
    ...(floor === null || trend === null
      ? []
      : [
          `Standard error of the slopes: envelope ${floor.error.toFixed(2)}, all ${trend.error.toFixed(2)} MB/h.`,
        ]),
    ...(media === null ? [] : [`Standard error of media memory's slope: ${media.error.toFixed(2)} MB/h.`]),
    ...(judged ? [] : [`Memory is judged from ${JUDGED_MINUTES} minutes on.`]),
  ];
  const failures = figures
    .filter(({ reached }) => reached === false)
    .map(({ name, value }) => `${name}: ${Number(value.toFixed(2))}`);
  return { figures, notes, failures, warmUp, floor };
}

/** Of the typical number, from the first quarter of the time to the last. */
function descriptorGrowth(samples) {
  const quarter = Math.ceil(samples.length / 4);
  const typical = (some) => median(some.map(({ fds }) => fds));
  return typical(samples.slice(-quarter)) - typical(samples.slice(0, quarter));
}
