// What a run of the recipe works with, and the names and facts that its steps share.
import type { RunConfig } from '@marimba/lab';
import type { ModelName, TrainedModel } from './models.ts';

export interface Recipe {
  /** The data set's folder of JSON files. */
  readonly data: string;
  /** Everything on the way: documents, tokenizer, runs. */
  readonly work: string;
  /** The model, its card, picture and figures. */
  readonly out: string;
  /** A small part of the held-out text, for tests. */
  readonly excerpt: string;
  readonly models: Readonly<Record<ModelName, TrainedModel>>;
  readonly training: Partial<RunConfig>;
  readonly say: (text: string) => void;
  readonly signal?: AbortSignal;
}

export const MODEL_FILE = 'speeches-jamba.q8_0.gguf';

/** What was trained on and what was set aside, for the card. */
export interface SplitFacts {
  readonly speeches: number;
  readonly trainingBytes: number;
  readonly trainingPassages: number;
  readonly heldOutBytes: number;
  readonly heldOutPassages: number;
  readonly heldOut: readonly string[];
  readonly firstYear: number;
  readonly lastYear: number;
  /** Headings that samples begin with, spread over the years. */
  readonly prompts: readonly string[];
}
