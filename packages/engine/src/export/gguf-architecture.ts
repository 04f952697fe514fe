// Which GGUF architecture can express a model: those that llama.cpp's loader knows (src/llama-model.cpp),
// with what each of them takes for granted about its layers. A file holds only what the keys of its
// architecture can say, so a model that is built otherwise is refused here, for `quantize` and for the lab's
// export alike.

import { allOfKind, hasKind, type ModelSpec } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import { layerOf } from '../layers/index.ts';
import type { MambaSpec } from '../layers/mamba.ts';

export type GgufArchitecture = 'jamba' | 'mamba' | 'llama' | 'qwen2' | 'qwen3';

/**
 * The architecture whose GGUF form says everything about these layers. Decided by the layers, not by the
 * family's name: a hybrid of the lab that is built like Jamba is written as one. Throws ModelError naming
 * what no architecture has.
 */
export function ggufArchitecture(spec: ModelSpec, name: string): GgufArchitecture {
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
export function llamaCppLimits(spec: ModelSpec, architecture: GgufArchitecture): string[] {
  const notes: string[] = [];
  const some = (check: (mixer: MambaSpec) => boolean) => allOfKind(spec.layers, 'mamba').some(check);
  if (some((m) => m.innerSize !== 2 * spec.hiddenSize))
    notes.push('an inner size other than twice the hidden size, which llama.cpp refuses');
  if (some((m) => !m.convBias)) notes.push('no convolution bias, without which llama.cpp does not load it');
  if (some((m) => m.projectionBias)) notes.push('projection biases, which llama.cpp ignores');
  if (some((m) => m.innerNorms === 'plain' && m.innerNormEpsilon !== spec.normEpsilon))
    notes.push(
      'inner norms with an epsilon of their own, for which GGUF has no key: they get that of the layers',
    );
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
    } else return `${layerOf(mixer).title(mixer)} in layer ${i}`;
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

/**
 * Qwen's architectures differ in whether rows of q and k are interleaved, and in what the loader asks for.
 */
function llamaKind({ layers }: ModelSpec): GgufArchitecture {
  const [attention] = allOfKind(layers, 'attention');
  if (attention?.headNorms) return 'qwen3';
  return attention?.inputBias && !attention.outputBias ? 'qwen2' : 'llama';
}
