// @marimba/lab: training data, tasks with a known answer, ablation studies and evaluation, on the engine's own operations.
export {
  splitDocuments,
  type TextBatchOptions,
  type TextPart,
  type TextSplit,
  type TrainingBatch,
  textBatches,
  textWindows,
} from './data/batches.ts';
export { type BpeMerges, type BpeOptions, trainBpe, WordCounter } from './data/bpe-trainer.ts';
export { listFiles, readDocuments, type TextDocument } from './data/documents.ts';
export { hashText, type TokenData, type TokeniseOptions, tokenise, writeWhole } from './data/token-file.ts';
export {
  DEFAULT_SPECIAL_TOKENS,
  readTokenizer,
  type TokenizerTraining,
  type TrainedTokenizer,
  tokenizerJson,
  trainTokenizer,
} from './data/tokenizer-file.ts';
export type { AskOptions } from './evaluate/ask.ts';
export { compareEvaluations, type SuiteComparison } from './evaluate/compare.ts';
export {
  compareDistributions,
  type DivergenceOptions,
  type DivergenceReport,
} from './evaluate/divergence.ts';
export type { EvalItem, Outcome, Suite, SuiteOptions, SuiteTarget } from './evaluate/items.ts';
export { type EvaluateOptions, type Evaluation, evaluate, type SuiteEvaluation } from './evaluate/run.ts';
export { buildSuite, SUITE_FORMS } from './evaluate/suites.ts';
export { EFFECTIVE_ACCURACY, type Share, type SuiteSummary, type TextSummary } from './evaluate/summary.ts';
export { exportGguf } from './export/gguf.ts';
export { exportHuggingFace } from './export/huggingface.ts';
export type { ExportOptions } from './export/options.ts';
export { type PublishedForm, publishedForm } from './export/published-family.ts';
export { mcNemarExact, meanInterval, pairedBootstrap, studentQuantile, wilson } from './statistics.ts';
export {
  attentionPlaces,
  attentionShares,
  expertsOrDense,
  headSizes,
  innerNorms,
  localToGlobal,
  positions,
  stateSizes,
  windows,
} from './studies/axes.ts';
export { studyCells } from './studies/cells.ts';
export type { Claim, ClaimPart } from './studies/claim.ts';
export {
  type ClaimVerdict,
  judgeClaims,
  RULE,
  type Verdict,
} from './studies/claims.ts';
export { type ModelCost, modelCost, trainingFlops } from './studies/costs.ts';
export {
  countParameters,
  type ModelConfig,
  type ModelSizes,
  modelConfig,
  type StudyModel,
  specOf,
} from './studies/model.ts';
export { parsePattern } from './studies/pattern.ts';
export { type CellResult, ResultStore, readResults } from './studies/results.ts';
export { runCell } from './studies/run-cell.ts';
export { runStudy, type StudyOptions, type StudyOutcome, type StudyProgress } from './studies/run-study.ts';
export {
  type Budget,
  DEFAULT_BUDGET,
  defineStudy,
  loadStudy,
  type Study,
  type StudyDefinition,
  type StudyTask,
} from './studies/study.ts';
export { type SummaryRow, spread, summarise, toCsv } from './studies/summary.ts';
export type { BatchEvaluation, TrainCell, TrainedCell, TrainingRequest } from './studies/trainer.ts';
export { type StudySummary, writeStudyFiles } from './studies/write-report.ts';
export { exampleBatch, taskBatches, testExamples } from './tasks/batches.ts';
export { findTask, TASKS } from './tasks/index.ts';
export type { Example, Level, Task, TaskInstance, TaskSize } from './tasks/task.ts';
export { BENCH_MODELS, benchTraining, type TrainingBench, type TrainingBenchOptions } from './train/bench.ts';
export { initialise } from './train/initialise.ts';
export { type RunHooks, type RunResult, runTraining } from './train/run.ts';
export { checkRunConfig, RUN_SETTINGS, type RunConfig, readRunConfig } from './train/run-config.ts';
export {
  type OptimizerSettings,
  type StepReport,
  type TrainingOptions,
  TrainingRuntime,
} from './train/runtime.ts';
export { learningRateAt, type Schedule } from './train/schedule.ts';
export { heldOut, type TrainerResult, type TrainerRun, train } from './train/trainer.ts';
export type { TrainingEvent } from './train/training-log.ts';
export { type Comparison, type VerifyOptions, type VerifyReport, verifyTraining } from './train/verify.ts';
