// The kernels of both builds (relaxed and baseline): every exported name is an op kind or a packing routine.
export { attention } from './attention/attention';
export { rope } from './attention/rope';
export { cacheStore } from './attention/store';
export { wholeAttention } from './attention/whole';
export { activate, add, addRows, combineExperts, gatedActivation, gatherRows } from './common/elementwise';
export { layerNorm, rmsNorm } from './common/norm';
export { multiplyBytes, multiplyFloats } from './common/peak';
export { readBytes, readQuarters } from './common/probe';
export { deltaScanBackward } from './delta/backward';
export { deltaScan } from './delta/scan';
export { gateRows, route } from './experts/route';
export { expertLinear } from './linear/experts';
export { embed, linear } from './linear/linear';
export { quantizeRows } from './linear/packed-codes';
export { packRows } from './linear/packed-pack.gen';
export { useWideTiles } from './linear/tiles';
export { causalConv } from './mamba/conv';
export { selectiveScan } from './mamba/scan';
export { ssdScan } from './mamba/ssd';
export { attentionBackward } from './training/attention-backward';
export { causalConvBackward } from './training/conv-backward';
export {
  addColumnSums,
  copy,
  embedBackward,
  gatedActivationBackward,
  gatherRowsBackward,
  rmsNormBackward,
  rmsNormWeightBackward,
} from './training/dense-backward';
export { combineExpertsBackward, gateRowsBackward, routeBackward, sumSlots } from './training/experts-backward';
export {
  expertLinearBackwardInput,
  expertLinearBackwardWeight,
  linearBackwardInput,
  linearBackwardWeight,
} from './training/linear-backward';
export { scanReduce, selectiveScanBackward } from './training/scan-backward';
export { ssdScanBackward } from './training/ssd-backward';
export { adamW, clear, clipGradient, crossEntropy, decayFromLog, sumSquares } from './training/training';
