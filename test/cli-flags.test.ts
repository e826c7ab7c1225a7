import { describe, expect, it } from 'vitest';
import { readFlags } from '../src/cli-flags.ts';

function read(...args: string[]) {
  return readFlags(args, {});
}

describe('the command line', () => {
  it('starts with the defaults when it is empty', () => {
    expect(read()).toEqual({
      ...{ help: false, version: false, command: 'start', name: '' },
      ...{ file: null, app: 'live', hours: 6, options: {} },
    });
  });

  it('gives options as they were typed', () => {
    const { options, file } = read(
      '--rtmp-port',
      '1',
      '--http-port=x',
      '--host=',
      '--demo',
      '--config',
      'a.yaml',
    );
    expect(options).toEqual({ 'rtmp.port': '1', 'http.port': 'x', host: '', demo: true });
    expect(file).toBe('a.yaml');
    expect(read('--rtmp-port', '-1').options).toEqual({ 'rtmp.port': '-1' });
  });

  it('has the command and its name anywhere between the options', () => {
    expect(read('--hours', '2', 'sign', '--app=members', 'cam')).toMatchObject({
      ...{ command: 'sign', name: 'cam', app: 'members', hours: 2 },
    });
  });

  it('takes the file from the environment when it names none', () => {
    expect(readFlags([], { SLUICE_CONFIG: 'b.yaml' }).file).toBe('b.yaml');
    expect(readFlags(['--config', 'a.yaml'], { SLUICE_CONFIG: 'b.yaml' }).file).toBe('a.yaml');
    expect(readFlags([], { SLUICE_CONFIG: '' }).file).toBeNull();
  });

  it('may ask for help or the version beside anything else', () => {
    for (const args of [['-h'], ['--help'], ['key', '--help'], ['nonsense', '-h']])
      expect(read(...args)).toMatchObject({ help: true });
    expect(read('--version')).toMatchObject({ version: true, help: false });
  });

  it.each([
    [['--nonsense'], 'there is no option --nonsense; see sluice --help'],
    [['--nonsense=S3cr3t'], 'there is no option --nonsense; see sluice --help'],
    [['-x'], 'there is no option -x; see sluice --help'],
    [['--rtmp-prot', '3'], 'there is no option --rtmp-prot; did you mean --rtmp-port? Or see sluice --help'],
    [['config', '--confg=a'], 'there is no option --confg; did you mean --config? Or see sluice --help'],
    [['--rtmp-port'], '--rtmp-port needs a value behind it; see sluice --help'],
    [['--rtmp-port', '--demo'], '--rtmp-port needs a value behind it; see sluice --help'],
    [['--config='], '--config needs the path of a file; see sluice --help'],
    [['--demo=yes'], '--demo takes no value; see sluice --help'],
    [['confg'], 'there is no command confg; did you mean sluice config? Or see sluice --help'],
    [['constructor'], 'there is no command constructor; see sluice --help'],
    [['key'], 'a name is missing: sluice key <name>; see sluice --help'],
    [['sign', '--app', 'members'], 'a name is missing: sluice sign <name>; see sluice --help'],
    [['config', 'extra', 'words'], 'too many words: it is sluice config, and options; see sluice --help'],
    [['start', 'S3cr3t'], 'too many words: it is sluice start, and options; see sluice --help'],
    [['key', 'cam', 'S3cr3t'], 'too many words: it is sluice key <name>, and options; see sluice --help'],
  ])('refuses %j', (args, message) => {
    expect(() => read(...args)).toThrow(new Error(message));
  });
});
