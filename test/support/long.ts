import { test } from 'vitest';

/**
 * A test with real encoders that takes long and shows a variation of what another one shows already. `npm test` leaves it
 * out; `npm run test:proofs` runs all of them.
 */
export const long: typeof test | typeof test.skip = process.env.PROOFS === 'yes' ? test : test.skip;
