// Long-context tests in plain text, made to a length in the model's own tokens: a number hidden among
// sentences that say nothing (needle), and chains of variable assignments strewn among them (variable
// tracking). Sources: Kamradt 2023 (LLMTest_NeedleInAHaystack); Hsieh et al. 2024, RULER, sections 3.1 and
// 3.2. Sentences and wording are our own.
import { type Tokenizer, UsageError } from '@marimba/engine';
import { createRandom, type Random } from '@marimba/engine/measure';
import { below, pick, sample } from '../tasks/task.ts';
import type { FreeItem, Suite, SuiteOptions, SuiteTarget } from './items.ts';

const DEFAULT_LENGTHS = [256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144];
/**
 * Without asking for more, nothing longer than this is tried: a long haystack takes minutes to read on a CPU.
 */
const DEFAULT_LONGEST = 4096;

const SUBJECTS = [
  'The harbour',
  'A small boat',
  'The old mill',
  'The morning train',
  'A grey cat',
  'The market square',
  'The northern road',
  'A row of poplars',
];
const PREDICATES = [
  'was quiet that day',
  'stood in the rain',
  'could be seen from the hill',
  'looked the same as ever',
  'lay in the evening light',
  'was further away than it seemed',
  'belonged to nobody',
  'had been there for years',
];
const CITIES = [
  'Lisbon',
  'Oslo',
  'Cairo',
  'Lima',
  'Kyoto',
  'Quebec',
  'Nairobi',
  'Tallinn',
  'Hanoi',
  'Porto',
  'Dakar',
  'Riga',
  'Perth',
  'Izmir',
  'Bergen',
  'Cusco',
];
const HOPS = 4;

const filler = (random: Random): string => `${pick(random, SUBJECTS)} ${pick(random, PREDICATES)}.`;

export function needleSuite(target: SuiteTarget, options: SuiteOptions): Suite {
  return longSuite('text-needle', 'Needle in a haystack, in text', target, options, (random, fill, depth) => {
    const [city = '', other = ''] = sample(random, CITIES, 2);
    const number = (): string => `${1_000_000 + below(random, 9_000_000)}`;
    const [answer, distractor] = [number(), number()];
    const sentences = fill(depth, [
      `The secret number of ${city} is ${answer}.`,
      `The secret number of ${other} is ${distractor}.`,
    ]);
    const prompt = `Somewhere in this text a secret number is given. Remember it.\n\n${sentences}\n\nQuestion: What is the secret number of ${city}?\nAnswer: The secret number of ${city} is`;
    return { prompt, answers: [answer], maxTokens: 16 };
  });
}

export function variablesSuite(target: SuiteTarget, options: SuiteOptions): Suite {
  return longSuite('text-variables', 'Variable tracking, in text', target, options, (random, fill, depth) => {
    const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
    const used = new Set<string>();
    while (used.size < 2 * (HOPS + 1))
      used.add(Array.from({ length: 5 }, () => pick(random, letters)).join(''));
    const names = [...used];
    const chain = (list: readonly string[], value: string) =>
      list.map((name, i) => `VAR ${name} = ${i === 0 ? value : list[i - 1]}.`);
    const [value, otherValue] = sample(
      random,
      Array.from({ length: 90_000 }, (_, i) => `${10_000 + i}`),
      2,
    ) as [string, string];
    const asked = names.slice(0, HOPS + 1);
    const sentences = fill(depth, [...chain(asked, value), ...chain(names.slice(HOPS + 1), otherValue)]);
    const prompt = `Variables are set somewhere in this text. Keep track of their values.\n\n${sentences}\n\nQuestion: Which variables hold the value ${value}?\nAnswer: The ${asked.length} variables that hold the value ${value} are`;
    return { prompt, answers: asked, maxTokens: 60 };
  });
}

/** Strews sentences, in their order, over filler; the first at `depth` of the whole (0 start, 1 end). */
type Fill = (depth: number, sentences: readonly string[]) => string;
type Compose = (
  random: Random,
  fill: Fill,
  depth: number,
) => Pick<FreeItem, 'prompt' | 'answers' | 'maxTokens'>;

function longSuite(
  name: string,
  title: string,
  target: SuiteTarget,
  options: SuiteOptions,
  compose: Compose,
): Suite {
  const { tokenizer } = target;
  if (!tokenizer)
    throw new UsageError(`task ${name}: expected a model with a tokenizer, found none in ${target.name}`);
  const lengths =
    options.lengths ?? DEFAULT_LENGTHS.filter((l) => l <= Math.min(target.contextLength, DEFAULT_LONGEST));
  const tooLong = lengths.find((l) => l > target.contextLength);
  if (tooLong !== undefined)
    throw new UsageError(
      `task ${name}: lengths: expected at most the context of ${target.name}, ${target.contextLength} tokens, found ${tooLong}`,
    );
  const count = options.items ?? 10;
  const items = lengths.flatMap((length) =>
    Array.from({ length: count }, (_, i): FreeItem => {
      const depth = count === 1 ? 0.5 : i / (count - 1);
      const make = (sentences: number) => {
        const random = createRandom(((options.seed ?? 0) * 1_000 + i) * 2 ** 20 + length);
        return compose(random, (at, placed) => strew(random, sentences, at, placed), depth);
      };
      return {
        kind: 'free',
        id: `${length}-${options.seed ?? 0}-${i}`,
        group: `${length}`,
        match: 'all',
        ...fit(make, tokenizer, length, name),
      };
    }),
  );
  return { name, title, source: 'Kamradt 2023; Hsieh et al. 2024 (RULER)', chance: 0, lengths, items };
}

function strew(random: Random, count: number, depth: number, placed: readonly string[]): string {
  const sentences = Array.from({ length: count }, () => filler(random));
  const first = Math.round(depth * count);
  // The first at its depth, the others after it, in order, wherever there is room.
  const places = [
    first,
    ...placed
      .slice(1)
      .map(() => first + below(random, count - first + 1))
      .sort((a, b) => a - b),
  ];
  const out: string[] = [];
  for (let i = 0, next = 0; i <= count; i++) {
    while (places[next] === i) out.push(placed[next++]!);
    if (i < count) out.push(sentences[i]!);
  }
  return out.join(' ');
}

/** The most filler with which the prompt and room for its answer stay within `length` tokens. */
function fit<T extends { prompt: string; maxTokens: number }>(
  make: (sentences: number) => T,
  tokenizer: Tokenizer,
  length: number,
  name: string,
): T {
  const tokens = (item: T) => tokenizer.encode(item.prompt).length + item.maxTokens;
  const fits = (item: T) => tokens(item) <= length;
  let best = make(0);
  const least = tokens(best);
  if (least > length)
    throw new UsageError(
      `task ${name}: lengths: expected at least ${least} tokens for this tokenizer, found ${length}`,
    );
  // Sentences are of much the same length: the search starts close to where it ends.
  const probe = 32;
  const guess = (length - least) / ((tokens(make(probe)) - least) / probe);
  let low = 0;
  let high = Math.ceil(guess * 1.2) + 2;
  const start = make(Math.floor(guess * 0.9));
  if (fits(start)) {
    low = Math.floor(guess * 0.9);
    best = start;
  }
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const item = make(middle);
    if (fits(item)) {
      low = middle;
      best = item;
    } else high = middle - 1;
  }
  return best;
}
