// SHA-256 over data that arrives in pieces. A browser's crypto.subtle can only hash what is in memory as a
// whole, which the weights of a model are not; Node uses its own. Source: FIPS 180-4, sections 4.1.2, 5 and
// 6.2.

const BLOCK_BYTES = 64;
/**
 * First 32 bits of the fractional parts of the cube roots of the first 64 primes, and of the square roots of
 * 8.
 */
const ROUND = Int32Array.from(firstPrimes(64), (prime) => fraction(Math.cbrt(prime)));
const START = Int32Array.from(firstPrimes(8), (prime) => fraction(Math.sqrt(prime)));

export class Sha256 {
  readonly #state = START.slice();
  /**
   * Signed words throughout: unsigned ones beyond 2^31 become doubles in V8 (65 instead of 180 MB/s,
   * measured).
   */
  readonly #schedule = new Int32Array(64);
  readonly #block = new Uint8Array(BLOCK_BYTES);
  #filled = 0;
  #byteLength = 0;

  update(bytes: Uint8Array): this {
    this.#byteLength += bytes.byteLength;
    let offset = 0;
    if (this.#filled > 0) {
      offset = Math.min(BLOCK_BYTES - this.#filled, bytes.byteLength);
      this.#block.set(bytes.subarray(0, offset), this.#filled);
      this.#filled += offset;
      if (this.#filled < BLOCK_BYTES) return this;
      this.#compress(this.#block, 0);
      this.#filled = 0;
    }
    for (; offset + BLOCK_BYTES <= bytes.byteLength; offset += BLOCK_BYTES) this.#compress(bytes, offset);
    this.#block.set(bytes.subarray(offset));
    this.#filled = bytes.byteLength - offset;
    return this;
  }

  /** Lower-case hexadecimal. Ends the computation: no update after it. */
  digest(): string {
    const byteLength = this.#byteLength;
    const padding = new Uint8Array(
      this.#filled < 56 ? BLOCK_BYTES - this.#filled : 2 * BLOCK_BYTES - this.#filled,
    );
    padding[0] = 0x80;
    const view = new DataView(padding.buffer);
    view.setUint32(padding.byteLength - 8, Math.floor(byteLength / 2 ** 29));
    view.setUint32(padding.byteLength - 4, (byteLength * 8) % 2 ** 32);
    this.update(padding);
    return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }

  #compress(bytes: Uint8Array, offset: number): void {
    const w = this.#schedule;
    for (let t = 0, at = offset; t < 16; t++, at += 4) {
      w[t] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    }
    for (let t = 16; t < 64; t++) {
      const before2 = w[t - 2]!;
      const before15 = w[t - 15]!;
      const small1 = rotate(before2, 17) ^ rotate(before2, 19) ^ (before2 >>> 10);
      const small0 = rotate(before15, 7) ^ rotate(before15, 18) ^ (before15 >>> 3);
      w[t] = (small1 + w[t - 7]! + small0 + w[t - 16]!) | 0;
    }
    const state = this.#state;
    let a = state[0]!;
    let b = state[1]!;
    let c = state[2]!;
    let d = state[3]!;
    let e = state[4]!;
    let f = state[5]!;
    let g = state[6]!;
    let h = state[7]!;
    for (let t = 0; t < 64; t++) {
      const big1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      const first = (h + big1 + ((e & f) ^ (~e & g)) + ROUND[t]! + w[t]!) | 0;
      const big0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      const second = (big0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + first) | 0;
      d = c;
      c = b;
      b = a;
      a = (first + second) | 0;
    }
    state[0] = (state[0]! + a) | 0;
    state[1] = (state[1]! + b) | 0;
    state[2] = (state[2]! + c) | 0;
    state[3] = (state[3]! + d) | 0;
    state[4] = (state[4]! + e) | 0;
    state[5] = (state[5]! + f) | 0;
    state[6] = (state[6]! + g) | 0;
    state[7] = (state[7]! + h) | 0;
  }
}

function rotate(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}

function fraction(root: number): number {
  return Math.floor((root - Math.floor(root)) * 2 ** 32) | 0;
}

function firstPrimes(count: number): number[] {
  const primes: number[] = [];
  for (let candidate = 2; primes.length < count; candidate++) {
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  }
  return primes;
}
