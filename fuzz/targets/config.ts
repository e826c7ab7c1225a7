import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pid } from 'node:process';
import { threadId } from 'node:worker_threads';
import { loadConfig } from '../../src/config/load.ts';
import { check, codeOf } from '../support/tolerate.ts';

/** A configuration file; behind a NUL, lines NAME=value of the environment. */
export const maxLength = 1024;
/** The operator's own file, read when it changes: finding the option that a wrong key was meant to be may take time. */
export const patienceMs = 1000;

const file = join(tmpdir(), `sluice-fuzz-${pid}-${threadId}.yaml`);

export async function fuzz(data: Buffer): Promise<void> {
  const [text = '', variables = ''] = data.toString('utf8').split('\0');
  writeFileSync(file, text);
  const env = Object.fromEntries(
    variables.split('\n').map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  try {
    const { rtmp, hls } = (await loadConfig({ file, env, flags: {} })).config;
    check(rtmp.port >= 0 && rtmp.port <= 65_535, `port ${rtmp.port}`);
    check(hls.maxSegmentDuration >= hls.segmentDuration, 'segments longer than the longest');
  } catch (error) {
    check(codeOf(error) === 'SLUICE_CONFIG_INVALID', `${codeOf(error)} from a configuration`);
  } finally {
    rmSync(file);
    check(Object.keys(Object.prototype).length === 0, 'every object has a property more');
  }
}
