// Routed experts (Shazeer et al. 2017), each a feed-forward: a router scores all experts, the top k of them are
// added up by their weights. Scores are a softmax over all or a sigmoid of each (DeepSeek-V3, 2024); a bias
// may steer the choice without entering the weights (Wang et al. 2024), and the choice may be limited to some
// groups of experts. Of equal scores the lower expert is taken, as torch.topk and llama.cpp do. A shared
// expert, which every token passes through, may stand beside them (Dai et al. 2024), in Qwen's models behind
// a gate of its own.

import type { ConfigReader } from '../formats/config-reader.ts';
import { f32, flag, type TypedMetadataValue, u32 } from '../formats/gguf-values.ts';
import type { Activation } from '../plan/activation.ts';
import { gatedActivation, linear } from '../plan/ops/dense.ts';
import {
  combineExperts,
  expertLinear,
  gateRows,
  type RouterScore,
  type RoutingRule,
  route,
} from '../plan/ops/experts.ts';
import type { Value } from '../plan/plan.ts';
import { ownActivation } from './dense.ts';
import { type GgufLayer, type Layer, matrix, type Recorder, vector } from './layer.ts';

/** A mixture of experts: a router sends each token through `topK` of `count` feed-forwards. */
export interface ExpertsSpec extends RoutingRule {
  /** Tag of the union of layer kinds. */
  readonly kind: 'experts';
  /** Inner size of each expert. */
  readonly size: number;
  /** Experts in the layer. */
  readonly count: number;
  /** A bias per expert that is added to the scores for the choice alone; not trained by gradients. */
  readonly choiceBias: boolean;
  /** A bias on the router's logits. */
  readonly routerBias: boolean;
  /** As in `DenseSpec`, for each expert and for the shared one. */
  readonly gated: boolean;
  /** Applied to the gate of each expert, or to its own values where it has none. */
  readonly activation: Activation;
  /** A feed-forward that every token passes through besides; null: none. */
  readonly shared: SharedExpertSpec | null;
}

/** The expert that every token passes through. */
export interface SharedExpertSpec {
  /** Inner size. */
  readonly size: number;
  /** Its result is multiplied by the sigmoid of one learned product with the token. */
  readonly gate: boolean;
}

/** What is added to the sum of the chosen scores, which sigmoids may bring near to 0 (DeepSeek-V3's code). */
const SUM_EPSILON = { softmax: 0, sigmoid: 1e-20 } as const satisfies Record<RouterScore, number>;

/** Softmax over all experts, weights as they are, SwiGLU, nothing shared: Jamba's. */
export const plainExperts = (size: number, count: number, topK: number): ExpertsSpec => ({
  kind: 'experts',
  size,
  count,
  topK,
  score: 'softmax',
  choiceBias: false,
  routerBias: false,
  groupCount: 1,
  groupsUsed: 1,
  renormalize: null,
  weightScale: 1,
  gated: true,
  activation: 'silu',
  shared: null,
});

export type ExpertsRole =
  | 'router'
  | 'routerBias'
  | 'choiceBias'
  | 'expertGate'
  | 'expertUp'
  | 'expertDown'
  | 'sharedRouter'
  | 'sharedGate'
  | 'sharedUp'
  | 'sharedDown';

export const experts: Layer<ExpertsSpec, ExpertsRole, never> = {
  letter: () => 'e',
  title: () => 'experts',

  tensors(spec, hiddenSize) {
    const { size, count, topK, gated, shared } = spec;
    const routed = { experts: { count, topK } };
    const down = { precision: 'moreBitsInSomeLayers', initial: 'residual' } as const;
    return [
      matrix('router', [count, hiddenSize], { precision: 'f32' }),
      ...(spec.routerBias ? [vector('routerBias', [count])] : []),
      ...(spec.choiceBias ? [vector('choiceBias', [count], { untrained: true })] : []),
      ...(gated ? [matrix('expertGate', [count, size, hiddenSize], routed)] : []),
      matrix('expertUp', [count, size, hiddenSize], routed),
      matrix('expertDown', [count, hiddenSize, size], { ...routed, ...down }),
      ...(shared?.gate ? [matrix('sharedRouter', [1, hiddenSize], { precision: 'f32' })] : []),
      ...(shared && gated ? [matrix('sharedGate', [shared.size, hiddenSize])] : []),
      ...(shared ? [matrix('sharedUp', [shared.size, hiddenSize])] : []),
      ...(shared ? [matrix('sharedDown', [hiddenSize, shared.size], down)] : []),
    ];
  },

  record(recorder, spec, input, addTo) {
    const { plan: p, weight, find } = recorder;
    const sum = spec.shared ? sharedExpert(recorder, spec, input, addTo) : addTo; // [T, H]
    const logits = linear(p, input, weight('router'), { bias: find('routerBias') }); // [T, count]
    const routing = route(p, logits, spec, find('choiceBias'));
    const gate = spec.gated ? expertLinear(p, input, routing, weight('expertGate')) : null; // [slots, size]
    const up = expertLinear(p, input, routing, weight('expertUp')); // [slots, size]
    const y = gatedActivation(p, gate ?? up, up, spec.activation);
    return combineExperts(p, expertLinear(p, y, routing, weight('expertDown')), routing, sum); // [T, H]
  },

  ggufNames: {
    router: ['blk.N.ffn_gate_inp.weight'],
    routerBias: ['blk.N.ffn_gate_inp.bias'],
    choiceBias: ['blk.N.exp_probs_b.bias'],
    // Mixtral's first files have one tensor per expert.
    expertGate: ['blk.N.ffn_gate_exps.weight', 'blk.N.ffn_gate.E.weight'],
    expertUp: ['blk.N.ffn_up_exps.weight', 'blk.N.ffn_up.E.weight'],
    expertDown: ['blk.N.ffn_down_exps.weight', 'blk.N.ffn_down.E.weight'],
    sharedRouter: ['blk.N.ffn_gate_inp_shexp.weight'],
    sharedGate: ['blk.N.ffn_gate_shexp.weight'],
    sharedUp: ['blk.N.ffn_up_shexp.weight'],
    sharedDown: ['blk.N.ffn_down_shexp.weight'],
  },

  ownNames: {
    router: ['model.layers.N.feed_forward.router.weight'],
    routerBias: ['model.layers.N.feed_forward.router.bias'],
    choiceBias: ['model.layers.N.feed_forward.expert_bias'],
    expertGate: ['model.layers.N.feed_forward.experts.E.gate_proj.weight'],
    expertUp: ['model.layers.N.feed_forward.experts.E.up_proj.weight'],
    expertDown: ['model.layers.N.feed_forward.experts.E.down_proj.weight'],
    sharedRouter: ['model.layers.N.feed_forward.shared_expert_gate.weight'],
    sharedGate: ['model.layers.N.feed_forward.shared_expert.gate_proj.weight'],
    sharedUp: ['model.layers.N.feed_forward.shared_expert.up_proj.weight'],
    sharedDown: ['model.layers.N.feed_forward.shared_expert.down_proj.weight'],
  },

  ggufKeys: ({ size, count, topK }) => ({
    feed_forward_length: u32(size),
    expert_count: u32(count),
    expert_used_count: u32(topK),
  }),

  ownWords: { e: 'experts' },

  fromOwn(c): ExpertsSpec {
    const count = c.size('num_experts', undefined, 4096);
    const size = c.size('moe_intermediate_size', c.size('intermediate_size'));
    const score = c.text('scoring_func', ['softmax', 'sigmoid'], 'softmax');
    const shared = c.integer('shared_expert_intermediate_size', 0, 2 ** 24, 0);
    const plain = plainExperts(size, count, c.size('num_experts_per_tok', 2, count));
    return {
      ...plain,
      ...groupsFrom(c, plain, 'n_group', 'topk_group'),
      ...ownActivation(c),
      score,
      choiceBias: c.flag('use_expert_bias', false),
      renormalize: c.flag('norm_topk_prob', false) ? SUM_EPSILON[score] : null,
      weightScale: c.number('routed_scaling_factor', 1e-6, 1e6, 1),
      shared: shared ? { size: shared, gate: c.flag('shared_expert_gate', false) } : null,
    };
  },
};

/** The shared expert's result [T, H], added to `addTo` where there is one. */
function sharedExpert(
  { plan: p, weight }: Recorder<ExpertsRole, never>,
  { shared, gated, activation }: ExpertsSpec,
  input: Value,
  addTo: Value | null,
): Value {
  const share = shared?.gate ? linear(p, input, weight('sharedRouter')) : null; // [T, 1]
  const gate = gated ? linear(p, input, weight('sharedGate')) : null; // [T, size]
  const up = linear(p, input, weight('sharedUp')); // [T, size]
  const y = gatedActivation(p, gate ?? up, up, activation);
  return linear(p, share ? gateRows(p, y, share) : y, weight('sharedDown'), { addTo });
}

/**
 * Groups of a configuration, which must divide the experts and leave enough of them to choose from. `unsaid`:
 * how many groups a token uses where the configuration does not say; default all.
 */
export function groupsFrom(
  c: ConfigReader,
  { count, topK }: Pick<ExpertsSpec, 'count' | 'topK'>,
  groups: string,
  used: string,
  unsaid?: number,
): Pick<ExpertsSpec, 'groupCount' | 'groupsUsed'> {
  const groupCount = c.integer(groups, 0, count, 1) || 1; // GGUF: 0 for none
  if (count % groupCount) c.fail(groups, `a divisor of the ${count} experts`, groupCount);
  const groupsUsed = c.size(used, unsaid ?? groupCount, groupCount);
  if ((count / groupCount) * groupsUsed < topK)
    c.fail(used, `groups with at least ${topK} experts, as many as each token passes through`, groupsUsed);
  return { groupCount, groupsUsed };
}

/**
 * Experts in GGUF metadata, and as the file has tensors for them. `implied` is what the architecture takes for
 * granted about routing where the file says nothing.
 */
export function expertsFromGguf(
  { config: c, architecture, index, shapeOf }: GgufLayer,
  implied: Partial<RoutingRule> = {},
): ExpertsSpec {
  const key = (name: string) => `${architecture}.${name}`;
  const count = c.size(key('expert_count'), undefined, 4096);
  const layers = c.size(key('block_count'), undefined, 4096);
  const own = key('expert_feed_forward_length');
  const plain = {
    ...plainExperts(
      c.layerSize(c.has(own) ? own : key('feed_forward_length'), index, layers),
      count,
      c.size(key('expert_used_count'), undefined, count),
    ),
    ...implied,
  };
  const score = ggufScore(c, key('expert_gating_func'), plain.score);
  const divided = c.flag(key('expert_weights_norm'), plain.renormalize !== null);
  const shared = shapeOf('ffn_up_shexp.weight')?.[0];
  return {
    ...plain,
    ...groupsFrom(c, plain, key('expert_group_count'), key('expert_group_used_count')),
    score,
    renormalize: divided ? (plain.renormalize ?? SUM_EPSILON[score]) : null,
    weightScale: c.number(key('expert_weights_scale'), 1e-6, 1e6, plain.weightScale),
    choiceBias: shapeOf('exp_probs_b.bias') !== undefined,
    routerBias: shapeOf('ffn_gate_inp.bias') !== undefined,
    gated: ['ffn_gate_exps.weight', 'ffn_gate_up_exps.weight', 'ffn_gate.0.weight'].some(
      (name) => shapeOf(name) !== undefined,
    ),
    shared: shared ? { size: shared, gate: shapeOf('ffn_gate_inp_shexp.weight') !== undefined } : null,
  };
}

/** llama.cpp's `enum llama_expert_gating_func_type`: 1 softmax, 2 sigmoid. */
function ggufScore(c: ConfigReader, field: string, implied: RouterScore): RouterScore {
  const found = c.integer(field, 0, 255, 0);
  if (found > 2) c.fail(field, '1 (softmax) or 2 (sigmoid)', found);
  return found === 0 ? implied : found === 1 ? 'softmax' : 'sigmoid';
}

/** What GGUF can say about experts beside their sizes, for architectures whose loaders read it. */
export const ggufRouting = (spec: ExpertsSpec): Readonly<Record<string, TypedMetadataValue>> => ({
  expert_feed_forward_length: u32(spec.size),
  ...(spec.shared
    ? { expert_shared_count: u32(1), expert_shared_feed_forward_length: u32(spec.shared.size) }
    : {}),
  expert_weights_norm: flag(spec.renormalize !== null),
  expert_weights_scale: f32(spec.weightScale),
  expert_group_count: u32(spec.groupCount),
  expert_group_used_count: u32(spec.groupsUsed),
});
