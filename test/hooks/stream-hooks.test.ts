import { describe, expect, it } from 'vitest';
import type { Hooks } from '../../src/hooks/hooks.ts';
import { streamHooks } from '../../src/hooks/stream-hooks.ts';
import type { HookValues } from '../../src/hooks/variables.ts';
import type { Publisher, Stream } from '../../src/live/stream.ts';
import { StreamRegistry } from '../../src/live/stream-registry.ts';
import { ticksFromSeconds } from '../../src/media/time.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** Streams whose events are written down. */
function rig() {
  const log: string[] = [];
  const seen: HookValues[] = [];
  const note = (what: string, values: HookValues) => {
    log.push(`${what} ${values.clientid}`);
    seen.push(values);
  };
  const hooks: Hooks = {
    event: (values, event) => note(event, values),
    beginLive: (values) => note('+live', values),
    endLive: (values) => note('-live', values),
    figures: () => {
      throw new Error('nobody asks');
    },
    close: async () => {},
  };
  const events = streamHooks(hooks);
  const clock = new FakeClock();
  const registry = new StreamRegistry({
    clock,
    graceMs: () => 60_000,
    takeover: () => 'newest',
    maxStreams: () => 10,
    onState: (stream) => events.stateChanged(stream),
    onEpoch: () => {},
    onSinkFault: () => {},
  });
  return { log, seen, events, registry, clock };
}

const OBS: Publisher = {
  address: '192.0.2.1',
  encoder: 'FMLE/3.0',
  claims: { query: 'a=1', tcUrl: 'rtmp://x/live', swfUrl: null, pageUrl: 'http://page/\n' },
  dismiss: () => {},
};

describe('the events of a stream', () => {
  it('tell what is known of the publisher', () => {
    const { seen, registry } = rig();
    registry.publish('live', 'cam', OBS);
    expect(seen).toEqual([
      {
        app: 'live',
        name: 'cam',
        args: 'a=1',
        addr: '192.0.2.1',
        flashver: 'FMLE/3.0',
        swfurl: '',
        tcurl: 'rtmp://x/live',
        pageurl: 'http://page/',
        clientid: '1',
      },
    ]);
  });

  it('begin with the publisher, and live commands with something to play', () => {
    const { log, events, registry, clock } = rig();
    const publication = registry.publish('live', 'cam', OBS);
    const { stream } = publication;
    // Nothing was shown: without media there is no grace, and nothing that could end.
    publication.end();
    expect(stream.state).toBe('closed');
    events.ended(stream);
    expect(log).toEqual(['publish 1', '-live 1', 'publish-done 1']);
    log.length = 0;

    const second = registry.publish('live', 'cam', OBS).stream;
    events.segmentListed(second);
    events.segmentListed(second);
    second.close();
    events.ended(second);
    expect(log).toEqual(['publish 2', 'ready 2', '+live 2', '-live 2', 'publish-done 2', 'ended 2']);
    expect(clock.pending).toBe(0);
  });

  it('tell a takeover as one who leaves and one who comes', () => {
    const { log, events, registry } = rig();
    const { stream } = registry.publish('live', 'cam', OBS);
    events.segmentListed(stream);
    log.length = 0;
    registry.publish('live', 'cam', { ...OBS });
    expect(log).toEqual(['-live 1', 'publish-done 1', 'publish 2', '+live 2']);
  });

  it('of a stream that goes on after a restart are not ready twice', () => {
    const { log, events, registry } = rig();
    const resume = { startedAt: 0, end: ticksFromSeconds(10), closed: false };
    const stream: Stream = registry.restore('live', 'cam', resume);
    stream.awaitPublisher();
    expect(log).toEqual([]);
    const publication = registry.publish('live', 'cam', OBS);
    events.segmentListed(stream);
    publication.end();
    expect(stream.state).toBe('grace');
    stream.close();
    events.ended(stream);
    expect(log).toEqual(['publish 1', '+live 1', '-live 1', 'publish-done 1', 'ended 1']);
  });

  it('of a stream that had ended before a restart are over', () => {
    const { log, events, registry } = rig();
    const resume = { startedAt: 0, end: ticksFromSeconds(10), closed: true };
    events.segmentListed(registry.restore('live', 'cam', resume));
    expect(log).toEqual([]);
    expect(registry.publish('live', 'cam', OBS).stream.state).toBe('live');
    expect(log).toEqual(['publish 1']);
  });

  it('come from a last segment that is listed after the publisher left', () => {
    const { log, events, registry } = rig();
    const { stream } = registry.publish('live', 'cam', OBS);
    stream.close();
    events.segmentListed(stream);
    events.ended(stream);
    expect(log).toEqual(['publish 1', '-live 1', 'publish-done 1', 'ready 1', 'ended 1']);
  });
});
