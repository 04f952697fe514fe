// Questions from a JSONL file in the form that most benchmark files have:
//   {"question": "…", "choices": ["…", "…"], "answer": 1}     multiple choice; the answer as index, letter or text
//   {"question": "…", "answer": "…"}                          free answer; a list of accepted ones is fine too
// Optional: "context" (put in front), "id". With `shots` the first lines become worked examples and are not asked.
import { FormatError, UsageError } from '@marimba/engine';
import { decodeUtf8, splitLines } from '../data/documents.ts';
import type { EvalItem, Suite, SuiteOptions, SuiteTarget } from './items.ts';

const MAX_ANSWER_TOKENS = 48;

interface Question {
  readonly id: string;
  readonly prompt: string;
  /** Null for a free answer. */
  readonly choices: readonly string[] | null;
  readonly answer: number;
  readonly accepted: readonly string[];
}

export async function questionSuite(
  file: string,
  target: SuiteTarget,
  options: SuiteOptions,
): Promise<Suite> {
  if (!target.tokenizer)
    throw new UsageError(`task questions: expected a model with a tokenizer, found none in ${target.name}`);
  const questions: Question[] = [];
  let number = 0;
  for await (const bytes of splitLines(file)) {
    number++;
    const name = `${file}:${number}`;
    const line = decodeUtf8(bytes, name);
    if (line.trim() !== '') questions.push(readQuestion(line, name, number));
  }
  const shots = options.shots ?? 0;
  const asked = questions.slice(shots, options.items === undefined ? undefined : shots + options.items);
  if (!asked.length)
    throw new FormatError(`${file}: expected at least ${shots + 1} questions, found ${questions.length}`);
  const duplicate = asked.find((q, i) => asked.findIndex((other) => other.id === q.id) !== i);
  if (duplicate)
    throw new FormatError(
      `${file}: id: expected different ones, found ${JSON.stringify(duplicate.id)} twice`,
    );
  const worked = questions
    .slice(0, shots)
    .map((q) => `${q.prompt} ${q.choices ? q.choices[q.answer] : q.accepted[0]}\n\n`)
    .join('');
  const items = asked.map((q) => toItem(q, worked));
  const chances = asked.map((q) => (q.choices ? 1 / q.choices.length : 0));
  return {
    name: `questions:${file}`,
    title: 'Questions',
    source: file,
    chance: chances.reduce((sum, c) => sum + c, 0) / chances.length,
    items,
  };
}

function toItem({ id, prompt, choices, answer, accepted }: Question, worked: string): EvalItem {
  if (choices)
    return {
      kind: 'choice',
      id,
      group: 'choices',
      prompt: worked + prompt,
      choices: choices.map((c) => ` ${c}`),
      answer,
    };
  return {
    kind: 'free',
    id,
    group: 'free',
    prompt: worked + prompt,
    answers: accepted,
    match: 'any',
    maxTokens: MAX_ANSWER_TOKENS,
  };
}

function readQuestion(line: string, name: string, number: number): Question {
  const fail = (field: string, expected: string, found: unknown): never => {
    throw new FormatError(
      `${name}: ${field}: expected ${expected}, found ${JSON.stringify(found)?.slice(0, 80) ?? 'nothing'}`,
    );
  };
  let value: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
      fail('line', 'an object', parsed);
    value = parsed as Record<string, unknown>;
  } catch (error) {
    if (error instanceof FormatError) throw error;
    fail('line', 'one JSON object a line', line.slice(0, 60));
  }
  const { question, choices, answer, context } = value;
  if (typeof question !== 'string' || question === '') return fail('question', 'a text', question);
  if (context !== undefined && typeof context !== 'string') fail('context', 'a text', context);
  const id = value.id === undefined ? `${number}` : `${value.id}`;
  const prompt = `${context === undefined ? '' : `${context}\n\n`}Question: ${question}\nAnswer:`;
  if (choices === undefined) {
    const accepted =
      typeof answer === 'string'
        ? [answer]
        : Array.isArray(answer) && answer.length && answer.every((a): a is string => typeof a === 'string')
          ? answer
          : fail('answer', 'a text or a list of texts', answer);
    return { id, prompt, choices: null, answer: 0, accepted };
  }
  if (
    !Array.isArray(choices) ||
    choices.length < 2 ||
    !choices.every((c): c is string => typeof c === 'string' && c !== '')
  )
    return fail('choices', 'a list of at least two texts', choices);
  return {
    id,
    prompt,
    choices,
    answer:
      answerIndex(answer, choices) ??
      fail('answer', `an index below ${choices.length}, a letter, or one of the choices`, answer),
    accepted: [],
  };
}

function answerIndex(answer: unknown, choices: readonly string[]): number | null {
  if (typeof answer === 'number')
    return Number.isInteger(answer) && answer >= 0 && answer < choices.length ? answer : null;
  if (typeof answer !== 'string') return null;
  const index = choices.indexOf(answer);
  if (index >= 0) return index;
  const letter = /^[A-Za-z]$/.test(answer) ? answer.toUpperCase().charCodeAt(0) - 65 : -1;
  return letter >= 0 && letter < choices.length ? letter : null;
}
