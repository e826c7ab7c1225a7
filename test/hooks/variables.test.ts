// biome-ignore-all lint/suspicious/noTemplateCurlyInString: hooks write their variables so
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  cleanValue,
  environmentOf,
  expandArgument,
  faultOfArgument,
  HOOK_VARIABLES,
  isFixed,
} from '../../src/hooks/variables.ts';
import { values } from './support/values.ts';

const CAM = values({ app: 'studio', name: 'cam', args: 'token=x&$name', addr: '192.0.2.1' });

describe('the variables of an argument', () => {
  it.each([
    ['$name', 'cam'],
    ['${name}', 'cam'],
    ['rtmp://backup/$app/$name', 'rtmp://backup/studio/cam'],
    ['$name.ts', 'cam.ts'],
    ['${name}_1', 'cam_1'],
    ['$app-$name', 'studio-cam'],
    ['5 $$ for $$name', '5 $ for $name'],
    ['$pageurl', ''],
    ['plain', 'plain'],
    ['', ''],
  ])('%j becomes %j', (argument, expanded) => {
    expect(faultOfArgument(argument)).toBeNull();
    expect(expandArgument(argument, CAM)).toBe(expanded);
  });

  it('are replaced once: what a value looks like is not looked at', () => {
    expect(expandArgument('$args', CAM)).toBe('token=x&$name');
    expect(expandArgument('$name', values({ name: '$&$1${app}' }))).toBe('$&$1${app}');
  });

  it.each(['$nam', '$Name', '$name_1', '${}', '${name', '$', 'a$', '$ ', '$1', '$filename', '${na me}'])(
    'are known: %j is an error that names them',
    (argument) => {
      const fault = faultOfArgument(argument);
      expect(fault).toMatch(
        /^\$\S* is not known: there are \$app, \$name, \$args, .*, and \$\$ for a dollar$/,
      );
    },
  );

  it('tell whether an argument depends on the stream', () => {
    expect(['a', '$$', '', '/bin/$$x'].map(isFixed)).toEqual([true, true, true, true]);
    expect(['$name', 'a${app}', '$$$name'].map(isFixed)).toEqual([false, false, false]);
  });

  it('never lose or invent a character outside of them', () => {
    const piece = fc.oneof(
      fc.string().map((text) => ({ template: text.replaceAll('$', '$$$$'), text })),
      fc.constantFrom(...HOOK_VARIABLES).map((name) => ({ template: `\${${name}}`, text: CAM[name] })),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const template = pieces.map((one) => one.template).join('');
        expect(faultOfArgument(template)).toBeNull();
        expect(expandArgument(template, CAM)).toBe(pieces.map((one) => one.text).join(''));
      }),
    );
  });

  it('are found wrong, or all replaced, whatever is written', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[$a{}n]{0,12}$/), (argument) => {
        if (faultOfArgument(argument) === null)
          expect(expandArgument(argument.replaceAll('$$', ''), values({ name: 'x' }))).not.toContain('$');
      }),
    );
  });
});

describe('the environment', () => {
  it('has the event and each variable', () => {
    expect(environmentOf('publish-done', CAM)).toEqual({
      SLUICE_EVENT: 'publish-done',
      SLUICE_APP: 'studio',
      SLUICE_NAME: 'cam',
      SLUICE_ARGS: 'token=x&$name',
      SLUICE_ADDR: '192.0.2.1',
      SLUICE_FLASHVER: '',
      SLUICE_SWFURL: '',
      SLUICE_TCURL: '',
      SLUICE_PAGEURL: '',
      SLUICE_CLIENTID: '',
    });
  });
});

describe('what a publisher has sent', () => {
  it('is one line of bounded length', () => {
    expect(cleanValue('a\0b\r\nc\u001b[31m\u007fd é')).toBe('abc[31md é');
    expect(cleanValue('x'.repeat(1e6))).toHaveLength(4096);
    expect([cleanValue(null), cleanValue(undefined)]).toEqual(['', '']);
  });
});
