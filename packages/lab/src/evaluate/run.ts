// Runs suites on a model. Every outcome is appended to a transcript as soon as its batch is done; a run that
// is stopped resumes where it stopped. A folder belongs to one model: its fingerprint is in run.json, and
// another model is refused.
import { appendFile, mkdir, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { type Model, UsageError } from '@marimba/engine';
import { diskError, hashText, writeWhole } from '../data/token-file.ts';
import { type AskOptions, askChoices, askFree, askSequences, askTexts } from './ask.ts';
import type { ChoiceItem, EvalItem, FreeItem, Outcome, SequenceItem, Suite, TextItem } from './items.ts';
import { type SuiteSummary, summariseSuite } from './summary.ts';

/** How suites are run and where their transcripts go. */
export interface EvaluateOptions extends AskOptions {
  /** Where transcripts are kept; null: nowhere. */
  readonly out: string | null;
  /** Items asked at a time. Default 8. */
  readonly batch?: number | undefined;
  /** How the model was loaded, when that changes its answers: "q4_K". */
  readonly variant?: string | undefined;
  /**
   * Called as a suite begins and after every batch, with the suite's items done (those of earlier runs
   * included), their total, and the suite's name.
   */
  readonly onProgress?: ((done: number, total: number, suite: string) => void) | undefined;
}

/** All suites of one model. */
export interface Evaluation {
  /** The model's name. */
  readonly model: string;
  /** Identifies the weights, `variant` and `chat`; a transcript is resumed only with the same one. */
  readonly fingerprint: string;
  /** In the order in which they were given. */
  readonly suites: readonly SuiteEvaluation[];
}

/** One suite's answers and their sums. */
export interface SuiteEvaluation {
  /** The suite that was asked. */
  readonly suite: Suite;
  /** One per item, in the order of the items. */
  readonly outcomes: readonly Outcome[];
  /** Shares and losses, with intervals. */
  readonly summary: SuiteSummary;
  /** Outcomes that an earlier run had left. */
  readonly resumed: number;
}

/**
 * Asks a model every item of the suites, and appends each outcome to its transcript in `out` as soon as its
 * batch is done; a later call resumes there. The batch size changes the speed only, not the answers. Throws
 * UsageError when the folder holds an evaluation of another model, FormatError when the disk is full or not
 * writable, and the signal's reason when stopped.
 */
export async function evaluate(
  model: Model,
  suites: readonly Suite[],
  options: EvaluateOptions,
): Promise<Evaluation> {
  const fingerprint = `${model.fingerprint} ${options.variant ?? ''}${options.chat ? ' chat' : ''}`.trim();
  if (options.out) await claimFolder(options.out, model.name, fingerprint);
  const done: SuiteEvaluation[] = [];
  for (const suite of suites) done.push(await runSuite(model, suite, options));
  if (options.out) {
    const summary = { model: model.name, fingerprint, suites: done.map((d) => d.summary) };
    await writeWhole(join(options.out, 'summary.json'), `${JSON.stringify(summary, null, 1)}\n`);
  }
  return { model: model.name, fingerprint, suites: done };
}

async function claimFolder(folder: string, name: string, fingerprint: string): Promise<void> {
  const path = join(folder, 'run.json');
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw diskError(folder, error);
  }
  const known = await readFile(path, 'utf8')
    .then((text): unknown => JSON.parse(text))
    .catch(() => null);
  const owner =
    typeof known === 'object' && known !== null && 'fingerprint' in known ? known.fingerprint : fingerprint;
  if (owner !== fingerprint)
    throw new UsageError(
      `${folder}: expected an evaluation of ${name}, found one of another model. Give another --out folder.`,
    );
  await writeWhole(path, `${JSON.stringify({ model: name, fingerprint })}\n`);
}

async function runSuite(model: Model, suite: Suite, options: EvaluateOptions): Promise<SuiteEvaluation> {
  const path = options.out ? join(options.out, `${transcriptName(suite)}.jsonl`) : null;
  const outcomes = path ? await readTranscript(path, suite) : new Map<string, Outcome>();
  const resumed = outcomes.size;
  const waiting = suite.items.filter((item) => !outcomes.has(item.id));
  options.onProgress?.(outcomes.size, suite.items.length, suite.name);
  for (const batch of batchesOf(waiting, options.batch ?? 8)) {
    options.signal?.throwIfAborted();
    const some = await ask(model, batch, options);
    for (const outcome of some) outcomes.set(outcome.id, outcome);
    if (path) await append(path, some);
    options.onProgress?.(outcomes.size, suite.items.length, suite.name);
  }
  const ordered = suite.items.map((item) => outcomes.get(item.id)!);
  return { suite, outcomes: ordered, summary: summariseSuite(suite, ordered), resumed };
}

/** Items of one kind side by side. */
function* batchesOf(items: readonly EvalItem[], size: number): Generator<readonly EvalItem[]> {
  for (let from = 0; from < items.length; ) {
    let to = from + 1;
    while (to < items.length && to - from < size && items[to]!.kind === items[from]!.kind) to++;
    yield items.slice(from, to);
    from = to;
  }
}

function ask(model: Model, items: readonly EvalItem[], options: AskOptions): Promise<Outcome[]> {
  const { kind } = items[0]!;
  switch (kind) {
    case 'choice':
      return askChoices(model, items as readonly ChoiceItem[], options);
    case 'free':
      return askFree(model, items as readonly FreeItem[], options);
    case 'sequence':
      return askSequences(model, items as readonly SequenceItem[], options);
    case 'text':
      return askTexts(model, items as readonly TextItem[], options);
    default:
      return kind satisfies never;
  }
}

/** Of the suite's content: a changed file or seed starts a transcript of its own. */
function transcriptName(suite: Suite): string {
  const content = hashText(JSON.stringify(suite.items)).slice(0, 8);
  return `${suite.name.replace(/[^\w.-]+/g, '-').slice(-80)}-${content}`;
}

async function readTranscript(path: string, suite: Suite): Promise<Map<string, Outcome>> {
  const bytes = await readFile(path).catch(() => Buffer.alloc(0));
  const whole = bytes.lastIndexOf(10) + 1;
  if (whole < bytes.length) await truncate(path, whole);
  const ids = new Set(suite.items.map((item) => item.id));
  const outcomes = new Map<string, Outcome>();
  for (const line of bytes.subarray(0, whole).toString('utf8').split('\n')) {
    if (line === '') continue;
    const outcome = parseOutcome(line);
    if (outcome && ids.has(outcome.id)) outcomes.set(outcome.id, outcome);
  }
  return outcomes;
}

/** Null for a line that is none: its item is asked again. */
function parseOutcome(line: string): Outcome | null {
  try {
    const value = JSON.parse(line) as Partial<Outcome> | null;
    return typeof value?.id === 'string' && typeof value.score === 'number' && value.correct !== undefined
      ? (value as Outcome)
      : null;
  } catch {
    return null;
  }
}

async function append(path: string, outcomes: readonly Outcome[]): Promise<void> {
  try {
    await appendFile(path, outcomes.map((o) => `${JSON.stringify(o)}\n`).join(''));
  } catch (error) {
    throw diskError(path, error);
  }
}
