import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PictureFfmpeg, PictureFfmpegFinder } from '../../../src/transcode/thumbnails/ffmpeg-source.ts';

/** What the fake does after it has noted that it was started. */
const BEHAVIOURS = {
  /** Answers with the number of bytes it got. */
  works:
    'let n = 0; process.stdin.on("data", (d) => { n += d.length; }).on("end", () => process.stdout.write("picture of " + n));',
  fails: 'process.stderr.write("no frame!"); process.exitCode = 69; process.stdin.destroy();',
  silent: 'process.stdin.resume();',
  hangs: 'setInterval(() => {}, 1000);',
  floods: 'const more = () => process.stdout.write(Buffer.alloc(65536), more); more();',
  /** Answers when `release` was called. */
  waits:
    'const t = setInterval(() => { if (fs.existsSync(__dirname + "/go")) { clearInterval(t); process.stdout.write("late"); process.stdin.destroy(); } }, 5);',
} as const;

export interface FakeFfmpeg {
  readonly finder: PictureFfmpegFinder;
  /** How often it was started. */
  readonly starts: number;
  behave(as: keyof typeof BEHAVIOURS): void;
  release(): void;
  remove(): void;
}

/** A script in place of ffmpeg, run by this Node. */
export function makeFakeFfmpeg(encoders: readonly string[] = ['mjpeg', 'libwebp']): FakeFfmpeg {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-fake-ffmpeg-'));
  const path = join(folder, 'ffmpeg.cjs');
  const log = join(folder, 'log');
  const found: PictureFfmpeg = { path, encoders: new Set(encoders) };
  const behave = (as: keyof typeof BEHAVIOURS) =>
    writeFileSync(
      path,
      `#!${process.execPath}\nconst fs = require('node:fs');\nfs.appendFileSync(${JSON.stringify(log)}, 'x');\n${BEHAVIOURS[as]}\n`,
      { mode: 0o755 },
    );
  behave('works');
  return {
    finder: { find: async () => found, known: found },
    get starts() {
      return existsSync(log) ? readFileSync(log).length : 0;
    },
    behave,
    release: () => writeFileSync(join(folder, 'go'), ''),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
