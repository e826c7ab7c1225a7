/** Numbers that look random and repeat with their seed. */
export interface Random {
  /** An integer from 0 to `bound` - 1; 0 when there is none. */
  below(bound: number): number;
}

/** xoshiro128** by Blackman and Vigna. */
export function createRandom(seed: number): Random {
  const state = new Uint32Array(4);
  // splitmix32 spreads the seed, so that neighbouring seeds have nothing in common.
  for (let i = 0, z = seed >>> 0; i < 4; i++) {
    z = (z + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    state[i] = (mixed ^ (mixed >>> 15)) >>> 0;
  }
  const next = (): number => {
    const [a = 0, b = 0, c = 0, d = 0] = state;
    const scrambled = Math.imul(b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const d2 = d ^ b;
    const c2 = c ^ a;
    state[0] = a ^ d2;
    state[1] = b ^ c2;
    state[2] = c2 ^ (b << 9);
    state[3] = (d2 << 11) | (d2 >>> 21);
    return result;
  };
  return { below: (bound) => Math.floor((next() / 2 ** 32) * Math.max(0, bound)) };
}
