// The tokens that an output format allows at one position, and logits without the others.

/** A bit per token of text, and the tokens that would end the text here, if it may end. */
export interface AllowedTokens {
  /** Token t is bit t % 32 of word t / 32. */
  readonly mask: Uint32Array;
  /** End tokens that are allowed: none where the text may not end yet. */
  readonly ends: readonly number[];
  /** Tokens that are not allowed, whatever the mask says: end tokens that are text as well. */
  readonly barred: readonly number[];
}

/** Writes the logits of what is allowed, and −Infinity for the rest. */
export function keepAllowed(
  logits: Float32Array,
  { mask, ends, barred }: AllowedTokens,
  out: Float32Array,
): void {
  out.fill(-Infinity);
  for (let word = 0; word < mask.length; word++) {
    const bits = mask[word];
    const from = word * 32;
    if (bits === 0) continue;
    if (bits === 0xffffffff) {
      for (let token = from; token < from + 32; token++) out[token] = logits[token];
      continue;
    }
    for (let rest = bits; rest !== 0; rest &= rest - 1) {
      const token = from + 31 - Math.clz32(rest & -rest);
      out[token] = logits[token];
    }
  }
  for (const token of barred) out[token] = -Infinity;
  for (const token of ends) out[token] = logits[token];
}
