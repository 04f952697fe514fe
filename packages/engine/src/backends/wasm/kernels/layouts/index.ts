// All weight types that have a packed layout.
import type { Layout } from './layout.ts';
import { Q4_0 } from './q4_0.ts';
import { Q4_K } from './q4_k.ts';
import { Q5_0 } from './q5_0.ts';
import { Q5_K } from './q5_k.ts';
import { Q6_K } from './q6_k.ts';
import { Q8_0 } from './q8_0.ts';

export { groupBytes, type Layout } from './layout.ts';
/** By their place in PACKED_TYPES (plan/layouts.ts), which is their number in the kernels. */
export const LAYOUTS: readonly Layout[] = [Q4_0, Q4_K, Q5_0, Q5_K, Q6_K, Q8_0];
