// Nemotron-H (NVIDIA 2025, arXiv 2504.03624), Nemotron Nano 2 and Nemotron 3 Nano: every block is one norm and
// one part, a Mamba-2 mixer (M), attention without positions (*), a feed-forward with the squared ReLU (-) or
// experts of that kind (E), chosen by sigmoids with a bias, beside one that all tokens pass through.
// Multi-token prediction layers are left out. Field names are those of its config.json, which transformers 5
// writes without `num_hidden_layers` and with a list where older files have a pattern.
import type { ConfigReader } from '../../formats/config-reader.ts';
import { f32 } from '../../formats/gguf-values.ts';
import { type AttentionSpec, plainAttention } from '../../layers/attention.ts';
import type { DenseSpec } from '../../layers/dense.ts';
import {
  type ExpertsSpec,
  expertsFromGguf,
  ggufRouting,
  groupsFrom,
  plainExperts,
} from '../../layers/experts.ts';
import type { GgufLayer } from '../../layers/layer.ts';
import {
  type Mamba2Spec,
  mamba2FromGguf,
  mamba2Names,
  readGroups,
  readStepLimits,
} from '../../layers/mamba2.ts';
import type { Family, GgufForm, TensorShapes } from '../family.ts';
import {
  differsFrom,
  layerMisfit,
  type Misfit,
  mamba2Limits,
  mamba2Misfit,
  modelMisfit,
  uneven,
} from '../gguf-writing.ts';
import { GGUF_NAMES, type TensorNames } from '../roles.ts';
import { allOfKind, type LayerSpec, type ModelSpec, partsOf, UNSCALED } from '../spec.ts';
import { ggufCommon, ggufLayer } from './gguf.ts';
import { huggingFaceCommon } from './huggingface.ts';

type Block = 'M' | '*' | '-' | 'E';

/** Words of `layers_block_type`, in transformers 5 and before, and the letters of patterns. */
const BLOCKS: ReadonlyMap<unknown, Block> = new Map([
  ['linear_attention', 'M'],
  ['mamba', 'M'],
  ['M', 'M'],
  ['full_attention', '*'],
  ['attention', '*'],
  ['*', '*'],
  ['mlp', '-'],
  ['-', '-'],
  ['moe', 'E'],
  ['E', 'E'],
]);

function readBlocks(c: ConfigReader): Block[] {
  const field = ['layers_block_type', 'layer_types', 'hybrid_override_pattern'].find((name) => c.has(name));
  if (!field) c.fail('layers_block_type', 'a list of blocks, or hybrid_override_pattern', undefined);
  const value = c.raw(field);
  const list: readonly unknown[] = typeof value === 'string' ? [...value] : Array.isArray(value) ? value : [];
  if (!list.length || list.length > 4096) c.fail(field, 'from 1 to 4096 blocks', value);
  return list.map(
    (word) => BLOCKS.get(word) ?? c.fail(field, `one of ${[...BLOCKS.keys()].join(', ')}`, word),
  );
}

/** The first of the spellings that the file has. */
const spelling = (c: ConfigReader, ...names: readonly string[]): string =>
  names.find((name) => c.has(name)) ?? names[0]!;

function fromHuggingFace(c: ConfigReader): ModelSpec {
  const blocks = readBlocks(c);
  c.refuse({
    moe_latent_size: [],
    sliding_window: [],
    mamba_dt_limit: [],
    attention_bias: [false],
    mlp_bias: blocks.includes('E') ? [false] : [false, true],
  });
  const attention = blocks.includes('*') ? readAttention(c) : null;
  const mamba = blocks.includes('M') ? readMamba(c) : null;
  const dense = blocks.includes('-') ? readDense(c) : null;
  const experts = blocks.includes('E') ? readExperts(c) : null;
  const parts: Readonly<Record<Block, LayerSpec>> = {
    M: { mixers: mamba ? [mamba] : [], feedForward: null },
    '*': { mixers: attention ? [attention] : [], feedForward: null },
    '-': { mixers: [], feedForward: dense },
    E: { mixers: [], feedForward: experts },
  };
  return {
    family: 'nemotron_h',
    name: 'nemotron_h',
    ...UNSCALED,
    normEpsilon: c.number(spelling(c, 'layer_norm_epsilon', 'rms_norm_eps'), 0, 1, 1e-5),
    layers: blocks.map((block) => parts[block]),
    ...huggingFaceCommon(c, { tiedHead: false, contextLength: 4096 }),
    // transformers 5 ties nothing, whatever the configuration says; files without a head mean the embedding.
    tiedHead: false,
  };
}

function readAttention(c: ConfigReader): AttentionSpec {
  const heads = c.size('num_attention_heads', 32);
  const kvHeads = c.size('num_key_value_heads', 8);
  if (heads % kvHeads) c.fail('num_key_value_heads', `a divisor of num_attention_heads ${heads}`, kvHeads);
  return plainAttention(heads, kvHeads, c.size(spelling(c, 'head_dim', 'attention_head_dim'), 128, 4096));
}

/** The inner size is heads times their size; `expand` says nothing. */
function readMamba(c: ConfigReader): Mamba2Spec {
  c.text('mamba_hidden_act', ['silu'], 'silu');
  const heads = c.size('mamba_num_heads', 128, 4096);
  const groups = readGroups(c, spelling(c, 'n_groups', 'mamba_n_groups', 'mamba_num_groups'), heads, 8);
  c.flag('mamba_proj_bias', false); // says nothing where `use_bias` is there
  return {
    kind: 'mamba2',
    heads,
    headSize: c.size('mamba_head_dim', 64, 4096),
    groups,
    stateSize: c.size(spelling(c, 'ssm_state_size', 'mamba_state_dim'), 128, 4096),
    convWidth: c.size(spelling(c, 'conv_kernel', 'mamba_d_conv'), 4, 64),
    convBias: c.flag(spelling(c, 'use_conv_bias', 'mamba_conv_bias'), true),
    projectionBias: c.flag(spelling(c, 'use_bias', 'mamba_proj_bias'), false),
    norm: 'afterGate',
    normGroups: groups,
    stepLimits: readStepLimits(c),
  };
}

function readDense(c: ConfigReader): DenseSpec {
  c.text('mlp_hidden_act', ['relu2'], 'relu2');
  const size = c.size('intermediate_size', 21_504);
  return { kind: 'dense', size, gated: false, activation: 'relu', bias: c.flag('mlp_bias', false) };
}

function readExperts(c: ConfigReader): ExpertsSpec {
  c.text('mlp_hidden_act', ['relu2'], 'relu2');
  c.size('n_shared_experts', 1, 4096); // computed as one, of moe_shared_expert_intermediate_size
  const count = c.size('n_routed_experts', 8, 4096);
  const size = c.size('moe_intermediate_size', 7688);
  const plain = plainExperts(size, count, c.size('num_experts_per_tok', 2, count));
  return {
    ...plain,
    ...groupsFrom(c, plain, 'n_group', 'topk_group', 1),
    score: 'sigmoid',
    choiceBias: true,
    renormalize: c.flag('norm_topk_prob', true) ? SUM_EPSILON : null,
    weightScale: c.number('routed_scaling_factor', 1e-6, 1e6, 1),
    gated: false,
    activation: 'relu',
    shared: { size: c.size('moe_shared_expert_intermediate_size', 7688), gate: false },
  };
}

const SUM_EPSILON = 1e-20;

/** A block is attention where it has key heads, Mamba-2 where it has neither those nor a feed-forward. */
function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  c.refuse({ [`${arch}.moe_latent_size`]: [0] });
  const all = c.size(`${arch}.block_count`, undefined, 4096);
  const count = all - c.integer(`${arch}.nextn_predict_layers`, 0, all - 1, 0);
  const hiddenSize = c.size(`${arch}.embedding_length`);
  const heads = c.perLayer(`${arch}.attention.head_count`, all, 0, 4096);
  const kvHeads = c.perLayer(`${arch}.attention.head_count_kv`, all, 0, 4096);
  const forward = c.perLayer(`${arch}.feed_forward_length`, all, 0, 2 ** 24);
  const epsilon = `${arch}.attention.layer_norm_rms_epsilon`;
  return {
    family: 'nemotron_h',
    name: arch,
    hiddenSize,
    ...UNSCALED,
    // llama.cpp's converter writes it under the name that other families have for their LayerNorms.
    normEpsilon: c.number(c.has(epsilon) ? epsilon : `${arch}.attention.layer_norm_epsilon`, 0, 1, 1e-5),
    layers: Array.from({ length: count }, (_, i): LayerSpec => {
      const layer = ggufLayer(c, arch, shapeOf, i);
      if (kvHeads[i]) return { mixers: [ggufAttention(layer, heads[i]!, kvHeads[i]!)], feedForward: null };
      if (!forward[i]) return { mixers: [mamba2FromGguf(layer)], feedForward: null };
      return { mixers: [], feedForward: ggufForward(layer, forward[i]!) };
    }),
    ...ggufCommon(c, arch, shapeOf),
  };
}

function ggufAttention(
  { config: c, architecture: arch, shapeOf }: GgufLayer,
  heads: number,
  kvHeads: number,
): AttentionSpec {
  if (!heads || heads % kvHeads)
    c.fail(`${arch}.attention.head_count_kv`, `divisors of head_count ${heads}, or 0`, kvHeads);
  const hiddenSize = c.size(`${arch}.embedding_length`);
  const headSize = c.size(`${arch}.attention.key_length`, Math.floor(hiddenSize / heads), 4096);
  return {
    ...plainAttention(heads, kvHeads, headSize),
    inputBias: shapeOf('attn_q.bias') !== undefined,
    outputBias: shapeOf('attn_output.bias') !== undefined,
  };
}

function ggufForward(layer: GgufLayer, size: number): DenseSpec | ExpertsSpec {
  if (layer.shapeOf('ffn_gate_inp.weight'))
    return {
      ...expertsFromGguf(layer, { score: 'sigmoid', renormalize: SUM_EPSILON }),
      activation: 'relu',
    };
  const bias = layer.shapeOf('ffn_up.bias') !== undefined;
  return { kind: 'dense', size, gated: false, activation: 'relu', bias };
}

function misfit(spec: ModelSpec, kind: 'dense' | 'experts'): Misfit {
  const { layers } = spec;
  const attention = allOfKind(layers, 'attention');
  const other = kind === 'dense' ? 'experts' : 'dense';
  const heads = attention.map((mixer) => [mixer.heads, mixer.headSize]);
  return (
    modelMisfit(spec) ??
    layerMisfit(spec, blockMisfit) ??
    (attention.length ? null : 'no attention') ??
    (allOfKind(layers, other).length ? `${other} blocks` : null) ??
    (kind === 'experts' && !allOfKind(layers, kind).length ? 'no experts' : null) ??
    uneven(heads, 'heads') ??
    uneven(allOfKind(layers, 'mamba2'), 'Mamba-2 sizes') ??
    uneven(allOfKind(layers, 'experts'), 'experts')
  );
}

function blockMisfit(layer: LayerSpec): Misfit {
  const [part, ...more] = partsOf(layer);
  if (!part || more.length) return 'other than one mixer or one feed-forward';
  switch (part.kind) {
    case 'mamba2':
      return mamba2Misfit(part);
    case 'attention':
      return differsFrom(part, plainAttention(part.heads, part.kvHeads, part.headSize), [
        'inputBias',
        'outputBias',
      ]);
    case 'dense':
      return part.gated || part.activation !== 'relu' ? 'other than the squared ReLU' : null;
    case 'experts':
      return expertsMisfit(part);
    default:
      return `a mixer ${part.kind}`;
  }
}

/** llama.cpp wants a bias for the choice and a shared expert. */
function expertsMisfit(part: ExpertsSpec): Misfit {
  if (!part.shared || part.shared.gate) return 'other than one shared expert without a gate';
  const plain: ExpertsSpec = {
    ...plainExperts(part.size, part.count, part.topK),
    score: 'sigmoid',
    choiceBias: true,
    gated: false,
    activation: 'relu',
    renormalize: part.renormalize === null ? null : SUM_EPSILON,
  };
  return differsFrom(part, plain, ['groupCount', 'groupsUsed', 'weightScale', 'shared']);
}

/** All blocks call their norm the same. */
const NAMES: TensorNames = { ...GGUF_NAMES, feedForwardNorm: ['blk.N.attn_norm.weight'] };

const form = (architecture: string, kind: 'dense' | 'experts'): GgufForm => ({
  architecture,
  names: NAMES,
  // Nothing rotates, but converters put the rows in pairs.
  pairedQk: true,
  write: {
    mixers: ['mamba2', 'attention'],
    misfit: (spec) => misfit(spec, kind),
    perLayer: ['attention.head_count_kv', 'feed_forward_length'],
    keys: (spec) => {
      const [experts] = allOfKind(spec.layers, 'experts');
      return {
        'attention.layer_norm_rms_epsilon': null,
        'attention.layer_norm_epsilon': f32(spec.normEpsilon),
        ...(experts ? ggufRouting(experts) : {}),
      };
    },
    limits: (spec) => mamba2Limits(spec),
  },
});

/** Released files begin with `backbone.`; transformers 5 calls the module `model`. */
const PREFIXES = ['backbone.', 'model.'];
const both = (name: string): string[] => PREFIXES.map((prefix) => prefix + name);
const mixer = (...names: readonly string[]): string[] =>
  names.flatMap((name) => both(`layers.N.mixer.${name}`));

const EMBEDDING = [...both('embeddings.weight'), ...both('embedding.weight')];

export const nemotronH: Family = {
  name: 'nemotron_h',
  huggingFaceTypes: ['nemotron_h'],
  fromHuggingFace,
  fromGguf,
  gguf: [form('nemotron_h', 'dense'), form('nemotron_h_moe', 'experts')],
  huggingFaceNames: {
    embedding: EMBEDDING,
    finalNorm: both('norm_f.weight'),
    head: ['lm_head.weight', ...EMBEDDING],
    inputNorm: both('layers.N.norm.weight'),
    feedForwardNorm: both('layers.N.norm.weight'),
    ...(Object.fromEntries(
      Object.entries(mamba2Names('')).map(([role, names]) => [role, mixer(...names)]),
    ) as TensorNames),
    q: mixer('q_proj.weight'),
    k: mixer('k_proj.weight'),
    v: mixer('v_proj.weight'),
    o: mixer('o_proj.weight'),
    up: mixer('up_proj.weight'),
    down: mixer('down_proj.weight'),
    upBias: mixer('up_proj.bias'),
    downBias: mixer('down_proj.bias'),
    router: mixer('gate.weight'),
    choiceBias: mixer('gate.e_score_correction_bias', 'gate.e_score_correction.bias'),
    expertUp: mixer('experts.E.up_proj.weight', 'experts.up_proj'),
    expertDown: mixer('experts.E.down_proj.weight', 'experts.down_proj'),
    sharedUp: mixer('shared_experts.up_proj.weight'),
    sharedDown: mixer('shared_experts.down_proj.weight'),
  },
};
