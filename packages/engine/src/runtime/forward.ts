// The one forward pass. It turns a model's layers into recorded ops; training, prompts, decoding and batches
// all replay what is recorded here. T is the number of tokens in the step, H the hidden size. What each kind
// of layer records is in layers/.

import type { NormRole, Role } from '../architecture/roles.ts';
import type { LayerSpec, ModelSpec } from '../architecture/spec.ts';
import { layerOf, type PartSpec } from '../layers/index.ts';
import { embed, gatherLogitRows, linear, rmsNorm } from '../plan/ops/dense.ts';
import type { PlacedWeight, Plan, PlanBuilder, Value } from '../plan/plan.ts';
import type { PartState, StateLayout } from '../state/state-layout.ts';

export interface PlacedWeights {
  /** The weight of a role; layer -1 for the model's own. Throws when the model has none. */
  get(layer: number, role: Role): PlacedWeight;
  find(layer: number, role: Role): PlacedWeight | null;
}

export function forward(p: PlanBuilder, spec: ModelSpec, weights: PlacedWeights, state: StateLayout): Plan {
  p.label('embedding');
  let hidden = embed(p, weights.get(-1, 'embedding'), spec.embeddingScale); // [T, H]
  spec.layers.forEach((layer, index) => {
    hidden = block({ p, spec, weights, state, index }, layer, hidden); // [T, H]
  });
  p.label('head');
  const rows = gatherLogitRows(p, hidden); // [wanted, H]
  const last = rmsNorm(p, rows, weights.get(-1, 'finalNorm'), spec.normEpsilon); // [wanted, H]
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

/** The mixers on one norm, then the feed-forward on its own; each adds its result to `hidden`. */
function block(here: Here, { mixers, feedForward }: LayerSpec, hidden: Value): Value {
  const { p, spec, weights, state, index } = here;
  const label = (part: PartSpec) => p.label(`layer ${index} ${part.kind}`);
  const norm = (role: NormRole) => rmsNorm(p, hidden, weights.get(index, role), spec.normEpsilon);
  if (mixers[0]) {
    label(mixers[0]);
    const x = norm('inputNorm'); // [T, H]
    mixers.forEach((mixer, i) => {
      label(mixer);
      hidden = record(here, mixer, state.part(index, i), x, hidden);
    });
  }
  if (feedForward) {
    label(feedForward);
    const x = norm('feedForwardNorm'); // [T, H]
    hidden = record(here, feedForward, null, x, hidden);
  }
  return hidden;
}

function record(
  { p, spec, weights, index }: Here,
  part: PartSpec,
  state: PartState | null,
  x: Value,
  hidden: Value,
): Value {
  const held = <T>(found: T | null | undefined): T => {
    if (found === null || found === undefined)
      throw new Error(`layer ${index} ${part.kind}: holds no such state`);
    return found;
  };
  const recorder = {
    plan: p,
    normEpsilon: spec.normEpsilon,
    weight: (role: Role) => weights.get(index, role),
    find: (role: Role) => weights.find(index, role),
    state: (name: string) => held(state?.offsets[name]),
    cache: () => held(state?.cache),
  };
  return layerOf(part).record(recorder, part, x, hidden);
}
