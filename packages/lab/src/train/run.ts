// A training run from its settings: model, data, backend, first weights, the loop, and the trained model as a
// folder.
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type LoadModelOptions, UsageError } from '@marimba/engine';
import { readSpec } from '@marimba/engine/architecture';
import type { JsonObject } from '@marimba/engine/formats';
import { openCheckpointPath } from '@marimba/engine/node';
import { createBackend } from '@marimba/engine/plan';
import { writeWhole } from '../data/token-file.ts';
import { checkGguf, exportGguf } from '../export/gguf.ts';
import { exportHuggingFace } from '../export/huggingface.ts';
import { openCorpus } from './corpus.ts';
import { initialise } from './initialise.ts';
import { loadParameters } from './load-weights.ts';
import { specOfConfig } from './model-config.ts';
import type { RunConfig } from './run-config.ts';
import { TrainingRuntime } from './runtime.ts';
import { type TrainerResult, type TrainerSettings, train } from './trainer.ts';
import type { TrainingEvent } from './training-log.ts';

/** What a run reports, and the threads or backend that it uses. */
export interface RunHooks extends Pick<LoadModelOptions, 'backend' | 'threads' | 'variant'> {
  /** Called for every line of the log, and once at the start. */
  readonly onEvent?: ((event: TrainingEvent) => void) | undefined;
  /** Called with sentences for people: defaults that were taken, sizes of the texts, the exported form. */
  readonly onNote?: ((text: string) => void) | undefined;
  /**
   * Also writes model.gguf in the run's folder, for llama.cpp. Refused at once when no architecture fits.
   * Default false.
   */
  readonly gguf?: boolean | undefined;
  /** Stops after the running step and writes a checkpoint; the promise resolves with `finished: false`. */
  readonly signal?: AbortSignal | undefined;
}

/** How a run ended. */
export interface RunResult extends TrainerResult {
  /** Number of trained parameters. */
  readonly parameters: number;
  /** Folder of the trained model, once the run is finished. */
  readonly model: string | null;
}

/**
 * Trains a model as `config` says, or resumes where its folder says it stopped: then the weights come out as
 * if it had never stopped, bit for bit. Writes run.json, log.jsonl, checkpoints and, at the end, the model as
 * a Hugging Face folder. Throws UsageError for texts or sizes that do not fit, ModelError when the gradient
 * was not finite ten times in a row or `gguf` cannot hold the model, and FormatError for a checkpoint of
 * another run, damaged files or a full disk.
 */
export async function runTraining(config: RunConfig, hooks: RunHooks = {}): Promise<RunResult> {
  const first = specOfConfig('model', config.model);
  if (hooks.gguf) checkGguf(first.spec, '--gguf');
  if (first.defaults.size) {
    const taken = [...first.defaults].map(([field, value]) => `${field} ${value}`);
    hooks.onNote?.(`Not in the model's settings, so ${first.family.name}'s own: ${taken.join(', ')}.`);
  }
  const corpus = await openCorpus(config, first.spec.vocabularySize, hooks.onNote);
  const model: JsonObject = { ...config.model };
  if (model.eos_token_id === undefined) model.eos_token_id = corpus.endToken;
  if (model.bos_token_id === undefined) model.bos_token_id = corpus.endToken;
  const { spec } = specOfConfig('model', model);
  const { sequences, length, balanceLoss, recompute } = config;
  hooks.onNote?.(`${corpus.trainingTokens} tokens to train on, ${corpus.heldOutTokens} held out.`);
  const backend = await createBackend(hooks);
  const runtime = await TrainingRuntime.create(spec, backend, {
    maxTokens: sequences * length,
    balanceLoss,
    recompute,
    microBatches: config.accumulate,
  });
  try {
    await firstWeights(runtime, config);
    await mkdir(config.output, { recursive: true });
    await writeWhole(join(config.output, 'run.json'), `${JSON.stringify({ ...config, model }, null, 2)}\n`);
    const result = await train(runtime, {
      folder: config.output,
      identity: identityOf(config, corpus.hash),
      settings: trainerSettings(config),
      data: corpus.data,
      onEvent: hooks.onEvent,
      signal: hooks.signal,
    });
    const folder = result.finished ? join(config.output, 'model') : null;
    if (folder && hooks.gguf)
      await exportGguf(runtime.store, spec, join(config.output, 'model.gguf'), { text: corpus });
    if (folder) {
      const form = await exportHuggingFace(runtime.store, spec, model, folder, { text: corpus });
      if (!form.architecture)
        hooks.onNote?.(
          `Exported in this project's own form (model_type marimba), since no published family has these layers: ${form.reasons.join('; ')}.`,
        );
    }
    return { ...result, parameters: runtime.store.parameterCount, model: folder };
  } finally {
    await runtime.close();
  }
}

async function firstWeights(runtime: TrainingRuntime, config: RunConfig): Promise<void> {
  if (!config.initial) return initialise(runtime.store, runtime.spec, config.seed);
  const checkpoint = await openCheckpointPath(config.initial);
  try {
    if (checkpoint.kind !== 'huggingface')
      throw new UsageError(
        `${config.initial}: expected a Hugging Face folder to start from, found a GGUF file`,
      );
    await loadParameters(checkpoint, readSpec(checkpoint).family, runtime.spec, runtime.store);
  } finally {
    await checkpoint.close();
  }
}

/**
 * What may change when a run resumes: places, memory and how often it reports. Steps shape the learning rate.
 */
const CHANGEABLE: ReadonlySet<string> = new Set<keyof RunConfig>([
  'output',
  'texts',
  'heldOutTexts',
  'tokenizer',
  'evaluateEvery',
  'checkpointEvery',
  'heldOutTokens',
  'recompute',
]);

function identityOf(config: RunConfig, data: string): string {
  const fixed = Object.entries(config).filter(([field]) => !CHANGEABLE.has(field));
  return createHash('sha256')
    .update(JSON.stringify({ ...Object.fromEntries(fixed), data }))
    .digest('hex');
}

export const trainerSettings = (config: RunConfig): TrainerSettings => ({
  schedule: {
    kind: config.schedule,
    peak: config.learningRate,
    floor: config.floor,
    steps: config.steps,
    warmupSteps: config.warmupSteps,
    decayShare: config.decayShare,
  },
  optimizer: {
    beta1: config.beta1,
    beta2: config.beta2,
    epsilon: config.epsilon,
    weightDecay: config.weightDecay,
    maxNorm: config.clipNorm,
  },
  accumulate: config.accumulate,
  evaluateEvery: config.evaluateEvery,
  checkpointEvery: config.checkpointEvery,
});
