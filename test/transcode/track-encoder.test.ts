import { describe, expect, it } from 'vitest';
import type { SluiceError } from '../../src/media/errors.ts';
import type { Track } from '../../src/media/track.ts';
import { makeFolder, processStat, writeProgram } from '../processes/support.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { until } from '../support/until.ts';
import {
  audioOutput,
  type Encoded,
  ffmpegAt,
  packetsOf,
  startEncoder,
  trackOf,
  videoOutput,
} from './ffmpeg/support.ts';

const folder = makeFolder();
const source = packetsOf('h264_aac', 'video');
const input = trackOf(source);
let programs = 0;

/** An encoder whose ffmpeg is a shell script. */
function withScript(script: string, clock = new FakeClock()): Encoded & { readonly clock: FakeClock } {
  const ffmpeg = ffmpegAt(writeProgram(folder, `ffmpeg${programs++}`, script));
  return { ...startEncoder({ ffmpeg, input, outputs: [videoOutput()], clock }), clock };
}

async function errorOf({ exited }: Encoded): Promise<SluiceError> {
  const { error } = await exited;
  if (error === null) throw new Error('it ended well');
  return error;
}

function writeAll(encoded: Encoded): void {
  for (const packet of source) encoded.encoder.write(packet);
}

/** Shell that copies the frames of a whole clip to the output: not what was asked for. */
const echo = (clip: string) => `cat test/fixtures/clips/${clip}.flv; cat > /dev/null`;

describe('an encoder that fails', () => {
  it.each([
    ['by itself', 'echo "[error] I am done" >&2', 'ffmpeg: it ended by itself (I am done)'],
    [
      'with a code',
      'echo "[libx264 @ 0x55] [error] broken" >&2; exit 69',
      'ffmpeg: it ended with code 69 (broken)',
    ],
    ['by a signal', 'kill -9 $$', 'ffmpeg: it was ended by SIGKILL'],
    ['with something else than FLV', 'yes', 'ffmpeg made not an FLV file (160p)'],
    ['with another codec', echo('flv1_mp3'), /^ffmpeg made (?:mp3|h263) in place of h264 \(160p\)$/],
    ['with another size', echo('h264_only'), 'ffmpeg made a picture of 320×180 (160p)'],
  ])('%s', async (_, script, message) => {
    const encoded = withScript(script);
    writeAll(encoded);
    const error = await errorOf(encoded);
    expect(error.code).toBe('SLUICE_TRANSCODE_FAILED');
    expect(error.message).toEqual(typeof message === 'string' ? message : expect.stringMatching(message));
    expect(encoded.clock.pending).toBe(0);
  });

  it('with a frame that no frame of the source became', async () => {
    const ffmpeg = ffmpegAt(writeProgram(folder, 'strange', echo('h264_aac')));
    const encoded = startEncoder({
      ...{ ffmpeg, input, clock: new FakeClock() },
      outputs: [videoOutput({ height: null })],
    });
    encoded.encoder.write(source[0] ?? raise());
    expect((await errorOf(encoded)).message).toMatch(
      /^ffmpeg made (?:a frame that no frame of the source became|aac in place of h264) \(160p\)$/,
    );
  });

  it('because it is not there any more', async () => {
    const encoded = startEncoder({ ffmpeg: ffmpegAt(`${folder}/gone`), input, outputs: [videoOutput()] });
    writeAll(encoded);
    expect((await errorOf(encoded)).message).toMatch(/^ffmpeg: it could not be started: .*ENOENT/);
    expect(encoded.encoder.pid).toBeNull();
  });

  it('while it prints without end', async () => {
    const encoded = withScript(
      'head -c 100000000 /dev/zero | tr "\\0" "x" >&2; printf "\\n[error] full\\n" >&2; exit 1',
    );
    writeAll(encoded);
    expect((await errorOf(encoded)).message).toBe('ffmpeg: it ended with code 1 (full)');
    expect((await encoded.exited).stderr).toHaveLength(8192);
  });

  it('quotes the end of stderr', async () => {
    const encoded = withScript('echo first >&2; echo second >&2; exit 1');
    expect((await encoded.exited).stderr).toBe('first\nsecond\n');
  });
});

describe('an ffmpeg that cannot do it', () => {
  it.each([
    ['has no encoder', { outputs: [videoOutput({ encoder: 'h264_nvenc' })] }, 'has no encoder h264_nvenc'],
    ['has no decoder', { input: { ...input, codec: 'vvc' } as Track }, 'has no decoder for vvc'],
    ['is too old', { outputs: [videoOutput({ codec: 'hevc', encoder: 'libx264' })] }, 'is too old for hevc'],
    ['is asked for nonsense', { outputs: [audioOutput()] }, 'cannot make audio of video'],
  ])('because it %s', async (_, over, message) => {
    const encoded = startEncoder({
      ffmpeg: ffmpegAt('/nowhere/ffmpeg'),
      input,
      outputs: [videoOutput()],
      ...over,
    });
    writeAll(encoded);
    const error = await errorOf(encoded);
    expect(error.code).toBe('SLUICE_FFMPEG_UNABLE');
    expect(error.message).toContain(message);
  });

  it('is silent when it was stopped before', async () => {
    const encoded = startEncoder({ input, outputs: [videoOutput({ encoder: 'nothing' })] });
    encoded.encoder.stop();
    expect((await encoded.exited).error).toBeNull();
  });
});

describe('the stall watchdog', () => {
  it('ends an ffmpeg that reads and gives nothing', async () => {
    const encoded = withScript('echo "[warning] thinking" >&2; cat > /dev/null');
    for (let second = 0; second < 10; second++) {
      for (const packet of source.slice(second * 25, second * 25 + 25)) encoded.encoder.write(packet);
      encoded.clock.advance(1000);
    }
    // One look saw too few frames to expect anything.
    encoded.encoder.write(source[0] ?? raise());
    encoded.clock.advance(1000);
    const error = await errorOf(encoded);
    expect(error.code).toBe('SLUICE_TRANSCODE_FAILED');
    expect(error.message).toMatch(/^ffmpeg: no output for 10 s/);
    expect(processStat(encoded.encoder.pid ?? 0)).toBeNull();
  });

  it('ends one that does not even read', async () => {
    const encoded = withScript('exec sleep 1000');
    for (let round = 0; round < 4; round++) writeAll(encoded);
    expect(encoded.encoder.queuedBytes).toBeGreaterThan(100_000);
    encoded.clock.advance(10_000);
    expect((await errorOf(encoded)).message).toBe('ffmpeg: no output for 10 s');
  });

  it('bears a source that pauses', async () => {
    const encoded = withScript('cat > /dev/null');
    for (const packet of source.slice(0, 100)) encoded.encoder.write(packet);
    await until('the input to be read', () => encoded.encoder.queuedBytes === 0);
    encoded.clock.advance(3_600_000);
    encoded.encoder.stop();
    expect((await encoded.exited).error).toBeNull();
  });
});

describe('an encoder that is told to end', () => {
  it('ends at once with stop, and takes nothing more', async () => {
    const encoded = withScript('exec sleep 1000');
    encoded.encoder.stop();
    writeAll(encoded);
    encoded.encoder.finish();
    expect(await encoded.exited).toEqual({ error: null, stderr: '' });
    encoded.encoder.stop();
    writeAll(encoded);
    expect(encoded.clock.pending).toBe(0);
  });

  it('has 5 s to finish', async () => {
    const encoded = withScript('cat > /dev/null; echo rest >&2; exec sleep 1000');
    writeAll(encoded);
    encoded.encoder.finish();
    encoded.encoder.finish();
    await until('the end of the input', () => encoded.encoder.queuedBytes === 0);
    encoded.clock.advance(4_999);
    expect(processStat(encoded.encoder.pid ?? 0)).not.toBeNull();
    encoded.clock.advance(1);
    expect((await encoded.exited).error).toBeNull();
  });

  it('may fail while it finishes', async () => {
    const encoded = withScript('cat > /dev/null; exit 9');
    encoded.encoder.finish();
    expect((await errorOf(encoded)).message).toBe('ffmpeg: it ended with code 9');
  });
});

function raise(): never {
  throw new Error('no packets');
}
