// Places of codes and scales that several layouts share. r is the row in its tile, c the column in its block of 32.

const nibbleAt = (c: number, r: number): number => ((c % 16) >> 2) * 64 + r * 4 + (c % 4);

/** Bit 4 of codes of 5 bits comes first, 64 B: the loads that walk over a tile touch it before others read it. */
export const FIFTH_BITS = 64;

/** Nibbles, 256 B at `at`; with 5 bits, behind bit 4. */
export function putCode(group: Uint8Array, at: number, r: number, c: number, code: number, bits: 4 | 5): void {
  const n = at + (bits === 5 ? FIFTH_BITS : 0) + nibbleAt(c, r);
  group[n] = c < 16 ? (group[n]! & 0xf0) | (code & 15) : (group[n]! & 0x0f) | ((code & 15) << 4);
  if (bits === 5) {
    const b = at + r * 4 + (c % 4);
    group[b] = (group[b]! & ~(1 << (c >> 2))) | ((code >> 4) << (c >> 2));
  }
}

export function getCode(group: Uint8Array, at: number, r: number, c: number, bits: 4 | 5): number {
  const n = at + (bits === 5 ? FIFTH_BITS : 0) + nibbleAt(c, r);
  const nibble = (group[n]! >> (c < 16 ? 0 : 4)) & 15;
  if (bits === 5) return nibble | (((group[at + r * 4 + (c % 4)]! >> (c >> 2)) & 1) << 4);
  return nibble;
}

export const copyHalf = (from: Uint8Array, at: number, to: Uint8Array, into: number): void => {
  to[into] = from[at]!;
  to[into + 1] = from[at + 1]!;
};

/** The k-th of four 6-bit values in three bytes, `stride` apart from `set` on. */
export function put6(group: Uint8Array, set: number, stride: number, k: number, value: number): void {
  if (k < 3) {
    const b = set + k * stride;
    group[b] = (group[b]! & 0xc0) | value;
    return;
  }
  for (let j = 0; j < 3; j++)
    group[set + j * stride] = (group[set + j * stride]! & 0x3f) | (((value >> (2 * j)) & 3) << 6);
}

export function get6(group: Uint8Array, set: number, stride: number, k: number): number {
  if (k < 3) return group[set + k * stride]! & 63;
  return [0, 1, 2].reduce((value, j) => value | ((group[set + j * stride]! >> 6) << (2 * j)), 0);
}
