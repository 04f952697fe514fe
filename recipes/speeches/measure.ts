// Everything that the card states: held-out loss and bits per byte of all models, of the quantised one and of
// a trigram model over the same tokens, how far quantising moved the predictions, the training curves, and
// samples from fixed seeds.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { loadModel, type Model, type Tokenizer } from '@marimba/engine';
import { buildSuite, compareDistributions, evaluate, type TextSummary } from '@marimba/lab';
import type { ModelName } from './models.ts';
import type { Curve } from './plot.ts';
import { MODEL_FILE, type Recipe, type SplitFacts } from './recipe.ts';
import { Trigram } from './trigram.ts';

export interface Loss {
  readonly tokens: number;
  readonly bytes: number;
  /** Nats a token. */
  readonly loss: number;
  readonly bitsPerByte: number;
}

export interface Results {
  readonly parameters: Readonly<Record<ModelName, number>>;
  readonly trainingTokens: number;
  readonly tokensSeen: Readonly<Record<ModelName, number>>;
  readonly heldOut: Readonly<Record<ModelName | 'quantised' | 'trigram', Loss>>;
  /** The same of the excerpt that tests read. */
  readonly excerpt: Readonly<Record<'quantised' | 'trigram', Loss>>;
  readonly quantising: {
    readonly fileBytes: number;
    readonly positions: number;
    readonly meanDivergence: number;
    readonly topAgreement: number;
  };
  readonly curves: readonly Curve[];
  readonly samples: readonly { readonly seed: number; readonly prompt: string; readonly text: string }[];
}

/** As `marimba generate` samples where nothing else is asked for. */
const SAMPLING = { temperature: 0.7, topP: 0.95, maxTokens: 400 };
/** Longer than any passage: each is read from its start. */
const WINDOW = 4096;

export async function measure(recipe: Recipe, facts: SplitFacts): Promise<Results> {
  const { work, out, excerpt, models, say } = recipe;
  const names = Object.keys(models) as ModelName[];
  const heldOutFile = join(work, 'held-out.jsonl');
  const quantised = await loadModel(join(out, MODEL_FILE), {});
  try {
    const { tokenizer } = quantised;
    if (!tokenizer) throw new Error(`${MODEL_FILE}: expected a tokenizer in it, found none`);
    const training = encodeAll(join(work, 'training.jsonl'), tokenizer);
    say('Counting trigrams …');
    const trigram = new Trigram(training, tokenizer.vocabularySize);
    const losses: Partial<Record<ModelName, Loss>> = {};
    const parameters: Partial<Record<ModelName, number>> = {};
    let quantising: Results['quantising'] | null = null;
    for (const name of names) {
      const model = await loadModel(join(work, name, 'model'), {});
      try {
        parameters[name] = model.describe().parameters;
        losses[name] = await lossOf(model, heldOutFile);
        say(`${models[name].title}: ${losses[name].bitsPerByte.toFixed(4)} bits per byte`);
        if (name === 'bundled') quantising = await damage(model, quantised, join(out, MODEL_FILE), excerpt);
      } finally {
        await model.close();
      }
    }
    return {
      parameters: record(names, (name) => parameters[name]!),
      trainingTokens: training.reduce((sum, tokens) => sum + tokens.length, 0),
      tokensSeen: record(names, (name) => curveOf(work, name, '').points.at(-1)!.tokens),
      heldOut: {
        ...record(names, (name) => losses[name]!),
        quantised: await lossOf(quantised, heldOutFile),
        trigram: trigramLoss(trigram, heldOutFile, tokenizer),
      },
      excerpt: {
        quantised: await lossOf(quantised, excerpt),
        trigram: trigramLoss(trigram, excerpt, tokenizer),
      },
      quantising: quantising!,
      curves: names.map((name) => curveOf(work, name, models[name].title)),
      samples: await samplesOf(quantised, facts.prompts),
    };
  } finally {
    await quantised.close();
  }
}

const record = <T>(names: readonly ModelName[], of: (name: ModelName) => T): Record<ModelName, T> =>
  Object.fromEntries(names.map((name) => [name, of(name)])) as Record<ModelName, T>;

const textsOf = (file: string): string[] =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { text: string }).text);

const encodeAll = (file: string, tokenizer: Tokenizer): number[][] =>
  textsOf(file).map((text) => [...tokenizer.encode(text, { addBos: false })]);

/** All tokens of each passage but the first, which nothing precedes. */
async function lossOf(model: Model, file: string): Promise<Loss> {
  const suite = await buildSuite(`perplexity:${file}`, model, { seed: 0, window: WINDOW });
  const evaluation = await evaluate(model, [suite], { out: null, batch: 16 });
  const { tokens, bytes, loss, bitsPerByte }: TextSummary = evaluation.suites[0]!.summary.text!;
  return { tokens, bytes, loss, bitsPerByte };
}

/** The same tokens, predicted by the trigram model. */
export function trigramLoss(trigram: Trigram, file: string, tokenizer: Tokenizer): Loss {
  let [nats, tokens, bytes] = [0, 0, 0];
  for (const document of encodeAll(file, tokenizer)) {
    nats += trigram.loss(document, 1);
    tokens += document.length - 1;
    bytes += document.slice(1).reduce((sum, token) => sum + tokenizer.tokenBytes(token).length, 0);
  }
  return { tokens, bytes, loss: nats / tokens, bitsPerByte: nats / Math.LN2 / bytes };
}

async function damage(
  original: Model,
  quantised: Model,
  file: string,
  excerpt: string,
): Promise<Results['quantising']> {
  const sequences = encodeAll(excerpt, quantised.tokenizer!);
  const report = await compareDistributions(original, quantised, { sequences });
  return {
    fileBytes: statSync(file).size,
    positions: report.positions,
    meanDivergence: report.meanDivergence,
    topAgreement: report.topAgreement.value,
  };
}

/** From the run's own record. */
function curveOf(work: string, name: ModelName, title: string): Curve {
  const events = readFileSync(join(work, name, 'log.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; step: number; tokens?: number; bitsPerByte?: number });
  let tokens = 0;
  const points: { tokens: number; bitsPerByte: number }[] = [];
  for (const event of events) {
    if (event.kind === 'step') tokens += event.tokens ?? 0;
    else if (event.kind === 'heldOut' && event.bitsPerByte !== undefined)
      points.push({ tokens, bitsPerByte: event.bitsPerByte });
  }
  return { title, points };
}

async function samplesOf(model: Model, prompts: readonly string[]): Promise<Results['samples']> {
  const samples: { seed: number; prompt: string; text: string }[] = [];
  for (const [i, prompt] of prompts.entries()) {
    const session = model.createSession();
    const { text } = await session.complete(prompt, { ...SAMPLING, seed: i + 1 });
    samples.push({ seed: i + 1, prompt, text });
    session.close();
  }
  return samples;
}
