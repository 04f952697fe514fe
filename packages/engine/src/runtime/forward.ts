// The one forward pass. It turns a model's layers into recorded ops; training, prompts, decoding and batches
// all replay what is recorded here. T is the number of tokens in the step, H the hidden size. What each kind
// of layer records is in layers/.

import type { ModelNormRole, NormRole, Role } from '../architecture/roles.ts';
import { type EncoderSpec, type LayerSpec, type ModelSpec, readsWhole } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import { layerOf, type PartSpec } from '../layers/index.ts';
import { arenaOf } from '../memory/cuts.ts';
import { embed, gatherLogitRows, linear, rmsNorm } from '../plan/ops/dense.ts';
import { addRows, layerNorm } from '../plan/ops/encoder.ts';
import type { PlacedWeight, Plan, PlanBuilder, Value } from '../plan/plan.ts';
import type { PartState, StateLayout } from '../state/state-layout.ts';

export interface PlacedWeights {
  /** The weight of a role; layer -1 for the model's own. Throws when the model has none. */
  get(layer: number, role: Role): PlacedWeight;
  find(layer: number, role: Role): PlacedWeight | null;
}

export function forward(p: PlanBuilder, spec: ModelSpec, weights: PlacedWeights, state: StateLayout): Plan {
  p.label('embedding');
  let hidden = embed(p, weights.get(-1, 'embedding'), spec.embeddingScale / spec.residualScale); // [T, H]
  if (spec.encoder) hidden = encoderInput({ p, spec, weights, state, index: -1 }, spec.encoder, hidden);
  spec.layers.forEach((layer, index) => {
    hidden = p.cross(arenaOf(state.cuts, index), hidden);
    hidden = block({ p, spec, weights, state, index }, layer, hidden); // [T, H]
  });
  p.label('head');
  const here = { p, spec, weights, state, index: -1 };
  // Rows that nothing more is done with are read where they are.
  const isLast = readsWhole(spec) && !(spec.encoder?.finalNorm ?? true);
  if (!isLast) hidden = p.cross(arenaOf(state.cuts, -1), hidden);
  if (readsWhole(spec)) {
    if (!isLast) hidden = norm(here, hidden, 'finalNorm'); // [T, H]
    p.markHidden(hidden);
    p.startHead();
    return p.finish(hidden);
  }
  const rows = gatherLogitRows(p, hidden); // [wanted, H]
  const last = norm(here, rows, 'finalNorm', { scale: spec.logitScale }); // [wanted, H]
  p.markHidden(last);
  if (spec.headless) return p.finish(last);
  const head = weights.get(-1, spec.tiedHead ? 'embedding' : 'head');
  return p.finish(linear(p, last, head)); // [wanted, vocabulary]
}

interface Here {
  readonly p: PlanBuilder;
  readonly spec: ModelSpec;
  readonly weights: PlacedWeights;
  readonly state: StateLayout;
  readonly index: number;
}

/** Adds learned positions and token types to the embedding, and a norm on the sum. */
function encoderInput(here: Here, encoder: EncoderSpec, hidden: Value): Value {
  const { positions, tokenTypes, embeddingNorm } = encoder;
  const { p, weights } = here;
  if (positions) addRows(p, hidden, weights.get(-1, 'positionTable'), 'positions');
  if (tokenTypes) addRows(p, hidden, weights.get(-1, 'typeTable'), 'types');
  return embeddingNorm ? norm(here, hidden, 'embeddingNorm', { into: hidden }) : hidden;
}

/**
 * Norm of rows of the residual stream [T, H]. The stream is kept divided by `residualScale`, so that parts
 * add their results as they are; RMS norm takes the factor out again where epsilon is divided by its square.
 */
function norm(
  { p, spec, weights, index }: Here,
  x: Value,
  role: NormRole | ModelNormRole,
  { scale = 1, into }: { readonly scale?: number; readonly into?: Value } = {},
): Value {
  const { normEpsilon, residualScale, normOffset: offset } = spec;
  const weight = weights.get(index, role);
  if (!spec.layerNorm)
    return rmsNorm(
      p,
      x,
      weight,
      normEpsilon / residualScale ** 2,
      into ? { offset, scale, into } : { offset, scale },
    );
  if (scale !== 1 || residualScale !== 1)
    throw new ModelError('model: expected neither scaled logits nor a scaled residual with LayerNorm');
  return layerNorm(p, x, { weight, bias: weights.find(index, `${role}Bias`) }, normEpsilon, into);
}

/** The mixers on one norm, then the feed-forward on its own; each adds its result to `hidden`. */
function block(here: Here, layer: LayerSpec, hidden: Value): Value {
  const { p, state, index } = here;
  const { mixers, feedForward } = layer;
  const label = (part: PartSpec) => p.label(`layer ${index} ${part.kind}`);
  if (mixers[0]) {
    label(mixers[0]);
    hidden = normed(here, layer, ['inputNorm', 'postMixerNorm'], hidden, (x, addTo) =>
      mixers.reduce<Value | null>((sum, mixer, i) => {
        label(mixer);
        return record(here, mixer, state.part(index, i), x, sum);
      }, addTo),
    );
  }
  if (feedForward) {
    label(feedForward);
    hidden = normed(here, layer, ['feedForwardNorm', 'postFeedForwardNorm'], hidden, (x, addTo) =>
      record(here, feedForward, null, x, addTo),
    );
  }
  return hidden;
}

/** The norms around `run`, which returns its result, or the sum with `addTo`. */
function normed(
  here: Here,
  { norms = 'before', plainInput }: LayerSpec,
  [before, after]: readonly [NormRole, NormRole],
  hidden: Value,
  run: (x: Value, addTo: Value | null) => Value | null,
): Value {
  const { p, spec, weights, index } = here;
  if (norms === 'after' && spec.residualScale !== 1)
    throw new ModelError(
      `model: layer ${index}: expected norms before its parts where the residual is scaled`,
    );
  const bare = norms === 'after' || norms === 'onSum' || (plainInput && before === 'inputNorm');
  const x = bare ? hidden : norm(here, hidden, before); // [T, H]
  const sums = norms === 'before' || norms === 'onSum';
  const y = run(x, sums ? hidden : null);
  if (!y) throw new Error(`layer ${index}: recorded nothing`);
  if (norms === 'before') return y;
  if (norms === 'onSum') return norm(here, y, after, { into: y });
  const { normEpsilon, normOffset } = spec;
  return rmsNorm(p, y, weights.get(index, after), normEpsilon, { offset: normOffset, addTo: hidden });
}

function record(
  { p, spec, weights, index }: Here,
  part: PartSpec,
  state: PartState | null,
  x: Value,
  addTo: Value | null,
): Value {
  const held = <T>(found: T | null | undefined): T => {
    if (found === null || found === undefined)
      throw new Error(`layer ${index} ${part.kind}: holds no such state`);
    return found;
  };
  const recorder = {
    plan: p,
    normEpsilon: spec.normEpsilon,
    normOffset: spec.normOffset,
    weight: (role: Role) => weights.get(index, role),
    find: (role: Role) => weights.find(index, role),
    state: (name: string) => held(state?.offsets[name]),
    cache: () => held(state?.cache),
  };
  return layerOf(part).record(recorder, part, x, addTo);
}
