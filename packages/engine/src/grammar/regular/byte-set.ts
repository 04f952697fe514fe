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
  let count = 1;
  for (const set of sets) {
    if (count === 256) break;
    // Split every class into those inside the set and those outside; the half with the first byte keeps the
    // number.
    const inside = new Int16Array(256).fill(-1);
    const outside = new Int16Array(256).fill(-1);
    let next = 0;
    for (let byte = 0; byte < 256; byte++) {
      const half = hasByte(set, byte) ? inside : outside;
      const old = classOf[byte];
      if (half[old] < 0) half[old] = next++;
      classOf[byte] = half[old];
    }
    count = next;
  }
  return { classOf, count };
}
