import { HOOK_VARIABLES, type HookValues } from '../../../src/hooks/variables.ts';

/** Values of a stream; what is not given is empty. */
export function values(given: Partial<HookValues> = {}): HookValues {
  const empty = Object.fromEntries(HOOK_VARIABLES.map((name) => [name, ''])) as Record<
    keyof HookValues,
    string
  >;
  return { ...empty, app: 'live', name: 'test', ...given };
}
