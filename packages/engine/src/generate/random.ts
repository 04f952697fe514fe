// Seeded random numbers, the same on every platform: xoshiro128** (Blackman & Vigna, "Scrambled linear
// pseudorandom number generators", 2018) in 32-bit integer arithmetic. Its state is filled from the seed by
// SplitMix32 (the finaliser of MurmurHash3 over a Weyl sequence), so that neighbouring seeds give unrelated
// streams.

/** Uniform in [0, 1) with 53 random bits. */
export type Random = () => number;

/** `seed` is an integer from 0 to 2^53 − 1. */
export function createRandom(seed: number): Random {
  const next = splitMix32(seed >>> 0, Math.floor(seed / 2 ** 32));
  return toUniform(xoshiro128([next(), next(), next(), next()]));
}

/** A seed for callers that gave none. */
export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

/** The bare generator: unsigned 32-bit outputs. The state must not be all zero. */
export function xoshiro128(state: readonly [number, number, number, number]): () => number {
  let [a, b, c, d] = state;
  return () => {
    const scrambled = Math.imul(b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };
}

function splitMix32(low: number, high: number): () => number {
  // The high word perturbs the whole sequence; for seeds below 2^32 it is zero.
  const offset = Math.imul(high, 0x85ebca6b);
  let weyl = low;
  return () => {
    weyl = (weyl + 0x9e3779b9) | 0;
    let z = weyl ^ offset;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
}

function toUniform(next: () => number): Random {
  return () => {
    const high = next() >>> 5;
    const low = next() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  };
}
