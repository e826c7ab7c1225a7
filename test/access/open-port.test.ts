import { describe, expect, it } from 'vitest';
import { openApplications, type PublishingRules } from '../../src/access/open-port.ts';

const open: PublishingRules = { publish: { keys: [], allow: [] }, callback: { actions: ['publish'] } };
const closed: Record<string, PublishingRules> = {
  'has a key': { ...open, publish: { keys: [{}], allow: [] } },
  'allows some addresses': { ...open, publish: { keys: [], allow: ['10.0.0.0/8'] } },
  'asks a callback': { ...open, callback: { url: 'http://x/', actions: ['publish'] } },
};

describe('openApplications', () => {
  it.each(Object.entries(closed))('an application that %s is not open, others are', (name, rules) => {
    expect(
      openApplications(undefined, [
        ['*', open],
        [name, rules],
      ]),
    ).toEqual(['*']);
    expect(
      openApplications(undefined, [
        ['*', rules],
        ['guests', open],
      ]),
    ).toEqual(['guests']);
  });

  it('a callback that is asked about play only keeps nobody from publishing', () => {
    const rules = { ...open, callback: { url: 'http://x/', actions: ['play'] } };
    expect(openApplications(undefined, [['*', rules]])).toEqual(['*']);
  });

  it.each(['127.0.0.1', '::1', 'localhost', '127.9.9.9'])('nobody else reaches %s', (host) => {
    expect(openApplications(host, [['*', open]])).toEqual([]);
  });

  it.each([undefined, '0.0.0.0', '::', '192.0.2.1'])('others reach %s', (host) => {
    expect(openApplications(host, [['*', open]])).toEqual(['*']);
  });
});
