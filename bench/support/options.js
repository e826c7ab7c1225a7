import { parseArgs } from 'node:util';

/**
 * Options of a benchmark: `--name value` on the command line, else `BENCH_NAME` in the environment, else the default.
 * The type of the default is the type of the option.
 *
 * @param {Record<string, number | string>} defaults
 */
export function readOptions(defaults) {
  const names = Object.keys(defaults);
  const { values } = parseArgs({
    options: Object.fromEntries(names.map((name) => [name, { type: 'string' }])),
  });
  return Object.fromEntries(
    names.map((name) => {
      const given = values[name] ?? process.env[`BENCH_${name.replaceAll('-', '_').toUpperCase()}`];
      if (given === undefined) return [name, defaults[name]];
      if (typeof defaults[name] === 'string') return [name, given];
      const number = Number(given);
      if (given.trim() === '' || !Number.isFinite(number) || number < 0) {
        throw new Error(`--${name} needs a number, not "${given}"`);
      }
      return [name, number];
    }),
  );
}
