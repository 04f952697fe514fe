// What families of encoders share: bidirectional attention, names of BERT's weights, and what an encoder's spec
// has that a decoder's lacks.
import type { ConfigReader } from '../../formats/config-reader.ts';
import { type AttentionSpec, plainAttention } from '../../layers/attention.ts';
import type { DenseSpec } from '../../layers/dense.ts';
import type { Activation } from '../../plan/activation.ts';
import type { TensorRows } from '../roles.ts';
import { allOfKind, type LayerSpec, type ModelSpec, UNSCALED } from '../spec.ts';

/** Attention of every token to every other. */
export const bidirectional = (heads: number, headSize: number, bias: boolean): AttentionSpec => ({
  ...plainAttention(heads, heads, headSize),
  bidirectional: true,
  inputBias: bias,
  outputBias: bias,
});

/** A feed-forward without a gate: `down(activation(up(x)))`. */
export const ungated = (size: number, activation: Activation): DenseSpec => ({
  kind: 'dense',
  size,
  gated: false,
  plain: true,
  activation,
  bias: true,
});

/** Post-norm blocks, as in BERT. */
export const onSum = (count: number, mixer: AttentionSpec, feedForward: DenseSpec): LayerSpec[] =>
  Array.from({ length: count }, () => ({ mixers: [mixer], feedForward, norms: 'onSum' }));

/** Fields that encoders have alike. */
export const ENCODER = {
  ...UNSCALED,
  tiedHead: true,
  headless: true,
  beginToken: null,
  endTokens: [],
} as const satisfies Partial<ModelSpec>;

/** The heads share the hidden size. */
export function readEncoderHeads(c: ConfigReader, hiddenField: string, headsField: string) {
  const hiddenSize = c.size(hiddenField);
  const heads = c.size(headsField);
  if (hiddenSize % heads) c.fail(headsField, `a divisor of ${hiddenField} ${hiddenSize}`, heads);
  return { hiddenSize, heads, headSize: hiddenSize / heads };
}

/** Rows of q, k or v in a tensor that holds all three. */
export const rowsOfThree = (tensor: string, part: 0 | 1 | 2): TensorRows => ({
  tensor,
  rows: (spec) => {
    const [{ heads, headSize }] = allOfKind(spec.layers, 'attention') as [AttentionSpec];
    const size = heads * headSize;
    return { blocks: 1, sections: [size, size, size], take: [part] };
  },
});

/** One half of a tensor that holds a gate and its matrix. */
export const rowsOfTwo = (tensor: string, part: 0 | 1): TensorRows => ({
  tensor,
  rows: (spec) => {
    const [{ size }] = allOfKind(spec.layers, 'dense') as [DenseSpec];
    return { blocks: 1, sections: [size, size], take: [part] };
  },
});
