// How a weight matrix lies in the arena. "Raw" layouts keep a file format's own rows, bytes unchanged: the
// exact path, f32 activations. "Packed" layouts interleave rows for the int8 dot-product kernels: the fast
// path (see the files in backends/wasm/assembly for each one's picture).
import type { TensorType } from '../formats/types.ts';

const RAW: readonly TensorType[] = [
  'F32',
  'F16',
  'BF16',
  'Q4_0',
  'Q4_1',
  'Q5_0',
  'Q5_1',
  'Q8_0',
  'Q2_K',
  'Q3_K',
  'Q4_K',
  'Q5_K',
  'Q6_K',
  'IQ4_NL',
  'IQ4_XS',
  'TQ1_0',
  'TQ2_0',
  'MXFP4',
  'IQ2_XXS',
  'IQ2_XS',
  'IQ2_S',
  'IQ3_XXS',
  'IQ3_S',
  'IQ1_S',
  'IQ1_M',
  'NVFP4',
  'Q1_0',
  'Q2_0',
];
const PACKED_TYPES = [
  'Q4_0',
  'Q4_K',
  'Q5_0',
  'Q5_K',
  'Q6_K',
  'Q8_0',
  'Q4_1',
  'Q5_1',
  'IQ4_NL',
  'MXFP4',
  'IQ4_XS',
  'Q2_K',
  'Q3_K',
  'TQ2_0',
  'IQ3_S',
  'IQ3_XXS',
] as const;

export type PackedType = (typeof PACKED_TYPES)[number];
export interface WeightLayout {
  readonly type: TensorType;
  readonly packed: boolean;
}

/** Ids 0… are raw, PACKED_BASE… packed. */
export const PACKED_BASE = 64;

export const layoutId = (layout: WeightLayout): number =>
  layout.packed ? PACKED_BASE + PACKED_TYPES.indexOf(layout.type as PackedType) : RAW.indexOf(layout.type);

/** The type that rows of another are packed as: TQ1_0, whose digits no kernel reads, as TQ2_0. */
export const packedAs = (type: TensorType): TensorType => (type === 'TQ1_0' ? 'TQ2_0' : type);

export const rawTypeOf = (id: number): TensorType | undefined => RAW[id];
export const hasPackedLayout = (type: TensorType): type is PackedType =>
  (PACKED_TYPES as readonly string[]).includes(type);
