// A model's sizes as GGUF metadata, and which GGUF architecture can express it. Keys and types are those that llama.cpp's
// converter writes (gguf-py/gguf/constants.py, convert_hf_to_gguf.py) and its loader asks for (src/llama-model.cpp).

import { allOfKind, hasKind, type ModelSpec } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import { f32, flag, i32List, type TypedMetadataValue, text, u32 } from '../formats/gguf-values.ts';
import type { AttentionSpec } from '../layers/attention.ts';
import type { MambaSpec } from '../layers/mamba.ts';

export type Metadata = Map<string, TypedMetadataValue>;

export type Architecture = 'jamba' | 'mamba' | 'llama' | 'qwen2' | 'qwen3';

/**
 * The architecture whose GGUF form says everything about these layers. Decided by the layers, not by the family's name:
 * a hybrid of the lab that is built like Jamba is written as one. Throws ModelError naming what no architecture has.
 */
export function architectureOf(spec: ModelSpec, name: string): Architecture {
  const reasons = { jamba: jambaMisfit(spec), mamba: mambaMisfit(spec), llama: llamaMisfit(spec) };
  if (reasons.mamba === null) return 'mamba';
  if (reasons.llama === null) return llamaKind(spec);
  if (reasons.jamba === null) return 'jamba';
  const closest = spec.layers.some((layer) => hasKind(layer, 'mamba')) ? 'jamba' : 'llama';
  throw new ModelError(
    `${name}: expected layers that a GGUF architecture can express (jamba, mamba, llama, qwen2, qwen3), found ${reasons[closest]}. ` +
      'Keep this model as a Hugging Face folder; it can be quantised while it loads.',
  );
}

/** Why llama.cpp may read the file otherwise than this engine does; empty when it reads it alike. */
export function llamaCppLimits(spec: ModelSpec, architecture: Architecture): string[] {
  const notes: string[] = [];
  const some = (check: (mixer: MambaSpec) => boolean) => allOfKind(spec.layers, 'mamba').some(check);
  if (some((m) => m.innerSize !== 2 * spec.hiddenSize))
    notes.push('an inner size other than twice the hidden size, which llama.cpp refuses');
  if (some((m) => !m.convBias)) notes.push('no convolution bias, without which llama.cpp does not load it');
  if (some((m) => m.projectionBias)) notes.push('projection biases, which llama.cpp ignores');
  if (architecture === 'llama' && allOfKind(spec.layers, 'attention').some((m) => m.window !== null))
    notes.push('a sliding window, which llama.cpp ignores (the same up to that many tokens)');
  return notes.map((note) => `the model has ${note}`);
}

type Misfit = string | null;

function jambaMisfit({ layers, hiddenSize, embeddingScale }: ModelSpec): Misfit {
  if (embeddingScale !== 1) return 'scaled embeddings';
  for (const [i, { mixers, feedForward }] of layers.entries()) {
    const [mixer, ...more] = mixers;
    if (!mixer || more.length) return `${mixers.length} mixers in layer ${i}`;
    if (mixer.kind === 'attention') {
      if (mixer.rope) return `rotary positions in layer ${i} of a hybrid`;
      if (mixer.window !== null) return `a sliding window in layer ${i}`;
      if (mixer.inputBias || mixer.outputBias || mixer.headNorms)
        return `attention biases or head norms in layer ${i}`;
      if (mixer.heads * mixer.headSize !== hiddenSize)
        return `heads of ${mixer.headSize} in layer ${i}, other than hidden size / heads`;
    } else if (mixer.kind === 'mamba') {
      if (mixer.innerNorms !== 'weighted')
        return `a Mamba layer ${i} without weighted inner norms in a hybrid`;
    } else return `a mixer of kind ${mixer.kind} in layer ${i}`;
    if (!feedForward) return `no feed-forward in layer ${i}`;
    if (feedForward.kind === 'dense' && feedForward.bias) return `feed-forward biases in layer ${i}`;
    if (feedForward.kind === 'experts' && feedForward.renormalize)
      return `rescaled expert weights in layer ${i}`;
    if (feedForward.activation !== 'silu') return `the activation ${feedForward.activation} in layer ${i}`;
  }
  const attention = allOfKind(layers, 'attention');
  const mamba = allOfKind(layers, 'mamba');
  if (!attention.length) return 'a Jamba without attention layers';
  if (!mamba.length) return 'attention without positions in every layer';
  return (
    uneven(mamba, 'Mamba sizes') ??
    uneven(
      attention.map(({ heads }) => heads),
      'numbers of heads',
    ) ??
    uneven(
      layers.map((layer) => layer.feedForward?.size),
      'feed-forward sizes',
    ) ??
    uneven(
      allOfKind(layers, 'experts').map(({ count, topK }) => [count, topK]),
      'numbers of experts',
    )
  );
}

function mambaMisfit({ layers, embeddingScale }: ModelSpec): Misfit {
  if (embeddingScale !== 1) return 'scaled embeddings';
  const odd = layers.findIndex(({ mixers: [mixer, ...more], feedForward }) => {
    const plain = mixer?.kind === 'mamba' && mixer.innerNorms !== 'weighted' && !more.length;
    return !plain || feedForward;
  });
  return odd >= 0
    ? `layer ${odd} that is no plain Mamba layer`
    : uneven(allOfKind(layers, 'mamba'), 'Mamba sizes');
}

function llamaMisfit({ layers, embeddingScale }: ModelSpec): Misfit {
  if (embeddingScale !== 1) return 'scaled embeddings';
  for (const [i, { mixers, feedForward }] of layers.entries()) {
    const [mixer, ...more] = mixers;
    if (mixer?.kind !== 'attention' || !mixer.rope || more.length)
      return `layer ${i} without rotary attention`;
    if (feedForward?.kind !== 'dense') return `layer ${i} without a dense feed-forward`;
    if (feedForward.activation !== 'silu') return `the activation ${feedForward.activation} in layer ${i}`;
    if (mixer.headNorms && (mixer.inputBias || mixer.outputBias))
      return `head norms and biases in layer ${i}`;
  }
  return uneven(layers, 'layers');
}

function uneven(values: readonly unknown[], what: string): Misfit {
  const found = new Set(values.map((value) => JSON.stringify(value)));
  return found.size > 1 ? `different ${what} in different layers` : null;
}

/** Qwen's architectures differ in whether rows of q and k are interleaved, and in what the loader asks for. */
function llamaKind({ layers }: ModelSpec): Architecture {
  const [attention] = allOfKind(layers, 'attention');
  if (attention?.headNorms) return 'qwen3';
  return attention?.inputBias && !attention.outputBias ? 'qwen2' : 'llama';
}

/** Everything under `<architecture>.`. */
export function architectureMetadata(spec: ModelSpec, architecture: Architecture): Metadata {
  const metadata: Metadata = new Map();
  const set = (key: string, value: TypedMetadataValue) => void metadata.set(`${architecture}.${key}`, value);
  const [attention] = allOfKind(spec.layers, 'attention');
  const [mamba] = allOfKind(spec.layers, 'mamba');
  set('block_count', u32(spec.layers.length));
  set('context_length', u32(spec.contextLength));
  set('embedding_length', u32(spec.hiddenSize));
  set('feed_forward_length', u32(spec.layers[0]?.feedForward?.size ?? 0));
  set('vocab_size', u32(spec.vocabularySize));
  set('attention.head_count', u32(attention?.heads ?? 0));
  set('attention.layer_norm_rms_epsilon', f32(spec.normEpsilon));
  if (mamba) {
    set('ssm.conv_kernel', u32(mamba.convWidth));
    set('ssm.inner_size', u32(mamba.innerSize));
    set('ssm.state_size', u32(mamba.stateSize));
    set('ssm.time_step_rank', u32(mamba.dtRank));
  }
  if (architecture === 'jamba') jambaKeys(spec, set);
  else if (architecture === 'mamba') set('ssm.dt_b_c_rms', flag(mamba?.innerNorms === 'plain'));
  else if (attention) rotaryKeys(spec, attention, set);
  return metadata;
}

type Set_ = (key: string, value: TypedMetadataValue) => void;

function jambaKeys(spec: ModelSpec, set: Set_): void {
  set(
    'attention.head_count_kv',
    i32List(spec.layers.map((layer) => allOfKind([layer], 'attention')[0]?.kvHeads ?? 0)),
  );
  const [routed] = allOfKind(spec.layers, 'experts');
  set('expert_count', u32(routed?.count ?? 1));
  set('expert_used_count', u32(routed?.topK ?? 1));
}

function rotaryKeys(
  spec: ModelSpec,
  { heads, kvHeads, headSize, window, rope }: AttentionSpec,
  set: Set_,
): void {
  set('attention.head_count_kv', u32(kvHeads));
  if (heads * headSize !== spec.hiddenSize) {
    set('attention.key_length', u32(headSize));
    set('attention.value_length', u32(headSize));
  }
  if (window !== null) set('attention.sliding_window', u32(window));
  if (!rope) return;
  set('rope.freq_base', f32(rope.theta));
  set('rope.dimension_count', u32(rope.rotary));
  if (rope.scaling?.kind !== 'linear') return;
  set('rope.scaling.type', text('linear'));
  set('rope.scaling.factor', f32(rope.scaling.factor));
}

/** "668K", or "4x281K" with experts, as gguf-py's utility.size_label counts: without and with one expert of each layer. */
export function sizeLabel(parameters: number, expertParameters: number, experts: number): string {
  if (experts <= 1) return rounded(parameters);
  return `${experts}x${rounded(parameters - expertParameters + expertParameters / experts)}`;
}

function rounded(count: number): string {
  const [size, suffix] =
    (
      [
        [1e12, 'T'],
        [1e9, 'B'],
        [1e6, 'M'],
      ] as const
    ).find(([s]) => count > s) ?? ([1e3, 'K'] as const);
  const scaled = count / size;
  const digits = Math.max(2 - `${Math.round(scaled)}`.replace(/^0+/, '').length, 0);
  return `${scaled.toFixed(digits)}${suffix}`;
}

/** llama.h, `enum llama_ftype`: what most of the file's weights are. */
export const FILE_TYPE_ID = {
  f32: 0,
  f16: 1,
  q4_0: 2,
  q4_1: 3,
  q8_0: 7,
  q5_0: 8,
  q5_1: 9,
  q2_K: 10,
  q3_K: 12,
  q4_K: 15,
  q5_K: 17,
  q6_K: 18,
  bf16: 32,
} as const;
