// @marimba/lab: trains small hybrid language models, compares them in ablation studies and evaluates them, on
// the engine's own operations. Start with `runTraining`, `runStudy` or `evaluate`. Public: changes follow
// semantic versioning.

export { readDocuments, type TextDocument } from './data/documents.ts';
export { type TokenizerTraining, type TrainedTokenizer, trainTokenizer } from './data/tokenizer-file.ts';
export type { AskOptions } from './evaluate/ask.ts';
export { compareEvaluations, type SuiteComparison } from './evaluate/compare.ts';
export {
  compareDistributions,
  type DivergenceOptions,
  type DivergenceReport,
} from './evaluate/divergence.ts';
export type {
  ChoiceItem,
  EvalItem,
  FreeItem,
  Outcome,
  SequenceItem,
  Suite,
  SuiteOptions,
  SuiteTarget,
  TextItem,
} from './evaluate/items.ts';
export { type EvaluateOptions, type Evaluation, evaluate, type SuiteEvaluation } from './evaluate/run.ts';
export { buildSuite } from './evaluate/suites.ts';
export type { Share, SuiteSummary, TextSummary } from './evaluate/summary.ts';
export type { Interval, Mean } from './statistics.ts';
export {
  attentionPlaces,
  attentionShares,
  expertsOrDense,
  headSizes,
  innerNorms,
  localToGlobal,
  mixers,
  positions,
  stateSizes,
  windows,
} from './studies/axes.ts';
export type { Claim, ClaimPart } from './studies/claim.ts';
export type { ClaimVerdict, PartVerdict, Verdict } from './studies/claims.ts';
export { bytesToDecode, type ContextCost, type ModelCost } from './studies/costs.ts';
export type { ModelSizes, StudyModel } from './studies/model.ts';
export { type CellResult, readResults } from './studies/results.ts';
export { runStudy, type StudyOptions, type StudyOutcome, type StudyProgress } from './studies/run-study.ts';
export {
  type Budget,
  defineStudy,
  loadStudy,
  type Study,
  type StudyDefinition,
  type StudyTask,
  type SyntheticStudyTask,
  type TextStudyTask,
} from './studies/study.ts';
export type { SummaryRow } from './studies/summary.ts';
export { type StudySummary, writeStudyFiles } from './studies/write-report.ts';
export type { Level, TaskSize } from './tasks/task.ts';
export { type RunHooks, type RunResult, runTraining } from './train/run.ts';
export { checkRunConfig, type RunConfig, readRunConfig } from './train/run-config.ts';
export type { TrainerResult } from './train/trainer.ts';
export type { TrainingEvent } from './train/training-log.ts';
