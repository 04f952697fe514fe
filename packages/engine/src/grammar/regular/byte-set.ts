// Sets of byte values: 256 bits in eight words. Immutable by convention: nobody writes to one that was given
// out.

/** 256 bits, byte b at bit b % 32 of word b / 32. */
export type ByteSet = Uint32Array;

/** All of low…high, both included. */
export function byteRange(low: number, high: number): ByteSet {
  const set = new Uint32Array(8);
  for (let byte = low; byte <= high; byte++) set[byte >> 5] |= 1 << (byte & 31);
  return set;
}

/** Exactly these. */
export function bytesOf(bytes: Iterable<number>): ByteSet {
  const set = new Uint32Array(8);
  for (const byte of bytes) set[byte >> 5] |= 1 << (byte & 31);
  return set;
}

/** Every byte. */
export const ALL_BYTES: ByteSet = byteRange(0, 255);

export function hasByte(set: ByteSet, byte: number): boolean {
  return ((set[byte >> 5] >>> (byte & 31)) & 1) === 1;
}

/**
 * The coarsest partition of the 256 bytes that tells the sets apart: the class of each byte, numbered in the
 * order of their first bytes.
 */
export function partition(sets: Iterable<ByteSet>): { classOf: Uint8Array; count: number } {
  const classOf = new Uint8Array(256);
  const seen = new Set<string>();
  let count = 1;
  for (const set of sets) {
    const key = set.join();
    if (count === 256 || seen.has(key)) continue;
    seen.add(key);
    // Split every class into those inside the set and those outside; the half with the first byte keeps the order.
    halves.fill(-1);
    let next = 0;
    for (let byte = 0; byte < 256; byte++) {
      const half = 2 * classOf[byte] + ((set[byte >> 5] >>> (byte & 31)) & 1);
      if (halves[half] < 0) halves[half] = next++;
      classOf[byte] = halves[half];
    }
    count = next;
  }
  return { classOf, count };
}

/** Scratch of `partition`: the new class of each old one's halves. */
const halves = new Int16Array(512);
