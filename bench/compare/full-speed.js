import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { figure } from '../support/report.js';

const INGEST = fileURLToPath(new URL('../ingest.js', import.meta.url));

/** One publisher as fast as the server takes it: the benchmark of its own, in a process of its own. */
export async function compareFullSpeed({ rounds, mb, 'node-args': nodeArgs }, nginx) {
  const args = ['--rounds', rounds, '--mb', mb, '--compare', nginx ? 1 : 0, `--node-args=${nodeArgs}`];
  const { stdout } = await promisify(execFile)(process.execPath, [INGEST, ...args.map(String)], {
    maxBuffer: 1e7,
  });
  const measured = JSON.parse(stdout.trimEnd().split('\n').at(-1)).figures;
  const of = (name) => measured.find((one) => one.name === name)?.rounds;
  const figures = [figure('full speed: Sluice', of('Sluice'), 'MB per CPU second', { atLeast: 600 })];
  if (nginx) {
    figures.push(
      figure('full speed: nginx-rtmp', of('nginx-rtmp'), 'MB per CPU second'),
      figure('full speed: Sluice / nginx-rtmp', of('Sluice / nginx-rtmp'), 'times', { atLeast: 1 }),
    );
  }
  return { figures, notes: [] };
}
