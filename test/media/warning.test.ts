import { expect, it } from 'vitest';
import { healthOf, type Severity, sortedBySeverity, type Warning } from '../../src/media/warning.ts';

const of = (severity: Severity, code: Warning['code'] = 'b-frames'): Warning => ({
  code,
  severity,
  message: '',
  fix: '',
});

it('health is that of the worst finding', () => {
  expect(healthOf([])).toBe('good');
  expect(healthOf([of('notice'), of('notice')])).toBe('good');
  expect(healthOf([of('notice'), of('warning')])).toBe('fair');
  expect(healthOf([of('problem'), of('warning')])).toBe('poor');
});

it('the worst comes first, and equals keep their order', () => {
  const sorted = sortedBySeverity([
    of('notice', 'b-frames'),
    of('warning', 'audio-gaps'),
    of('problem', 'upload-behind'),
    of('warning', 'clock-drift'),
    of('notice', 'audio-channels'),
  ]);
  expect(sorted.map(({ code }) => code)).toEqual([
    'upload-behind',
    'audio-gaps',
    'clock-drift',
    'b-frames',
    'audio-channels',
  ]);
});
