/**
 * One function of a flame graph, with those that it calls.
 *
 * @typedef {object} Frame
 * @property {string} name
 * @property {string} kind see {@link kindOf}
 * @property {number} samples in it, or in what it calls
 * @property {Map<string, number>} selfKinds in itself, by kind of work
 * @property {Map<string, Frame>} calls
 */

const GC = /Heap::|MarkCompact|Scaveng|Sweep|Marking|Evacuat|ArrayBufferSweeper/;
const COMPILING = /Compiler|Turboshaft|maglev|baseline::|OptimizedCompilation|parsing::|Parser/;

/**
 * Adds up the output of `perf script -F comm,tid,ip,sym,dso`.
 *
 * @param {string} text
 * @returns {Frame} the root; below it are the threads by name
 */
export function foldStacks(text) {
  const root = frame('all', 'thread');
  for (const block of text.split('\n\n')) {
    const [head = '', ...lines] = block.trim().split('\n');
    if (lines.length === 0) continue;
    const thread = head.replace(/\s+\d+\s*$/, '').trim();
    // perf has the innermost first.
    const names = lines.map(nameOf).reverse();
    const kind = kindOfStack(names);
    let at = root;
    at.samples++;
    for (const [index, name] of [thread, ...names].entries()) {
      let next = at.calls.get(name);
      if (next === undefined) {
        next = frame(name, index === 0 ? 'thread' : kindOf(name));
        at.calls.set(name, next);
      }
      next.samples++;
      at = next;
    }
    at.selfKinds.set(kind, (at.selfKinds.get(kind) ?? 0) + 1);
  }
  return root;
}

function frame(name, kind) {
  return { name, kind, samples: 0, selfKinds: new Map(), calls: new Map() };
}

/** `JS:*packet file:///…/dist/packaging/hls-packager.js:271:9` is `packaging/hls-packager.js packet`. */
function nameOf(line) {
  const [, symbol = '?', library = ''] = /^\s*[0-9a-f]+ (.*) \((.*?)\)$/.exec(line.trimEnd()) ?? [];
  const script = /^JS:[*^~+]?(\S*) (?:file:\/\/)?\S*?(?:dist\/|node_modules\/|node:)([^\s:]*)/.exec(symbol);
  if (script !== null) return `JS ${script[2]} ${script[1] || '(anonymous)'}`;
  if (symbol.startsWith('JS:')) return `JS ${symbol.slice(3).replace(/file:\/\/\S*\//, '')}`;
  if (library.includes('kernel')) return `kernel ${symbol}`;
  return symbol.replace(/\(.*$/, '').replace(/<.*$/, '');
}

function kindOf(name) {
  if (name.startsWith('JS ')) return 'JavaScript';
  if (name.startsWith('kernel ')) return 'kernel';
  if (/mem(move|cpy)/.test(name)) return 'copying';
  return name.startsWith('Builtins_') ? "V8's own functions" : 'Node and V8 in C++';
}

/** Collecting and compiling are what whole stacks are about. */
function kindOfStack(names) {
  if (names.some((name) => GC.test(name))) return 'garbage collector';
  if (names.some((name) => COMPILING.test(name))) return 'compiling';
  return kindOf(names.at(-1) ?? '');
}
