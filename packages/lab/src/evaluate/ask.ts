// How a model is asked, several items at a time: all sessions of a batch share each pass over the weights.
// Results do not depend on what else is in the batch (the engine's promise), so neither does an evaluation on
// its batch size.
import type { Model, Session } from '@marimba/engine';
import type { ChoiceItem, FreeItem, Outcome, SequenceItem, TextItem } from './items.ts';
import { likeliest, logSumExp } from './probabilities.ts';

/** How a model is asked. */
export interface AskOptions {
  /**
   * Puts prompts of free answers into the model's chat template, where it has one; answers may then have
   * several lines. Default false.
   */
  readonly chat?: boolean | undefined;
  /** Stops before the next pass; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Tokens whose logits are asked for at once, of all sessions together: bounds memory (65,536 logits per token
 * are 256 KiB).
 */
const LOGIT_ROWS = 64;
const SHOWN_CHARACTERS = 400;

interface Scored {
  /** Log-likelihood of each asked position's token, and the likeliest token there. */
  readonly logLikelihoods: Map<number, number>;
  readonly predictions: Map<number, number>;
}

/** Log-likelihoods of tokens in the middle of sequences. `asked`: the positions to score, each at least 1. */
async function scorePositions(
  model: Model,
  list: readonly { tokens: readonly number[]; asked: readonly number[] }[],
  options: AskOptions,
): Promise<Scored[]> {
  const v = model.vocabularySize;
  const scored = list.map((): Scored => ({ logLikelihoods: new Map(), predictions: new Map() }));
  const sessions = list.map(() => model.createSession());
  const wanted = list.map(({ asked }) => new Set(asked));
  const chunk = Math.max(1, Math.floor(LOGIT_ROWS / list.length));
  try {
    const longest = Math.max(...list.map(({ asked }) => Math.max(0, ...asked)));
    for (let from = 0; from < longest; from += chunk) {
      // The last token asked for is never read: nothing depends on it.
      const parts = list.flatMap(({ tokens, asked }, i) => {
        const part = tokens.slice(from, Math.min(from + chunk, Math.max(0, ...asked)));
        const wants = part.some((_, k) => wanted[i]!.has(from + k + 1));
        return part.length
          ? [{ i, session: sessions[i]!, tokens: part, logits: wants ? ('all' as const) : ('none' as const) }]
          : [];
      });
      const results = await model.step(parts, { signal: options.signal });
      parts.forEach(({ i, tokens }, p) => {
        const { logits } = results[p]!;
        if (!logits) return;
        tokens.forEach((_, k) => {
          const position = from + k + 1;
          if (!wanted[i]!.has(position)) return;
          const target = list[i]!.tokens[position]!;
          scored[i]!.logLikelihoods.set(position, logits[k * v + target]! - logSumExp(logits, k * v, v));
          scored[i]!.predictions.set(position, likeliest(logits, k * v, v));
        });
      });
    }
    return scored;
  } finally {
    closeAll(sessions);
  }
}

export async function askSequences(
  model: Model,
  items: readonly SequenceItem[],
  options: AskOptions,
): Promise<Outcome[]> {
  const scored = await scorePositions(
    model,
    items.map(({ tokens, answers }) => ({ tokens, asked: answers })),
    options,
  );
  return items.map(({ id, group, tokens, answers }, i) => {
    const said = answers.map((a) => scored[i]!.predictions.get(a)!);
    const expected = answers.map((a) => tokens[a]!);
    const right = said.filter((token, k) => token === expected[k]).length;
    return {
      id,
      ...groupOf(group),
      correct: right === answers.length,
      score: right / answers.length,
      right,
      scored: answers.length,
      said,
      expected,
    };
  });
}

export async function askTexts(
  model: Model,
  items: readonly TextItem[],
  options: AskOptions,
): Promise<Outcome[]> {
  const list = items.map(({ tokens, scoredFrom }) => ({
    tokens,
    asked: Array.from({ length: tokens.length - scoredFrom }, (_, k) => scoredFrom + k),
  }));
  const scored = await scorePositions(model, list, options);
  return items.map(({ id, group, byteLength }, i) => {
    const likelihoods = [...scored[i]!.logLikelihoods.values()];
    const loss = -likelihoods.reduce((sum, l) => sum + l, 0);
    return {
      id,
      ...groupOf(group),
      correct: null,
      score: -loss / likelihoods.length,
      loss,
      tokens: likelihoods.length,
      bytes: byteLength,
    };
  });
}

/**
 * Which continuation is likeliest, by its log-likelihood divided by its length in bytes (as
 * lm-evaluation-harness's acc_norm), and without that (acc).
 */
export async function askChoices(
  model: Model,
  items: readonly ChoiceItem[],
  options: AskOptions,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const item of items) {
    const sequences = item.choices.map((choice) => continuation(model, item.prompt, choice));
    const scored = await scorePositions(model, sequences, options);
    const sums = scored.map((s) => [...s.logLikelihoods.values()].reduce((sum, l) => sum + l, 0));
    const normalised = sums.map((sum, c) => sum / Buffer.byteLength(item.choices[c]!));
    const chosen = normalised.indexOf(Math.max(...normalised));
    const correct = chosen === item.answer;
    outcomes.push({
      id: item.id,
      ...groupOf(item.group),
      correct,
      score: correct ? 1 : 0,
      correctUnnormalised: sums.indexOf(Math.max(...sums)) === item.answer,
      asked: item.prompt.slice(-SHOWN_CHARACTERS),
      said: item.choices[chosen]!,
      expected: item.choices[item.answer]!,
      logLikelihoods: sums,
    });
  }
  return outcomes;
}

/** Prompt and choice tokenized as one text; what differs from the prompt alone is the choice. */
function continuation(model: Model, prompt: string, choice: string): { tokens: number[]; asked: number[] } {
  const before = model.encode(prompt);
  const tokens = model.encode(prompt + choice);
  let common = 0;
  while (common < before.length && common < tokens.length - 1 && before[common] === tokens[common]) common++;
  const first = Math.max(1, common);
  return { tokens, asked: Array.from({ length: tokens.length - first }, (_, k) => first + k) };
}

/** Greedy answers, to the end of the line, the end token, or the limit. */
export async function askFree(
  model: Model,
  items: readonly FreeItem[],
  options: AskOptions,
): Promise<Outcome[]> {
  const sessions = items.map(() => model.createSession());
  try {
    const prompts = items.map(({ prompt }) => promptTokens(model, prompt, options.chat ?? false));
    const writing = items.map((item, i) => ({
      item,
      session: sessions[i]!,
      tokens: [] as number[],
      text: '',
      done: false,
    }));
    let requests = writing.map((w, i) => ({ w, session: w.session, tokens: prompts[i]! }));
    while (requests.length) {
      const results = await model.step(requests, { signal: options.signal });
      requests.forEach(({ w }, r) =>
        advance(model, w, likeliest(results[r]!.logits!, 0, model.vocabularySize), options.chat ?? false),
      );
      requests = writing.flatMap((w) =>
        w.done ? [] : [{ w, session: w.session, tokens: [w.tokens.at(-1)!] }],
      );
    }
    return writing.map(({ item, text }) => freeOutcome(item, text));
  } finally {
    closeAll(sessions);
  }
}

interface Writing {
  readonly item: FreeItem;
  readonly tokens: number[];
  text: string;
  done: boolean;
}

function advance(model: Model, w: Writing, token: number, chat: boolean): void {
  if (model.endTokens.includes(token)) {
    w.done = true;
    return;
  }
  w.tokens.push(token);
  w.text = model.tokenizer?.decode(w.tokens, { skipSpecial: true }) ?? '';
  // Outside a chat an answer is one line: what follows is usually the next question, made up.
  const line = chat ? -1 : w.text.trimStart().indexOf('\n');
  if (line >= 0) w.text = w.text.trimStart().slice(0, line);
  w.done = line >= 0 || w.tokens.length >= w.item.maxTokens;
}

function promptTokens(model: Model, prompt: string, chat: boolean): readonly number[] {
  if (!chat || !model.chatTemplate || !model.tokenizer) return model.encode(prompt);
  return model.chatTemplate.encode([{ role: 'user', content: prompt }], model.tokenizer, {
    addGenerationPrompt: true,
  }).tokens;
}

function freeOutcome(item: FreeItem, said: string): Outcome {
  const { id, group, answers, match, prompt } = item;
  const text = normalise(said);
  const found = answers.filter((a) =>
    match === 'all' ? ` ${text} `.includes(` ${normalise(a)} `) : text === normalise(a),
  );
  const right = match === 'all' ? found.length : Math.min(1, found.length);
  const scored = match === 'all' ? answers.length : 1;
  return {
    id,
    ...groupOf(group),
    correct: right === scored,
    score: right / scored,
    right,
    scored,
    asked: prompt.slice(-SHOWN_CHARACTERS),
    said,
    expected: answers.join(' | '),
  };
}

/** Case, punctuation, articles and spaces aside, as SQuAD's exact match does (Rajpurkar et al. 2016). */
export const normalise = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, ' ')
    .replace(/\b(a|an|the)\b/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();

const groupOf = (group: string | undefined) => (group === undefined ? {} : { group });

function closeAll(sessions: readonly Session[]): void {
  for (const session of sessions) session.close();
}
