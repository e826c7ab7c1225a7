// biome-ignore-all lint/suspicious/noTemplateCurlyInString: hooks write their variables so
import { describe, expect, it } from 'vitest';
import { hookCommand } from '../../src/hooks/hook-command.ts';
import { values } from './support/values.ts';

describe('a command', () => {
  it('has the values as parts of its arguments, spaces and all', () => {
    const command = hookCommand(
      { on: 'publish', run: ['/bin/$$x', '-i', '$args', '--name=$name', '$pageurl'] },
      values({ args: 'a b; rm -rf "$HOME" | `id`', name: '-x' }),
    );
    expect(command).toMatchObject({
      program: '/bin/$x',
      args: ['-i', 'a b; rm -rf "$HOME" | `id`', '--name=-x', ''],
      env: { SLUICE_EVENT: 'publish', SLUICE_NAME: '-x' },
    });
  });

  it.each([
    ['$name', values({ name: '-rf' })],
    ['${args}', values({ args: '--config=/etc/passwd' })],
    ['$args$name', values({ name: '-' })],
  ])('is not run when the value of %s would be an option', (argument, stream) => {
    expect(hookCommand({ on: 'publish', run: ['rm', argument] }, stream)).toBe(
      `the value of ${argument} begins with a dash, so the program would take it for an option`,
    );
  });

  it('may have options of its own, with variables too', () => {
    const command = hookCommand({ on: 'publish', run: ['x', '-$name', '--$args'] }, values({ name: '-' }));
    expect(command).toMatchObject({ args: ['--', '--'] });
  });
});
