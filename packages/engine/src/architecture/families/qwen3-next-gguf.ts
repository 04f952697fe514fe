// Which models the GGUF architectures of Qwen3-Next and Qwen 3.5 hold, and their metadata (llama.cpp's
// conversion/qwen.py). llama.cpp has one number for the channels of keys and values.

import { i32List, type TypedMetadataValue, u32 } from '../../formats/gguf-values.ts';
import { run } from '../../formats/rows.ts';
import { type AttentionSpec, plainAttention } from '../../layers/attention.ts';
import { plainDense } from '../../layers/dense.ts';
import { plainExperts } from '../../layers/experts.ts';
import type { GgufWriting } from '../family.ts';
import { differsFrom, layerMisfit, type Misfit, modelMisfit, uneven } from '../gguf-writing.ts';
import { allOfKind, type LayerSpec, type ModelSpec } from '../spec.ts';
import { partOf, tiledHeads } from './qwen3-next-names.ts';

type GgufKeys = Readonly<Record<string, TypedMetadataValue | null>>;

function misfit(spec: ModelSpec, feedForward: 'dense' | 'experts', arch: string): Misfit {
  const deltas = allOfKind(spec.layers, 'deltaNet');
  const attention = allOfKind(spec.layers, 'attention');
  return (
    modelMisfit(spec) ??
    layerMisfit(spec, (layer) => mixerMisfit(layer) ?? forwardMisfit(layer, feedForward)) ??
    (deltas.length ? null : 'no gated DeltaNet') ??
    (arch === 'qwen3next' && spec.family !== 'qwen3-next' ? 'what the later qwen35moe says' : null) ??
    uneven(deltas, 'DeltaNet sizes') ??
    uneven(attention, 'attention') ??
    uneven(
      spec.layers.map((layer) => layer.feedForward),
      'feed-forwards',
    )
  );
}

function mixerMisfit({ mixers: [mixer, ...more] }: LayerSpec): Misfit {
  if (!mixer || more.length) return 'other than one mixer';
  if (mixer.kind === 'deltaNet')
    return mixer.keySize === mixer.valueSize
      ? null
      : `values of ${mixer.valueSize} channels for keys of ${mixer.keySize}, which llama.cpp has as one number`;
  if (mixer.kind !== 'attention') return 'another mixer than gated DeltaNet and attention';
  const { heads, kvHeads, headSize, rope } = mixer;
  const plain = {
    ...plainAttention(heads, kvHeads, headSize),
    headNorms: 'perHead',
    outputGate: true,
  } as const;
  return rope && !rope.scaling
    ? differsFrom(mixer, plain, ['rope'])
    : 'attention without plain rotary positions';
}

function forwardMisfit({ feedForward }: LayerSpec, kind: 'dense' | 'experts'): Misfit {
  if (feedForward?.kind !== kind) return `no ${kind === 'dense' ? 'dense feed-forward' : 'experts'}`;
  if (feedForward.kind === 'dense') return differsFrom(feedForward, plainDense(feedForward.size));
  const { size, count, topK, shared } = feedForward;
  if (!shared?.gate) return 'experts without a gated shared one';
  return differsFrom(feedForward, { ...plainExperts(size, count, topK), renormalize: 0, shared });
}

/** mRoPE's sections share out the rotating pairs; texts have the same position in each. */
function sections({ rope }: AttentionSpec): number[] {
  const pairs = (rope?.rotary ?? 0) / 2;
  const last = Math.floor(pairs / 3);
  const middle = Math.floor((pairs - last) / 2);
  return [pairs - last - middle, middle, last, 0];
}

function keysOf(spec: ModelSpec, arch: string): GgufKeys {
  const isRecurrent = spec.layers.map(({ mixers }) => mixers[0]?.kind === 'deltaNet');
  const [attention] = allOfKind(spec.layers, 'attention');
  const [experts] = allOfKind(spec.layers, 'experts');
  const interval = isRecurrent.indexOf(false) + 1;
  const isRegular = interval > 0 && isRecurrent.every((one, i) => one === ((i + 1) % interval !== 0));
  return {
    vocab_size: null,
    'attention.recurrent_layers': { type: 'array', of: 'bool', value: isRecurrent },
    ...(isRegular ? { full_attention_interval: u32(interval) } : {}),
    ...(attention && arch !== 'qwen3next' ? { 'rope.dimension_sections': i32List(sections(attention)) } : {}),
    ...(experts
      ? {
          feed_forward_length: null,
          expert_feed_forward_length: u32(experts.size),
          expert_shared_feed_forward_length: u32(experts.shared?.size ?? 0),
        }
      : {}),
  };
}

export const writing = (arch: string, feedForward: 'dense' | 'experts'): GgufWriting => ({
  mixers: ['deltaNet', 'attention'],
  misfit: (spec) => misfit(spec, feedForward, arch),
  keys: (spec) => keysOf(spec, arch),
  ...(arch === 'qwen3next' ? {} : { columnOrder }),
});

/** The output projection reads value heads: its columns follow their order. */
const columnOrder: NonNullable<GgufWriting['columnOrder']> = (role, spec, layer) => {
  if (role !== 'deltaOut') return null;
  const delta = partOf(spec, layer, 'deltaNet');
  const heads = tiledHeads(delta);
  if (heads.every((place, head) => place === head)) return null;
  const order = new Array<number>(heads.length);
  heads.forEach((place, head) => (order[place] = head));
  return order.map((head) => run(head * delta.valueSize, delta.valueSize));
};
