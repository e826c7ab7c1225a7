import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The real one. */
export const FFMPEG = (process.env.PATH ?? '')
  .split(':')
  .map((folder) => join(folder, 'ffmpeg'))
  .find((path) => existsSync(path)) as string;

/** What an ffmpeg that encodes may do instead, in sh; `"$FFMPEG"` is the real one and `"$@"` what it was asked. */
export const MISBEHAVIOUR = {
  crash: 'echo "munmap_chunk(): invalid pointer" >&2; kill -SEGV $$',
  crashLater: 'exec timeout --foreground -s SEGV 3 "$FFMPEG" "$@"',
  hang: 'exec sleep 600',
  hangForGood: "trap '' TERM; exec sleep 600",
  exitEarly: 'head -c 100000 >/dev/null; exit 0',
  flood:
    '{ yes "[warning] the same again and again" | head -c 200000000; } >&2 3>&- 4>&- 5>&- </dev/null & exec "$FFMPEG" "$@"',
  /** Sorenson H.263 to each of its outputs. */
  wrongCodec: `
for argument; do
  case "$argument" in pipe:0) ;; pipe:*) outputs="$outputs -map 0:v -c:v flv -f flv $argument";; esac
done
exec "$FFMPEG" -v error -f flv -i pipe:0 $outputs`,
} as const;

export interface FakeFfmpegs {
  /** A script that answers questions as the real one does, and does this when it is to encode a stream. */
  misbehaving(kind: keyof typeof MISBEHAVIOUR): string;
  /** A file with this content. */
  file(name: string, content: string | Uint8Array, mode: number): string;
  /** An empty folder, for a PATH without any program. */
  readonly emptyFolder: string;
  remove(): void;
}

export function makeFakeFfmpegs(): FakeFfmpegs {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-fake-ffmpeg-'));
  const file: FakeFfmpegs['file'] = (name, content, mode) => {
    const path = join(folder, name);
    writeFileSync(path, content, { mode });
    return path;
  };
  return {
    file,
    misbehaving: (kind) =>
      file(
        kind,
        `#!/bin/sh
PATH=/usr/bin:/bin
FFMPEG='${FFMPEG}'
case " $* " in *' -i pipe:0 '*) ;; *) exec "$FFMPEG" "$@";; esac
${MISBEHAVIOUR[kind]}
`,
        0o755,
      ),
    emptyFolder: mkdtempSync(join(folder, 'empty-')),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The begin of a program for a machine that nobody has. */
export function foreignProgram(): Uint8Array {
  const header = Buffer.alloc(256);
  // 64 bits, little endian, executable, for the WDC 65C816.
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(257, 18);
  return header;
}
