import { afterEach, describe, expect, it } from 'vitest';
import { type Finding, Fuzzer, type Target } from '../../fuzz/engine/fuzzer.ts';
import { Probe } from '../../fuzz/engine/probe.ts';
import { createRandom } from '../../fuzz/engine/random.ts';
import { instrument } from '../../fuzz/instrument.js';

/** A function of `data`, instrumented as the code under test is. */
function planted(probe: Probe, body: string): Target['fuzz'] {
  globalThis.fuzzProbe = probe;
  new Function(instrument(`globalThis.planted = function (data) { ${body} }`, 'planted.js'))();
  return take();
}

function take(): Target['fuzz'] {
  const { planted: fuzz } = globalThis as unknown as { planted: Target['fuzz'] };
  return fuzz;
}

interface Outcome {
  readonly finding: Finding | null;
  readonly kept: readonly Uint8Array[];
  readonly inputs: number;
  readonly branchesTaken: number;
}

async function fuzz(
  body: string,
  { seed = 1, most = 100_000, seeds = [] as string[] } = {},
): Promise<Outcome> {
  const probe = new Probe();
  const kept: Uint8Array[] = [];
  const fuzzer = new Fuzzer({
    target: { maxLength: 64, fuzz: planted(probe, body) },
    probe,
    random: createRandom(seed),
    counts: true,
    onRun: () => {},
    onNew: (bytes) => kept.push(bytes),
    cpuTime: () => process.cpuUsage().user / 1000,
  });
  for (const text of seeds) await fuzzer.seed(Buffer.from(text));
  while (fuzzer.finding === null && fuzzer.inputs < most) await fuzzer.step();
  return { finding: fuzzer.finding, kept, inputs: fuzzer.inputs, branchesTaken: fuzzer.branchesTaken };
}

const { stackTraceLimit } = Error;

afterEach(() => {
  globalThis.fuzzProbe = undefined;
  Error.stackTraceLimit = stackTraceLimit;
});

describe('the fuzzer finds a bug behind', () => {
  it.each([
    [
      'one byte after the other',
      `if (data[0] === 0x46) if (data[1] === 0x55) if (data[2] === 0x5a) if (data[3] === 0x7a) throw new Error('bug');`,
    ],
    [
      'a whole number',
      `if (data.length >= 8 && data.readUInt32BE(4) === 0xdeadbeef) throw new Error('bug');`,
    ],
    [
      'a little-endian number',
      `if (data.length >= 4 && data.readUInt32LE(0) === 0x12345678) throw new Error('bug');`,
    ],
    [
      'a word and a length that must fit',
      `if (data.toString('latin1', 1, 8) === 'publish' && data[0] === data.length) throw new Error('bug');`,
    ],
    [
      'a word in a table',
      `if (new Map([['avc1', 1]]).has(data.toString('latin1', 0, 4))) throw new Error('bug');`,
    ],
    [
      'digits',
      `if (/^n=\\d+$/.test(data.toString()) && Number(data.toString().slice(2)) === 4711) throw new Error('bug');`,
    ],
    [
      'a case of a switch',
      `switch (data.length < 4 ? 0 : data.readUInt16BE(2)) { case 0x1234: throw new Error('bug'); default: }`,
    ],
    ['repetition', `let n = 0; while (data[n] === 0xff) n++; if (n >= 12) throw new Error('bug');`],
    ['a limit', `if (data.length >= 4 && data.readUInt32BE(0) > 0xfffffff0) throw new Error('bug');`],
  ])('%s', async (_name, body) => {
    const { finding } = await fuzz(body, { seeds: ['n=1'] });
    expect(finding).toMatchObject({ kind: 'error', message: expect.stringContaining('Error: bug') });
  });

  it('a promise', async () => {
    const { finding } = await fuzz(
      `return data[0] === 7 ? Promise.reject(new Error('bug')) : Promise.resolve();`,
    );
    expect(finding).toMatchObject({ kind: 'error', message: expect.stringContaining('Error: bug') });
  });
});

describe('the fuzzer', () => {
  it('finds nothing in code without a bug, and counts what it ran', async () => {
    const { finding, inputs } = await fuzz(`if (data[0] === 1) return;`, { most: 500 });
    expect(finding).toBeNull();
    expect(inputs).toBe(500);
  });

  it('takes time for a finding', async () => {
    const { finding } = await fuzz(
      `if (data[0] === 0xa5) for (const start = process.cpuUsage().user; process.cpuUsage().user - start < 60_000; );`,
    );
    expect(finding?.kind).toBe('slow');
    expect(finding?.bytes[0]).toBe(0xa5);
  });

  it('leaves out of a finding what it does not need', async () => {
    const { finding } = await fuzz(`if (data.includes(0xee)) throw new Error('bug');`, {
      seeds: ['a long input that has nothing to do with it'],
    });
    expect([...(finding?.bytes ?? [])]).toEqual([0xee]);
  });

  it('keeps one input for each new branch, and repeats itself with the same seed', async () => {
    const body = `if (data[0] === 1) return; if (data[0] === 2) return; if (data.length > 9) return;`;
    const [first, second, other] = [
      await fuzz(body, { most: 3000 }),
      await fuzz(body, { most: 3000 }),
      await fuzz(body, { most: 3000, seed: 2 }),
    ];
    // The function and both sides of each condition.
    expect(first.branchesTaken).toBe(7);
    expect(first.kept.length).toBeLessThanOrEqual(7);
    expect(second.kept).toEqual(first.kept);
    expect(other.branchesTaken).toBe(7);
  });
});

describe('instrumented code', () => {
  it('does what it did before', () => {
    const source = `globalThis.planted = (data) => {
      const log = [];
      const at = (x) => { log.push(x); return x; };
      for (let i = 0; at(i) < at(2); i++) log.push(i > 0 ? 'more' : 'none');
      switch (at(data)) { case 1: log.push('one'); case at(2): log.push('two'); break; default: log.push('other'); }
      try { if (at(5) >= at(6) || at(7) !== at(7) || (null ?? at('x')) === 'x') throw new Error('e'); else log.push('no'); }
      catch (error) { log.push(error.message); }
      const arrow = () => ({ a: at(3) <= 3 && at(NaN) === NaN });
      do log.push(arrow().a); while (at(1) > 1);
      return log;
    };`;
    globalThis.fuzzProbe = new Probe();
    const run = (code: string) => {
      new Function(code)();
      return [1, 2, 3].map((value) => take()(value as unknown as Buffer));
    };
    expect(run(instrument(source, 'planted.js'))).toEqual(run(source));
  });
});
