import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const SOURCE = join(import.meta.dirname, '../src');

/** A file may import from its own layer or one above it in this list. The last ones are files, not folders. */
const LAYERS = [
  'media',
  'codecs',
  'formats',
  'rtmp',
  'live',
  'packaging',
  'storage',
  'processes',
  'transcode',
  'hooks',
  'access',
  'servers',
  'config',
  'version.ts',
  'shutdown.ts',
  'gateway-interface.ts',
  'gateway.ts',
  'index.ts',
  'cli-flags.ts',
  'cli-log.ts',
  'cli.ts',
];
/** No I/O, no clock, no timers: what runs under a socket must run under a test array and a fuzzer. */
const PURE = ['media', 'codecs', 'formats', 'rtmp', 'live', 'packaging'];
/** node:crypto and node:events compute; nothing else of Node may be touched there. */
const PURE_NODE_MODULES = new Set(['node:crypto', 'node:events']);

interface Import {
  readonly file: string;
  readonly line: number;
  readonly target: string;
}

const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);
const lines = new Map(files.map((file) => [file, readFileSync(join(SOURCE, file), 'utf8').split('\n')]));

function importsOf(file: string): Import[] {
  const found: Import[] = [];
  (lines.get(file) ?? []).forEach((text, index) => {
    const target = /(?:\bfrom\s+|\bimport\s*\(?\s*)'([^']+)'/.exec(text)?.[1];
    if (target !== undefined) found.push({ file, line: index + 1, target });
  });
  return found;
}

function layerOf(file: string): string {
  return file.split('/')[0] ?? file;
}

/** `formats/amf` for `formats/amf/amf0.ts`: the siblings in formats do not see each other. */
function formatOf(file: string): string | null {
  return /^formats\/[^/]+/.exec(file)?.[0] ?? null;
}

function complaints(check: (found: Import, target: string) => string | null): string[] {
  return files.flatMap((file) =>
    importsOf(file).flatMap((found) => {
      const target = found.target.startsWith('.')
        ? relative(SOURCE, join(SOURCE, dirname(file), found.target))
        : found.target;
      const complaint = check(found, target);
      return complaint === null ? [] : [`src/${found.file}:${found.line} ${complaint}`];
    }),
  );
}

function linesMatching(pattern: RegExp, inFile: (file: string) => boolean): string[] {
  return files.filter(inFile).flatMap((file) =>
    (lines.get(file) ?? []).flatMap((text, index) => {
      const code = text.replace(/\/\/.*$|^\s*\*.*$|^\s*\/\*\*.*$/, '');
      return pattern.test(code) ? [`src/${file}:${index + 1} ${text.trim()}`] : [];
    }),
  );
}

const isPure = (file: string) => PURE.includes(layerOf(file));

describe('the import direction', () => {
  it('knows every folder and file of src', () => {
    expect([...new Set(files.map(layerOf))].filter((layer) => !LAYERS.includes(layer))).toEqual([]);
  });

  it('goes only upwards in the list of layers', () => {
    expect(
      complaints(({ file }, target) => {
        if (!files.includes(target)) return null;
        const below = LAYERS.indexOf(layerOf(target)) > LAYERS.indexOf(layerOf(file));
        return below ? `imports ${target}, which is below it` : null;
      }),
    ).toEqual([]);
  });

  it('keeps the formats apart', () => {
    expect(
      complaints(({ file }, target) => {
        const from = formatOf(file);
        const to = formatOf(target);
        return from !== null && to !== null && from !== to ? `imports its sibling ${to}` : null;
      }),
    ).toEqual([]);
  });

  it('lets only existing files be imported', () => {
    expect(
      complaints(({ target }, path) =>
        target.startsWith('.') && !files.includes(path) ? `imports ${path}` : null,
      ),
    ).toEqual([]);
  });
});

describe('the pure layers', () => {
  it('touch nothing of Node but what computes', () => {
    expect(
      complaints(({ file }, target) =>
        isPure(file) && !files.includes(target) && !PURE_NODE_MODULES.has(target)
          ? `imports ${target}`
          : null,
      ),
    ).toEqual([]);
  });

  it('have no clock, no timers and no console', () => {
    const forbidden =
      /\bDate\.now\b|\bnew Date\(\)|\bset(?:Timeout|Interval|Immediate)\b|\bperformance\.|\bconsole\./;
    expect(linesMatching(forbidden, isPure)).toEqual([]);
  });

  it('convert media time in one place only', () => {
    expect(linesMatching(/[*/] ?90(?:_?000)?\b/, (file) => file !== 'media/time.ts')).toEqual([]);
  });
});

describe('process', () => {
  it('is touched by the command alone, and where others are started', () => {
    expect(
      linesMatching(/\bprocess\./, (file) => file !== 'cli.ts' && !file.startsWith('processes/')),
    ).toEqual([]);
  });
});
