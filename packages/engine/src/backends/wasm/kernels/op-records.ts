// Generated from plan/ops.ts by build/records.ts.

/** What every record begins with; see the header of plan/ops.ts. */
@unmanaged export class Op {
  kind: i32;
  /** Chunks claimed so far; the driver zeroes it before each run. */
  claimed: u32;
}

/** A record whose first field is the address of the number of live rows. */
@unmanaged export class RowsOp extends Op {
  rows: usize;
}

@unmanaged export class Embed extends RowsOp {
  tokens: usize;
  table: usize;
  layout: i32;
  columns: i32;
  vocabulary: i32;
  scale: f32;
  y: usize;
  yStride: usize;
}

@unmanaged export class RmsNorm extends RowsOp {
  x: usize;
  xStride: usize;
  y: usize;
  yStride: usize;
  weight: usize;
  columns: i32;
  groups: i32;
  epsilon: f32;
}

@unmanaged export class QuantizeRows extends RowsOp {
  x: usize;
  xStride: usize;
  columns: i32;
  codes: usize;
}

@unmanaged export class Linear extends RowsOp {
  x: usize;
  xStride: usize;
  weight: usize;
  layout: i32;
  outputs: i32;
  columns: i32;
  bias: usize;
  y: usize;
  yStride: usize;
  accumulate: i32;
  scratch: usize;
}

@unmanaged export class CausalConv extends RowsOp {
  segments: usize;
  x: usize;
  xStride: usize;
  y: usize;
  yStride: usize;
  weight: usize;
  bias: usize;
  channels: i32;
  width: i32;
  stateOffset: usize;
}

@unmanaged export class SelectiveScan extends RowsOp {
  segments: usize;
  u: usize;
  uStride: usize;
  dt: usize;
  dtStride: usize;
  dtBias: usize;
  b: usize;
  c: usize;
  bcStride: usize;
  z: usize;
  zStride: usize;
  a: usize;
  d: usize;
  y: usize;
  yStride: usize;
  channels: i32;
  states: i32;
  stateOffset: usize;
  scratch: usize;
}

@unmanaged export class Rope extends RowsOp {
  positions: usize;
  x: usize;
  xStride: usize;
  heads: i32;
  headSize: i32;
  rotary: i32;
  inverseFrequencies: usize;
  attentionScale: f32;
}

@unmanaged export class CacheStore extends RowsOp {
  segments: usize;
  rowSegment: usize;
  positions: usize;
  k: usize;
  kStride: usize;
  v: usize;
  vStride: usize;
  kvHeads: i32;
  headSize: i32;
  group: i32;
  layerOffset: usize;
  cacheType: i32;
}

@unmanaged export class Attention extends RowsOp {
  segments: usize;
  rowSegment: usize;
  positions: usize;
  q: usize;
  qStride: usize;
  y: usize;
  yStride: usize;
  heads: i32;
  kvHeads: i32;
  headSize: i32;
  scale: f32;
  window: i32;
  group: i32;
  layerOffset: usize;
  cacheType: i32;
  scratch: usize;
  scratchBytes: usize;
}

@unmanaged export class GatedActivation extends RowsOp {
  gate: usize;
  gateStride: usize;
  up: usize;
  upStride: usize;
  y: usize;
  yStride: usize;
  columns: i32;
  activation: i32;
}

@unmanaged export class Add extends RowsOp {
  x: usize;
  xStride: usize;
  y: usize;
  yStride: usize;
  columns: i32;
}

@unmanaged export class Route extends RowsOp {
  x: usize;
  xStride: usize;
  experts: i32;
  topK: i32;
  renormalize: i32;
  ids: usize;
  weights: usize;
  offsets: usize;
  slotRows: usize;
  slotOf: usize;
}

@unmanaged export class ExpertLinear extends RowsOp {
  offsets: usize;
  slotRows: usize;
  experts: i32;
  x: usize;
  xStride: usize;
  weight: usize;
  expertBytes: usize;
  layout: i32;
  outputs: i32;
  columns: i32;
  y: usize;
  yStride: usize;
  scratch: usize;
}

@unmanaged export class CombineExperts extends RowsOp {
  topK: i32;
  slotOf: usize;
  weights: usize;
  x: usize;
  xStride: usize;
  y: usize;
  yStride: usize;
  columns: i32;
}

@unmanaged export class GatherRows extends RowsOp {
  indices: usize;
  x: usize;
  xStride: usize;
  y: usize;
  yStride: usize;
  columns: i32;
}

@unmanaged export class Copy extends RowsOp {
  x: usize;
  xStride: usize;
  y: usize;
  yStride: usize;
  columns: i32;
}

@unmanaged export class CrossEntropy extends RowsOp {
  x: usize;
  xStride: usize;
  columns: i32;
  targets: usize;
  losses: usize;
  meanScale: usize;
}

@unmanaged export class EmbedBackward extends RowsOp {
  tokens: usize;
  dy: usize;
  dyStride: usize;
  columns: i32;
  vocabulary: i32;
  scale: f32;
  skipToken: i32;
  dTable: usize;
}

@unmanaged export class RmsNormBackward extends RowsOp {
  x: usize;
  xStride: usize;
  weight: usize;
  columns: i32;
  groups: i32;
  epsilon: f32;
  dy: usize;
  dyStride: usize;
  dx: usize;
  dxStride: usize;
  accumulate: i32;
  inverse: usize;
}

@unmanaged export class RmsNormWeightBackward extends RowsOp {
  x: usize;
  xStride: usize;
  dy: usize;
  dyStride: usize;
  inverse: usize;
  columns: i32;
  groups: i32;
  dWeight: usize;
}

@unmanaged export class LinearBackwardInput extends RowsOp {
  dy: usize;
  dyStride: usize;
  weight: usize;
  outputs: i32;
  columns: i32;
  dx: usize;
  dxStride: usize;
  accumulate: i32;
  scratch: usize;
}

@unmanaged export class LinearBackwardWeight extends RowsOp {
  dy: usize;
  dyStride: usize;
  x: usize;
  xStride: usize;
  outputs: i32;
  columns: i32;
  dWeight: usize;
  dBias: usize;
  scratch: usize;
}

@unmanaged export class ExpertLinearBackwardInput extends RowsOp {
  offsets: usize;
  experts: i32;
  dy: usize;
  dyStride: usize;
  weight: usize;
  expertBytes: usize;
  outputs: i32;
  columns: i32;
  dx: usize;
  dxStride: usize;
  scratch: usize;
}

@unmanaged export class ExpertLinearBackwardWeight extends RowsOp {
  offsets: usize;
  slotRows: usize;
  experts: i32;
  dy: usize;
  dyStride: usize;
  x: usize;
  xStride: usize;
  dWeight: usize;
  expertBytes: usize;
  outputs: i32;
  columns: i32;
  scratch: usize;
}

@unmanaged export class SumSlots extends RowsOp {
  topK: i32;
  slotOf: usize;
  x: usize;
  xStride: usize;
  y: usize;
  yStride: usize;
  columns: i32;
  accumulate: i32;
}

@unmanaged export class CombineExpertsBackward extends RowsOp {
  topK: i32;
  slotOf: usize;
  weights: usize;
  x: usize;
  xStride: usize;
  dy: usize;
  dyStride: usize;
  columns: i32;
  dx: usize;
  dxStride: usize;
  dWeights: usize;
}

@unmanaged export class RouteBackward extends RowsOp {
  x: usize;
  xStride: usize;
  experts: i32;
  topK: i32;
  renormalize: i32;
  ids: usize;
  offsets: usize;
  dWeights: usize;
  dx: usize;
  dxStride: usize;
  scale: f32;
  losses: usize;
}

@unmanaged export class CausalConvBackward extends RowsOp {
  segments: usize;
  x: usize;
  xStride: usize;
  weight: usize;
  bias: usize;
  channels: i32;
  width: i32;
  dy: usize;
  dyStride: usize;
  dx: usize;
  dxStride: usize;
  dWeight: usize;
  dBias: usize;
}

@unmanaged export class SelectiveScanBackward extends RowsOp {
  segments: usize;
  u: usize;
  uStride: usize;
  dt: usize;
  dtStride: usize;
  dtBias: usize;
  b: usize;
  c: usize;
  bcStride: usize;
  z: usize;
  zStride: usize;
  a: usize;
  d: usize;
  channels: i32;
  states: i32;
  dy: usize;
  dyStride: usize;
  du: usize;
  duStride: usize;
  ddt: usize;
  ddtStride: usize;
  dz: usize;
  dzStride: usize;
  dALog: usize;
  dD: usize;
  dDtBias: usize;
  partials: usize;
  groups: i32;
  scratch: usize;
  threadBytes: usize;
}

@unmanaged export class ScanReduce extends RowsOp {
  partials: usize;
  groups: i32;
  states: i32;
  db: usize;
  dc: usize;
  bcStride: usize;
}

@unmanaged export class AttentionBackward extends RowsOp {
  segments: usize;
  q: usize;
  qStride: usize;
  k: usize;
  kStride: usize;
  v: usize;
  vStride: usize;
  y: usize;
  yStride: usize;
  dy: usize;
  dyStride: usize;
  dq: usize;
  dqStride: usize;
  dk: usize;
  dkStride: usize;
  dv: usize;
  dvStride: usize;
  heads: i32;
  kvHeads: i32;
  headSize: i32;
  scale: f32;
  window: i32;
  scratch: usize;
  threadBytes: usize;
}

@unmanaged export class GatedActivationBackward extends RowsOp {
  gate: usize;
  gateStride: usize;
  up: usize;
  upStride: usize;
  dy: usize;
  dyStride: usize;
  dGate: usize;
  dGateStride: usize;
  dUp: usize;
  dUpStride: usize;
  columns: i32;
  activation: i32;
}

@unmanaged export class GatherRowsBackward extends RowsOp {
  indexCount: usize;
  indices: usize;
  dy: usize;
  dyStride: usize;
  dx: usize;
  dxStride: usize;
  columns: i32;
}

@unmanaged export class DecayFromLog extends Op {
  aLog: usize;
  a: usize;
  channels: i32;
  states: i32;
}

@unmanaged export class Clear extends Op {
  x: usize;
  count: i32;
}

@unmanaged export class SumSquares extends Op {
  x: usize;
  count: i32;
  partials: usize;
}

@unmanaged export class ClipGradient extends Op {
  partials: usize;
  chunks: i32;
  state: usize;
}

@unmanaged export class AdamW extends Op {
  parameters: usize;
  gradients: usize;
  first: usize;
  second: usize;
  count: i32;
  decays: i32;
  state: usize;
}
