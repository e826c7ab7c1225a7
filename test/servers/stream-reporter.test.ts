import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { StreamRegistry } from '../../src/live/stream-registry.ts';
import { type GatewayEvents, StreamReporter } from '../../src/servers/stream-reporter.ts';
import { FakeClock } from '../support/fake-clock.ts';

function rig() {
  const clock = new FakeClock();
  const lines: [message: string, fields: Record<string, unknown>][] = [];
  const fail = () => {
    throw new Error('nothing is wrong');
  };
  const events = new EventEmitter<GatewayEvents>();
  const reporter = new StreamReporter(
    clock,
    { info: (fields, message) => lines.push([message, fields]), warn: fail, error: fail },
    events,
  );
  const registry = new StreamRegistry({
    clock,
    graceMs: () => 0,
    takeover: () => 'newest',
    maxStreams: () => 100,
    onState: (stream) => reporter.stateChanged(stream),
    onEpoch: () => {},
    onSinkFault: fail,
  });
  let publishers = 0;
  return {
    clock,
    reporter,
    registry,
    events,
    /** Publishes and leaves at once. */
    visit: (name: string) =>
      registry.publish('live', name, { address: `${++publishers}`, encoder: null, dismiss: () => {} }).end(),
    lines: () => lines.splice(0),
  };
}

describe('the warnings of a stream', () => {
  const fix = 'see to it';
  it('are an event and a line each, once; lost segments have the line of the store', () => {
    const { reporter, registry, events, lines } = rig();
    const { stream } = registry.publish('live', 'cam', { address: '', encoder: null, dismiss: () => {} });
    const told: string[] = [];
    events.on('warning', ({ name, warning }) => told.push(`${name} ${warning.code}`));
    lines();
    for (let count = 0; count < 3; count++) {
      reporter.checkWarnings(stream, [
        { code: 'segments-lost', severity: 'problem', message: 'lost', fix },
        { code: 'b-frames', severity: 'notice', message: 'reordered', fix },
      ]);
    }
    expect(told).toEqual(['cam segments-lost', 'cam b-frames']);
    expect(lines()).toEqual([['reordered', { stream: 'live/cam', code: 'b-frames', fix }]]);
  });
});

it('each segment that is lost is an event, with what the store said', () => {
  const clock = new FakeClock();
  const events = new EventEmitter<GatewayEvents>();
  const lines: string[] = [];
  const write = (_fields: object, message: string) => lines.push(message);
  const reporter = new StreamReporter(clock, { info: write, warn: write, error: write }, events);
  const { stream } = rig().registry.publish('live', 'cam', { address: '', encoder: null, dismiss: () => {} });
  const told: unknown[] = [];
  events.on('storeError', (event) => told.push(event));
  const error = new Error('EIO: i/o error');
  reporter.segmentLost(stream, error, '0.ts');
  reporter.segmentLost(stream, error, '1.ts');
  expect(told).toEqual([
    { app: 'live', name: 'cam', error },
    { app: 'live', name: 'cam', error },
  ]);
  expect(lines).toHaveLength(1);
});

describe('the lines of a stream', () => {
  it('that comes and goes all the time are one of a kind per second, with their number', () => {
    const { clock, visit, lines } = rig();
    const cam = { stream: 'live/cam' };
    for (let count = 0; count < 50; count++) visit('cam');
    visit('other');
    const other = { stream: 'live/other' };
    expect(lines()).toEqual([
      ['publishing', { ...cam, peer: '1', encoder: null }],
      ['stream ended', { ...cam, bytes: 0 }],
      ['publishing', { ...other, peer: '51', encoder: null }],
      ['stream ended', { ...other, bytes: 0 }],
    ]);
    clock.advance(999);
    expect(lines()).toEqual([]);
    clock.advance(1);
    expect(lines()).toEqual([
      ['publishing', { ...cam, peer: '50', encoder: null, count: 49 }],
      ['stream ended', { ...cam, bytes: 0, count: 49 }],
    ]);
    visit('cam');
    expect(lines()).toEqual([]);
    clock.advance(1000);
    expect(lines()).toEqual([
      ['publishing', { ...cam, peer: '52', encoder: null }],
      ['stream ended', { ...cam, bytes: 0 }],
    ]);
    clock.advance(1000);
    expect(clock.pending).toBe(0);
    visit('cam');
    expect(lines()).toHaveLength(2);
  });

  it('about its media too, the last of which is always told', () => {
    const { clock, reporter, registry, lines } = rig();
    const { stream } = registry.publish('live', 'cam', { address: '', encoder: null, dismiss: () => {} });
    lines();
    const epoch = (reason: 'start' | 'reconnect') =>
      reporter.epochBegan(stream, { reason, tracks: [], start: 0, startedAt: 0 });
    epoch('start');
    for (let count = 0; count < 20; count++) epoch('reconnect');
    clock.advance(1000);
    expect(lines()).toEqual([
      ['media', { stream: 'live/cam', reason: 'start', tracks: '' }],
      ['media', { stream: 'live/cam', reason: 'reconnect', tracks: '', count: 20 }],
    ]);
  });
});
