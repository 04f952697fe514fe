// The one forward pass. It turns a model's layers into recorded ops; training, prompts, decoding and batches all replay
// what is recorded here. T is the number of tokens in the step, H the hidden size.
//
// Paper letters, as in docs/glossary.md: x and z the two halves of in_proj, dt the step size, B and C the input and output
// maps of the state, A its decay, D the skip.

import type { Role } from '../architecture/roles.ts';
import type { AttentionSpec, DenseSpec, ExpertsSpec, MambaSpec, ModelSpec } from '../architecture/spec.ts';
import type { CachePlace, PlacedWeight, Plan, PlanBuilder, Value } from '../plan/plan.ts';
import type { StateLayout } from '../state/state-layout.ts';

export interface PlacedWeights {
  /** The weight of a role; layer -1 for the model's own. Throws when the model has none. */
  get(layer: number, role: Role): PlacedWeight;
  find(layer: number, role: Role): PlacedWeight | null;
}

interface Layer {
  readonly index: number;
  readonly weights: PlacedWeights;
}

export function forward(p: PlanBuilder, spec: ModelSpec, weights: PlacedWeights, state: StateLayout): Plan {
  p.label('embedding');
  let hidden = p.embed(weights.get(-1, 'embedding'), spec.embeddingScale); // [T, H]
  spec.layers.forEach((layer, index) => {
    const here: Layer = { index, weights };
    p.label(`layer ${index} ${layer.mixer.kind}`);
    const x = p.rmsNorm(hidden, weights.get(index, 'inputNorm'), spec.normEpsilon);
    if (layer.mixer.kind === 'mamba') hidden = mamba(p, here, layer.mixer, x, hidden, state);
    else hidden = attention(p, here, layer.mixer, x, hidden, state);
    if (!layer.feedForward) return;
    p.label(`layer ${index} ${layer.feedForward.kind}`);
    const y = p.rmsNorm(hidden, weights.get(index, 'feedForwardNorm'), spec.normEpsilon);
    if (layer.feedForward.kind === 'dense') hidden = dense(p, here, layer.feedForward, y, hidden);
    else hidden = experts(p, here, layer.feedForward, y, hidden);
  });
  p.label('head');
  const last = p.rmsNorm(p.gatherLogitRows(hidden), weights.get(-1, 'finalNorm'), spec.normEpsilon);
  return p.finish(p.linear(last, weights.get(-1, spec.tiedHead ? 'embedding' : 'head')));
}

/** The Mamba-1 mixer (Gu & Dao 2023, figure 3; Jamba adds the norms on dt, B and C). Returns its sum with `hidden`. */
function mamba(
  p: PlanBuilder,
  { index, weights }: Layer,
  m: MambaSpec,
  input: Value,
  hidden: Value,
  state: StateLayout,
): Value {
  const w = (role: Role): PlacedWeight => weights.get(index, role);
  const bias = (role: Role): PlacedWeight | null => weights.find(index, role);
  const place = state.mamba(index);
  const xz = p.linear(input, w('inProj'), { bias: bias('inProjBias') }); // [T, 2 inner]: x first, then the gate z
  const xIn = p.slice(xz, 0, m.innerSize);
  const x = p.causalConv(xIn, w('convWeight'), bias('convBias'), place.convOffset);
  const z = p.slice(xz, m.innerSize, m.innerSize);
  const dtBC = p.linear(x, w('xProj')); // [T, dtRank + 2 states]
  let dtLow = p.slice(dtBC, 0, m.dtRank);
  let b = p.slice(dtBC, m.dtRank, m.stateSize);
  let c = p.slice(dtBC, m.dtRank + m.stateSize, m.stateSize);
  if (m.innerNorms !== 'none') {
    dtLow = p.rmsNorm(dtLow, w('dtNorm'), m.innerNormEpsilon, { into: dtLow });
    b = p.rmsNorm(b, w('bNorm'), m.innerNormEpsilon, { into: b });
    c = p.rmsNorm(c, w('cNorm'), m.innerNormEpsilon, { into: c });
  }
  const dt = p.linear(dtLow, w('dtProj'), { into: xIn }); // [T, inner]; its bias joins inside the scan
  const y = p.selectiveScan({
    u: x,
    dt,
    dtBias: bias('dtProjBias'),
    b,
    c,
    z,
    a: w('a'),
    d: w('d'),
    states: m.stateSize,
    stateOffset: place.scanOffset,
  });
  return p.linear(y, w('outProj'), { bias: bias('outProjBias'), addTo: hidden });
}

function attention(
  p: PlanBuilder,
  { index, weights }: Layer,
  a: AttentionSpec,
  x: Value,
  hidden: Value,
  state: StateLayout,
): Value {
  const w = (role: Role): PlacedWeight => weights.get(index, role);
  const bias = (role: Role): PlacedWeight | null => weights.find(index, role);
  let q = p.linear(x, w('q'), { bias: bias('qBias') }); // [T, heads * headSize]
  let k = p.linear(x, w('k'), { bias: bias('kBias') }); // [T, kvHeads * headSize]
  const v = p.linear(x, w('v'), { bias: bias('vBias') });
  if (a.headNorms) {
    q = p.rmsNorm(q, w('qNorm'), state.spec.normEpsilon, { groups: a.heads, into: q });
    k = p.rmsNorm(k, w('kNorm'), state.spec.normEpsilon, { groups: a.kvHeads, into: k });
  }
  if (a.rope) {
    const rotation = {
      headSize: a.headSize,
      rotary: a.rope.rotary,
      inverseFrequencies: w('ropeFactors').address,
      attentionScale: 1,
    };
    q = p.rope(q, { heads: a.heads, ...rotation });
    k = p.rope(k, { heads: a.kvHeads, ...rotation });
  }
  const cache: CachePlace = state.attention(index);
  const y = p.attention(q, k, v, {
    heads: a.heads,
    kvHeads: a.kvHeads,
    headSize: a.headSize,
    window: a.window,
    cache,
  });
  return p.linear(y, w('o'), { bias: bias('oBias'), addTo: hidden });
}

function dense(p: PlanBuilder, { index, weights }: Layer, spec: DenseSpec, x: Value, hidden: Value): Value {
  const gate = p.linear(x, weights.get(index, 'gate'), { bias: weights.find(index, 'gateBias') });
  const up = p.linear(x, weights.get(index, 'up'), { bias: weights.find(index, 'upBias') });
  const y = p.gatedActivation(gate, up, spec.activation);
  return p.linear(y, weights.get(index, 'down'), { bias: weights.find(index, 'downBias'), addTo: hidden });
}

/** Routed experts (Jamba: softmax over all, top k, not renormalised). Returns its sum with `hidden`. */
function experts(
  p: PlanBuilder,
  { index, weights }: Layer,
  spec: ExpertsSpec,
  x: Value,
  hidden: Value,
): Value {
  const routing = p.route(p.linear(x, weights.get(index, 'router')), spec.topK, spec.renormalize);
  const gate = p.expertLinear(x, routing, weights.get(index, 'expertGate')); // [slots, size]
  const up = p.expertLinear(x, routing, weights.get(index, 'expertUp'));
  const y = p.gatedActivation(gate, up, spec.activation);
  return p.combineExperts(hidden, p.expertLinear(y, routing, weights.get(index, 'expertDown')), routing);
}
