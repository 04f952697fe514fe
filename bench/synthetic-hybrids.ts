// The shapes of hybrids that people run, as llama.cpp's converter writes them: LFM2, Qwen3.5, Granite 4.0-H,
// Falcon-H1 and Nemotron 3 Nano. Sizes are those of the published configurations; layers and tensors are in
// the order of the converter's files.
import type { TypedMetadataValue } from '@marimba/engine/formats';
import {
  type Blueprint,
  f32,
  generalMetadata,
  type Mix,
  matrix,
  type Part,
  u32,
  vector,
  withTypes,
} from './synthetic-parts.ts';
import { madeUpVocabulary } from './with-vocabulary.ts';

interface Stack {
  readonly layers: number;
  readonly hidden: number;
  readonly feedForward: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly vocabulary: number;
  readonly contextLength: number;
}

/** Sizes of the recurrence of Mamba-2: `heads` × `headSize` is its inner size. */
interface Trunk {
  readonly ssmHeads: number;
  readonly ssmHeadSize: number;
  readonly states: number;
  readonly groups: number;
}

interface Design {
  readonly architecture: string;
  readonly keys: Readonly<Record<string, TypedMetadataValue>>;
  /** Tensors of layer `i` with names without `blk.i.`. */
  layer(i: number): readonly Part[];
  /** Behind the layers; the embedding is the head where there is no `output.weight`. */
  readonly last: readonly Part[];
}

const boolean = (value: boolean): TypedMetadataValue => ({ type: 'bool', value });
const list = (value: readonly number[]): TypedMetadataValue => ({
  type: 'array',
  of: 'i32',
  value: [...value],
});
const norm = (name: string, size: number): Part => vector(`${name}_norm.weight`, [size], 1);
const each = <T>({ layers }: Stack, value: (i: number) => T): T[] =>
  Array.from({ length: layers }, (_, i) => value(i));

function blueprint(name: string, stack: Stack, { architecture, keys, layer, last }: Design): Blueprint {
  const common: Record<string, TypedMetadataValue> = {
    block_count: u32(stack.layers),
    context_length: u32(stack.contextLength),
    embedding_length: u32(stack.hidden),
    feed_forward_length: u32(stack.feedForward),
    'attention.head_count': u32(stack.heads),
    'attention.head_count_kv': u32(stack.kvHeads),
    vocab_size: u32(stack.vocabulary),
  };
  const metadata = (mix: Mix) =>
    new Map<string, TypedMetadataValue>([
      ...generalMetadata(architecture, mix),
      ...Object.entries({ ...common, ...keys }).map(
        ([key, value]) => [`${architecture}.${key}`, value] as const,
      ),
      ...madeUpVocabulary(stack.vocabulary),
    ]);
  const blocks = each(stack, (i) => layer(i).map((part) => ({ ...part, name: `blk.${i}.${part.name}` })));
  const parts = [matrix('token_embd.weight', stack.vocabulary, stack.hidden), ...blocks.flat(), ...last];
  return { name, metadata, tensors: (mix) => withTypes(mix, stack.layers, parts) };
}

/** Queries `queryParts` times as wide where a gate stands beside them. */
const attention = ({ hidden, heads, kvHeads, headSize }: Stack, queryParts = 1): Part[] => [
  matrix('attn_q.weight', queryParts * heads * headSize, hidden),
  matrix('attn_k.weight', kvHeads * headSize, hidden),
  matrix('attn_v.weight', kvHeads * headSize, hidden),
  matrix('attn_output.weight', hidden, heads * headSize),
];

const swiglu = ({ hidden, feedForward }: Stack): Part[] => [
  matrix('ffn_gate.weight', feedForward, hidden),
  matrix('ffn_down.weight', hidden, feedForward),
  matrix('ffn_up.weight', feedForward, hidden),
];

const innerSize = ({ ssmHeads, ssmHeadSize }: Trunk): number => ssmHeads * ssmHeadSize;

function trunk({ hidden }: Stack, sizes: Trunk, hasNorm = true): Part[] {
  const inner = innerSize(sizes);
  const channels = inner + 2 * sizes.groups * sizes.states;
  return [
    matrix('ssm_in.weight', inner + channels + sizes.ssmHeads, hidden),
    vector('ssm_conv1d.weight', [channels, 4], 'smallNoise'),
    vector('ssm_conv1d.bias', [channels], 0),
    vector('ssm_dt.bias', [sizes.ssmHeads], -4),
    vector('ssm_a', [sizes.ssmHeads, 1], { decay: 16 }),
    vector('ssm_d', [sizes.ssmHeads, 1], 1),
    ...(hasNorm ? [vector('ssm_norm.weight', [sizes.groups, inner / sizes.groups], 1)] : []),
    matrix('ssm_out.weight', hidden, inner),
  ];
}

const trunkKeys = (sizes: Trunk): Record<string, TypedMetadataValue> => ({
  'ssm.conv_kernel': u32(4),
  'ssm.inner_size': u32(innerSize(sizes)),
  'ssm.state_size': u32(sizes.states),
  'ssm.time_step_rank': u32(sizes.ssmHeads),
  'ssm.group_count': u32(sizes.groups),
});

function lfm2(name: string, stack: Stack, attentionAt: readonly number[]): Blueprint {
  const { hidden, headSize } = stack;
  const attends = (i: number) => attentionAt.includes(i);
  const conv = [
    vector('shortconv.conv.weight', [hidden, 3], 'smallNoise'),
    matrix('shortconv.in_proj.weight', 3 * hidden, hidden),
    matrix('shortconv.out_proj.weight', hidden, hidden),
  ];
  return blueprint(name, stack, {
    architecture: 'lfm2',
    keys: {
      'attention.head_count_kv': list(each(stack, (i) => (attends(i) ? stack.kvHeads : 0))),
      'attention.layer_norm_rms_epsilon': f32(1e-5),
      'rope.freq_base': f32(1e6),
      'shortconv.l_cache': u32(3),
    },
    layer: (i) => [
      norm('attn', hidden),
      ...(attends(i) ? [...attention(stack), norm('attn_q', headSize), norm('attn_k', headSize)] : conv),
      norm('ffn', hidden),
      ...swiglu(stack),
    ],
    last: [norm('token_embd', hidden)],
  });
}

/** Every fourth layer attends; `keyHeads` and `valueHeads` of 128 in the others. */
function qwen35(
  name: string,
  stack: Stack,
  keyHeads: number,
  valueHeads: number,
  tied: 'tied' | 'untied' = 'tied',
): Blueprint {
  const { hidden, headSize } = stack;
  const size = 128;
  const attends = (i: number) => i % 4 === 3;
  const channels = (2 * keyHeads + valueHeads) * size;
  const delta = [
    matrix('attn_qkv.weight', channels, hidden),
    matrix('attn_gate.weight', valueHeads * size, hidden),
    vector('ssm_conv1d.weight', [channels, 4], 'smallNoise'),
    vector('ssm_dt.bias', [valueHeads], -4),
    vector('ssm_a', [valueHeads], { decay: 16 }),
    matrix('ssm_beta.weight', valueHeads, hidden),
    matrix('ssm_alpha.weight', valueHeads, hidden),
    norm('ssm', size),
    matrix('ssm_out.weight', hidden, valueHeads * size),
  ];
  return blueprint(name, stack, {
    architecture: 'qwen35',
    keys: {
      'attention.layer_norm_rms_epsilon': f32(1e-6),
      'attention.key_length': u32(headSize),
      'attention.value_length': u32(headSize),
      'rope.freq_base': f32(1e7),
      'rope.dimension_count': u32(headSize / 4),
      'rope.dimension_sections': list([11, 11, 10, 0]),
      'ssm.conv_kernel': u32(4),
      'ssm.inner_size': u32(valueHeads * size),
      'ssm.state_size': u32(size),
      'ssm.time_step_rank': u32(valueHeads),
      'ssm.group_count': u32(keyHeads),
      full_attention_interval: u32(4),
    },
    layer: (i) => [
      norm('attn', hidden),
      ...(attends(i) ? [...attention(stack, 2), norm('attn_q', headSize), norm('attn_k', headSize)] : delta),
      norm('post_attention', hidden),
      ...swiglu(stack),
    ],
    last: [
      norm('output', hidden),
      ...(tied === 'untied' ? [matrix('output.weight', stack.vocabulary, hidden)] : []),
    ],
  });
}

interface Multipliers {
  readonly attention: number;
  readonly residual: number;
  readonly logits: number;
}

function granite(
  name: string,
  stack: Stack,
  sizes: Trunk,
  attentionAt: readonly number[],
  scales: Multipliers,
): Blueprint {
  const { hidden } = stack;
  const attends = (i: number) => attentionAt.includes(i);
  return blueprint(name, stack, {
    architecture: 'granitehybrid',
    keys: {
      'attention.head_count_kv': list(each(stack, (i) => (attends(i) ? stack.kvHeads : 0))),
      'attention.layer_norm_rms_epsilon': f32(1e-5),
      'attention.scale': f32(scales.attention),
      'rope.dimension_count': u32(stack.headSize),
      'rope.freq_base': f32(1e4),
      'rope.scaling.finetuned': boolean(false),
      embedding_scale: f32(12),
      residual_scale: f32(scales.residual),
      logit_scale: f32(scales.logits),
      expert_shared_feed_forward_length: u32(stack.feedForward),
      ...trunkKeys(sizes),
    },
    layer: (i) => [
      norm('attn', hidden),
      ...(attends(i) ? attention(stack) : trunk(stack, sizes)),
      norm('ffn', hidden),
      ...swiglu(stack),
    ],
    last: [norm('output', hidden)],
  });
}

/** Attention and Mamba-2 side by side in every layer; an output matrix of its own. */
function falconH1(name: string, stack: Stack, sizes: Trunk): Blueprint {
  const { hidden, headSize } = stack;
  return blueprint(name, stack, {
    architecture: 'falcon-h1',
    keys: {
      'attention.layer_norm_rms_epsilon': f32(1e-5),
      'attention.key_length': u32(headSize),
      'attention.value_length': u32(headSize),
      'rope.freq_base': f32(1e11),
      ...trunkKeys(sizes),
    },
    layer: () => [
      norm('attn', hidden),
      ...attention(stack),
      ...trunk(stack, sizes, false),
      vector('ffn_norm', [hidden], 1),
      ...swiglu(stack),
    ],
    last: [norm('output', hidden), matrix('output.weight', stack.vocabulary, hidden)],
  });
}

/** One mixer or feed-forward in a layer: M Mamba-2, * attention, - a squared ReLU without a gate. */
function nemotronH(name: string, stack: Stack, sizes: Trunk, pattern: string): Blueprint {
  const { hidden, headSize, feedForward } = stack;
  const kind = (i: number) => pattern[i];
  const parts = (i: number): Part[] => {
    if (kind(i) === 'M') return trunk(stack, sizes);
    if (kind(i) === '*') return attention(stack);
    return [matrix('ffn_down.weight', hidden, feedForward), matrix('ffn_up.weight', feedForward, hidden)];
  };
  return blueprint(name, stack, {
    architecture: 'nemotron_h',
    keys: {
      'attention.head_count_kv': list(each(stack, (i) => (kind(i) === '*' ? stack.kvHeads : 0))),
      feed_forward_length: list(each(stack, (i) => (kind(i) === '-' ? feedForward : 0))),
      'attention.layer_norm_epsilon': f32(1e-5),
      'attention.key_length': u32(headSize),
      'attention.value_length': u32(headSize),
      'rope.dimension_count': u32(headSize),
      'rope.scaling.finetuned': boolean(false),
      ...trunkKeys(sizes),
    },
    layer: (i) => [norm('attn', hidden), ...parts(i)],
    last: [norm('output', hidden), matrix('output.weight', stack.vocabulary, hidden)],
  });
}

const K = 1024;
const LFM2_ATTENTION = [2, 5, 8, 10, 12, 14];
const LFM2_350M: Stack = {
  layers: 16,
  hidden: 1024,
  feedForward: 4608,
  heads: 16,
  kvHeads: 8,
  headSize: 64,
  vocabulary: 65_536,
  contextLength: 125 * K,
};
const QWEN35_4B: Stack = {
  layers: 32,
  hidden: 2560,
  feedForward: 9216,
  heads: 16,
  kvHeads: 4,
  headSize: 256,
  vocabulary: 248_320,
  contextLength: 256 * K,
};
const GRANITE_MICRO: Stack = {
  layers: 40,
  hidden: 2048,
  feedForward: 8192,
  heads: 32,
  kvHeads: 8,
  headSize: 64,
  vocabulary: 100_352,
  contextLength: 128 * K,
};
const GRANITE_350M: Stack = {
  ...GRANITE_MICRO,
  layers: 32,
  hidden: 768,
  feedForward: 2048,
  heads: 12,
  kvHeads: 4,
  contextLength: 32 * K,
};
const FALCON_1_5B: Stack = {
  layers: 24,
  hidden: 2048,
  feedForward: 4608,
  heads: 8,
  kvHeads: 2,
  headSize: 128,
  vocabulary: 65_537,
  contextLength: 128 * K,
};
const NEMOTRON_4B: Stack = {
  layers: 42,
  hidden: 3136,
  feedForward: 12_544,
  heads: 40,
  kvHeads: 8,
  headSize: 128,
  vocabulary: 131_072,
  contextLength: 256 * K,
};
const NEMOTRON_4B_PATTERN = 'M-M-M-MM-M-M*-M-M*-M-M-M*-M-M-MM*-MMM-M-M-';

export const HYBRIDS: readonly Blueprint[] = [
  lfm2('lfm2-1.2b', { ...LFM2_350M, hidden: 2048, feedForward: 8192, heads: 32 }, LFM2_ATTENTION),
  qwen35('qwen3.5-4b', QWEN35_4B, 16, 32),
  granite(
    'granite-4.0-h-micro',
    GRANITE_MICRO,
    { ssmHeads: 64, ssmHeadSize: 64, states: 128, groups: 1 },
    [5, 15, 25, 35],
    { attention: 1 / 64, residual: 0.22, logits: 8 },
  ),
  falconH1('falcon-h1-1.5b', FALCON_1_5B, { ssmHeads: 48, ssmHeadSize: 64, states: 256, groups: 1 }),
  nemotronH(
    'nemotron-3-nano-4b',
    NEMOTRON_4B,
    { ssmHeads: 96, ssmHeadSize: 80, states: 128, groups: 8 },
    NEMOTRON_4B_PATTERN,
  ),
  lfm2('lfm2-350m', LFM2_350M, LFM2_ATTENTION),
  qwen35(
    'qwen3.5-0.8b',
    { ...QWEN35_4B, layers: 24, hidden: 1024, feedForward: 3584, heads: 8, kvHeads: 2 },
    16,
    16,
  ),
  granite(
    'granite-4.0-h-350m',
    GRANITE_350M,
    { ssmHeads: 48, ssmHeadSize: 32, states: 128, groups: 1 },
    [10, 13, 17, 27],
    { attention: 1 / 64, residual: 0.246, logits: 3 },
  ),
  // Larger than one WebAssembly memory.
  qwen35('qwen3.5-9b', { ...QWEN35_4B, hidden: 4096, feedForward: 12_288 }, 16, 32, 'untied'),
];
