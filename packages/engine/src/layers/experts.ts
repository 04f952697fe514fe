// Routed experts (Shazeer et al. 2017), each a gated feed-forward: softmax over all experts, the top k of
// them are added up by their weights. Mixtral rescales those to sum to 1, Jamba does not.

import { ModelError } from '../errors.ts';
import { u32 } from '../formats/gguf-values.ts';
import type { Activation } from '../plan/activation.ts';
import { gatedActivation, linear } from '../plan/ops/dense.ts';
import { combineExperts, expertLinear, route } from '../plan/ops/experts.ts';
import { type GgufLayer, type Layer, matrix } from './layer.ts';

/** A mixture of experts: a router sends each token through `topK` of `count` feed-forwards. */
export interface ExpertsSpec {
  /** Tag of the union of layer kinds. */
  readonly kind: 'experts';
  /** Inner size of each expert. */
  readonly size: number;
  /** Experts in the layer. */
  readonly count: number;
  /** Experts that each token passes through. */
  readonly topK: number;
  /** The weights of the chosen experts are rescaled to sum to 1. */
  readonly renormalize: boolean;
  /** Applied to the gate of each expert. */
  readonly activation: Activation;
}

export type ExpertsRole = 'router' | 'expertGate' | 'expertUp' | 'expertDown';

export const experts: Layer<ExpertsSpec, ExpertsRole, never> = {
  letter: () => 'e',
  title: () => 'experts',

  tensors({ size, count, topK }, hiddenSize) {
    const routed = { experts: { count, topK } };
    return [
      matrix('router', [count, hiddenSize], { precision: 'f32' }),
      matrix('expertGate', [count, size, hiddenSize], routed),
      matrix('expertUp', [count, size, hiddenSize], routed),
      matrix('expertDown', [count, hiddenSize, size], {
        ...routed,
        precision: 'moreBitsInSomeLayers',
        initial: 'residual',
      }),
    ];
  },

  record({ plan: p, weight }, { topK, renormalize, activation }, input, addTo) {
    if (!addTo)
      throw new ModelError(
        'model: expected routed experts whose sum is added as it is, found a norm or factor after',
      );
    const routing = route(p, linear(p, input, weight('router')), topK, renormalize); // logits [T, count]
    const gate = expertLinear(p, input, routing, weight('expertGate')); // [slots, size]
    const up = expertLinear(p, input, routing, weight('expertUp')); // [slots, size]
    const y = gatedActivation(p, gate, up, activation);
    return combineExperts(p, addTo, expertLinear(p, y, routing, weight('expertDown')), routing); // [T, H]
  },

  ggufNames: {
    router: ['blk.N.ffn_gate_inp.weight'],
    expertGate: ['blk.N.ffn_gate_exps.weight'],
    expertUp: ['blk.N.ffn_up_exps.weight'],
    expertDown: ['blk.N.ffn_down_exps.weight'],
  },

  ownNames: {
    router: ['model.layers.N.feed_forward.router.weight'],
    expertGate: ['model.layers.N.feed_forward.experts.E.gate_proj.weight'],
    expertUp: ['model.layers.N.feed_forward.experts.E.up_proj.weight'],
    expertDown: ['model.layers.N.feed_forward.experts.E.down_proj.weight'],
  },

  ggufKeys: ({ size, count, topK }) => ({
    feed_forward_length: u32(size),
    expert_count: u32(count),
    expert_used_count: u32(topK),
  }),

  ownWords: { e: 'experts' },

  fromOwn(c): ExpertsSpec {
    const count = c.size('num_experts', undefined, 4096);
    return {
      kind: 'experts',
      size: c.size('intermediate_size'),
      count,
      topK: c.size('num_experts_per_tok', 2, count),
      renormalize: false,
      activation: 'silu',
    };
  },
};

export function expertsFromGguf({ config, architecture }: GgufLayer): ExpertsSpec {
  const count = config.size(`${architecture}.expert_count`, undefined, 4096);
  return {
    kind: 'experts',
    size: config.size(`${architecture}.feed_forward_length`),
    count,
    topK: config.size(`${architecture}.expert_used_count`, undefined, count),
    renormalize: false,
    activation: 'silu',
  };
}
