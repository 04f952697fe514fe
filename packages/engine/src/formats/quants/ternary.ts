// TQ1_0 as TQ2_0: base-3 digits become two-bit ones, block by block, with the same scale. For kernels that read no
// digits. Block layouts: table-blocks.ts.

const FROM_BYTES = 54;
const TO_BYTES = 66;
/** Runs of bytes in a block: where, how many, how many digits in each, and the first element. */
const RUNS = [
  [0, 32, 5, 0],
  [32, 16, 5, 160],
  [48, 4, 4, 240],
] as const;

/** Two-bit codes of whole blocks of TQ1_0, which stand for the same values. */
export function ternaryCodes(from: Uint8Array): Uint8Array<ArrayBuffer> {
  const blocks = from.length / FROM_BYTES;
  const out = new Uint8Array(blocks * TO_BYTES);
  for (let block = 0, at = 0, to = 0; block < blocks; block++, at += FROM_BYTES, to += TO_BYTES) {
    for (const [start, count, digits, first] of RUNS) {
      for (let l = 0; l < count; l++) {
        let rest = from[at + start + l]!;
        for (let n = 0, element = first + l; n < digits; n++, element += count) {
          rest *= 3;
          out[to + (element >> 7) * 32 + (element & 31)]! |= (rest >> 8) << (2 * ((element >> 5) & 3));
          rest &= 255;
        }
      }
    }
    out[to + 64] = from[at + 52]!;
    out[to + 65] = from[at + 53]!;
  }
  return out;
}
