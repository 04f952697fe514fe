// The kernels of both builds (relaxed and baseline): every exported name is an op kind or a packing routine.
export { attention } from './attention';
export { cacheStore } from './cache-store';
export { causalConv } from './conv';
export { add, combineExperts, gatedActivation, gatherRows } from './elementwise';
export { expertLinear, route } from './experts';
export { embed, linear } from './linear';
export { rmsNorm } from './norm';
export { rope } from './rope';
export { selectiveScan } from './scan';
export { quantizeRows } from './packed-codes';
export { packRows } from './packed-pack';
export { barrier } from './barrier';
export { readBytes } from './probe';
