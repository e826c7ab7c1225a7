// Runs every benchmark in short form and sums up. Missed targets are shown, never an error: machines differ.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { printTable } from './support/report.js';

const SHORT = [
  ['start.js', '--rounds', '5', '--idle-seconds', '3'],
  ['remux.js', '--rounds', '3', '--mb', '800'],
  ['ingest.js', '--rounds', '1', '--mb', '500'],
  ['publishers.js', '--publishers', '50', '--seconds', '8', '--warm-up', '3'],
];

const results = [];
for (const [file, ...args] of SHORT) results.push(await run(file, args));

console.log('\nSummary');
printTable(
  results.flatMap(({ bench, figures }) =>
    figures.map((figure) => ({ ...figure, name: `${bench}: ${figure.name}` })),
  ),
);

/** A process of its own for each, so that none inherits the heap or the compiled code of another. */
function run(file, args) {
  return new Promise((resolve, reject) => {
    const path = fileURLToPath(new URL(file, import.meta.url));
    const child = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.once('error', reject);
    child.once('close', (code) => {
      const lines = output.trimEnd().split('\n');
      const json = lines.pop();
      console.log(lines.join('\n'));
      if (code === 0) resolve(JSON.parse(json ?? ''));
      else reject(new Error(`${file} ended with ${code}`));
    });
  });
}
