// What blueprints of synthetic models are made of: tensors before they have a type, and the types that
// llama.cpp's quantiser would give them.
import type { TensorType } from '@marimba/engine';
import type { GgufTensorInfo, TypedMetadataValue } from '@marimba/engine/formats';

export const MIXES = ['q4_0', 'q4_K_M'] as const;
/** A mix of llama.cpp's quantiser, or a type that all matrices have. */
export type Mix = (typeof MIXES)[number] | TensorType;

/** How the values of a tensor are made: quantised noise, small noise, one number, or −1 … −decay in turn. */
export type Fill = 'noise' | 'smallNoise' | number | { readonly decay: number };

export interface PlannedTensor extends GgufTensorInfo {
  readonly fill: Fill;
}

export interface Blueprint {
  /** For file names. */
  readonly name: string;
  metadata(mix: Mix): Map<string, TypedMetadataValue>;
  tensors(mix: Mix): PlannedTensor[];
}

/** A tensor whose type the mix decides where it is null. */
export type Part = Omit<PlannedTensor, 'type'> & { readonly type: 'F32' | null };

export const u32 = (value: number): TypedMetadataValue => ({ type: 'u32', value });
export const f32 = (value: number): TypedMetadataValue => ({ type: 'f32', value });

export const matrix = (name: string, rows: number, columns: number): Part => ({
  name,
  type: null,
  shape: [rows, columns],
  fill: 'noise',
});

export const vector = (name: string, shape: readonly number[], fill: Fill): Part => ({
  name,
  type: 'F32',
  shape,
  fill,
});

export const generalMetadata = (architecture: string, mix: Mix): [string, TypedMetadataValue][] => [
  ['general.architecture', { type: 'string', value: architecture }],
  ['general.name', { type: 'string', value: 'synthetic' }],
  // LLAMA_FTYPE_MOSTLY_Q4_0, LLAMA_FTYPE_MOSTLY_Q4_K_M: for display only
  ['general.file_type', u32(mix === 'q4_0' ? 2 : 15)],
  ['general.quantization_version', u32(2)],
];

/**
 * Types as llama.cpp's quantiser assigns them (llama-quant.cpp): Q4_K_M keeps in Q6_K the head (the embedding
 * where that is the head), and of all `ffn_down`, as if every layer had one, and of all `attn_v` and
 * `attn_qkv` together, the first and last eighth and every third between. Rows that are no multiple of 256
 * fall back to Q5_0 (to Q8_0 from Q6_K). `q4_0` is pure, which is what published figures are about.
 */
export function withTypes(mix: Mix, layers: number, parts: readonly Part[]): PlannedTensor[] {
  const head = parts.some(({ name }) => name === 'output.weight') ? 'output.weight' : 'token_embd.weight';
  const isValue = (name: string) => /attn_(v|qkv)\.weight$/.test(name);
  const values = parts.filter(({ name }) => isValue(name)).length;
  let [valueIndex, downIndex] = [0, 0];
  const isFragile = (name: string): boolean => {
    if (isValue(name)) return usesMoreBits(valueIndex++, values);
    if (name.endsWith('ffn_down.weight')) return usesMoreBits(downIndex++, layers);
    return name === head;
  };
  return parts.map((part) => ({
    ...part,
    type: part.type ?? typeOf(mix, isFragile(part.name), part.shape.at(-1)!),
  }));
}

function typeOf(mix: Mix, isFragile: boolean, columns: number): TensorType {
  if (mix === 'q4_0') return 'Q4_0';
  if (mix !== 'q4_K_M') return mix;
  if (columns % 256 === 0) return isFragile ? 'Q6_K' : 'Q4_K';
  return isFragile ? 'Q8_0' : 'Q5_0';
}

function usesMoreBits(index: number, count: number): boolean {
  const eighth = Math.floor(count / 8);
  return index < eighth || index >= Math.floor((7 * count) / 8) || (index - eighth) % 3 === 2;
}
