// @marimba/lab/tools: what the command line, the recipes and the scripts need besides: benchmarks, the check
// against a golden run, tokenised text, and the table of a run's settings.
// For the workspace's own packages: any release may change it. Programs use '@marimba/lab'.

export { tokenise, writeWhole } from './data/token-file.ts';
export { readTokenizer } from './data/tokenizer-file.ts';
export { studyCells } from './studies/cells.ts';
export type { ModelConfig } from './studies/model.ts';
export { BENCH_MODELS, benchTraining, type TrainingBench } from './train/bench.ts';
export { RUN_SETTINGS } from './train/run-config.ts';
export { type VerifyReport, verifyTraining } from './train/verify.ts';
