// @marimba/engine/measure: what repeatable measurements are made of: seeded random numbers, spreads, timed
// prompts and decoding, the costs of a plan, and the limits of the machine that they are compared with.
// For the workspace's own packages: any release may change it. Applications use '@marimba/engine'.

export { createRandom, type Random, xoshiro128 } from '../generate/random.ts';
export {
  type Cost,
  costOfOp,
  costOfPlan,
  decodePasses,
  type Limits,
  leastSeconds,
  type Pass,
  promptPasses,
  sumOfCosts,
} from '../measure/cost.ts';
export { fillSession } from '../measure/fill-session.ts';
export { measurePeaks, measureReadLimit, openReadProbe } from '../measure/machine-limits.ts';
export { type OpProfile, profileOf } from '../measure/profile.ts';
export { mostLikely, sampleTokens, timeDecode, timePrompt } from '../measure/speed.ts';
export { type Spread, spreadOf } from '../measure/statistics.ts';
export { coreOf } from '../model/model.ts';
export { seededTokens } from '../quantize/damage.ts';
