// All weight types that have a packed layout.
import { IQ3_S, IQ3_XXS, IQ4_XS } from './iq4_xs.ts';
import type { Layout } from './layout.ts';
import { IQ4_NL, MXFP4, Q4_0, Q4_1, Q5_0, Q5_1 } from './nibbles.ts';
import { Q4_K } from './q4_k.ts';
import { Q5_K } from './q5_k.ts';
import { Q6_K } from './q6_k.ts';
import { Q8_0 } from './q8_0.ts';
import { Q2_K, Q3_K, TQ2_0 } from './quarters.ts';

export { groupBytes, hasTwoDigits, type Layout, lookupTable } from './layout.ts';
/** By their place in PACKED_TYPES (plan/layouts.ts), which is their number in the kernels. */
export const LAYOUTS: readonly Layout[] = [
  Q4_0,
  Q4_K,
  Q5_0,
  Q5_K,
  Q6_K,
  Q8_0,
  Q4_1,
  Q5_1,
  IQ4_NL,
  MXFP4,
  IQ4_XS,
  Q2_K,
  Q3_K,
  TQ2_0,
  IQ3_S,
  IQ3_XXS,
];
