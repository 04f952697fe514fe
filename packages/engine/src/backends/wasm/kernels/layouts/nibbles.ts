// Types whose files hold blocks of 32 columns: scales and nibbles, with or without a fifth bit. A tile's group:
//
//   bit 4    64 B   byte r * 4 + c % 4, bit c >> 2; of 5 bits
//   nibbles 256 B   byte (c % 16 >> 2) * 64 + r * 4 + c % 4 holds column c low and column c + 16 high
//   scales   32 B   f16, one for each row; of MXFP4 16 B of exponents
//   minima   32 B   f16; of Q4_1 and Q5_1
//
// A step of codes is 64 B: low nibbles are columns 4s…, high ones columns 16 + 4s…. Bit 0 of the fifth bits belongs to
// the low nibbles, bit 4 to the high ones, and each step shifts them down by one.
//
// File formats: ggml's block_q4_0, block_q4_1, block_q5_0, block_q5_1, block_iq4_nl and block_mxfp4 (ggml-common.h).
import { IQ4_LEVELS, MXFP4_LEVELS } from '../../../../formats/quants/table-blocks.ts';
import { copyHalf, FIFTH_BITS, getCode, putCode } from './bits.ts';
import type { Layout } from './layout.ts';

const NIBBLES = 256;

type Variable = Pick<Layout, 'type' | 'start' | 'levels'> & {
  readonly bits: 4 | 5;
  readonly scale: 'half' | 'exponent';
  readonly minimum: boolean;
};

/** The layout of such a type; the file has its scales first, then the fifth bits, then nibbles. */
function nibbles(data: Variable): Layout {
  const { bits, scale, minimum } = data;
  const high = scale === 'exponent' ? 1 : minimum ? 4 : 2;
  const codes = bits === 5 ? high + 4 : high;
  const scales = bits === 5 ? NIBBLES + FIFTH_BITS : NIBBLES;
  const rowScales = scale === 'exponent' ? 1 : minimum ? 4 : 2;
  return {
    ...data,
    columns: 32,
    header: 0,
    block: scales + 16 * rowScales,
    scales,
    file: bits === 5 ? { codes, high } : { codes },
    pack(block, group, r) {
      for (let c = 0; c < 32; c++) {
        const nibble = (block[codes + (c % 16)]! >> (c < 16 ? 0 : 4)) & 15;
        const fifth = bits === 5 ? (block[high + (c >> 3)]! >> (c & 7)) & 1 : 0;
        putCode(group, 0, r, c, nibble | (fifth << 4), bits);
      }
      if (scale === 'exponent') group[scales + r] = block[0]!;
      else for (let at = 0; at < rowScales; at += 2) copyHalf(block, at, group, scales + 16 * at + r * 2);
    },
    unpack(group, block, r) {
      block.fill(0);
      for (let c = 0; c < 32; c++) {
        const code = getCode(group, 0, r, c, bits);
        block[codes + (c % 16)]! |= (code & 15) << (c < 16 ? 0 : 4);
        if (bits === 5) block[high + (c >> 3)]! |= (code >> 4) << (c & 7);
      }
      if (scale === 'exponent') block[0] = group[scales + r]!;
      else for (let at = 0; at < rowScales; at += 2) copyHalf(group, scales + 16 * at + r * 2, block, at);
    },
  };
}

export const Q4_0 = nibbles({ type: 'Q4_0', bits: 4, scale: 'half', minimum: false, start: 8 });
export const Q4_1 = nibbles({ type: 'Q4_1', bits: 4, scale: 'half', minimum: true });
export const Q5_0 = nibbles({ type: 'Q5_0', bits: 5, scale: 'half', minimum: false, start: 16 });
/** Codes have no offset, but products start at that of 16, as Q5_K's. */
export const Q5_1 = nibbles({ type: 'Q5_1', bits: 5, scale: 'half', minimum: true, start: 16 });
export const IQ4_NL = nibbles({
  type: 'IQ4_NL',
  bits: 4,
  scale: 'half',
  minimum: false,
  start: 8,
  levels: [...IQ4_LEVELS],
});
export const MXFP4 = nibbles({
  type: 'MXFP4',
  bits: 4,
  scale: 'exponent',
  minimum: false,
  start: 16,
  levels: [...MXFP4_LEVELS],
});
