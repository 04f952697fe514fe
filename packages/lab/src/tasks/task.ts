// What a synthetic task is: sequences made from a seed whose answers follow from a known rule. All are
// written for a model that predicts the next token: the answers stand in the sequence, and only they are
// scored. So the same examples train a model, test it in one pass, and can be asked of any engine.
//
// Token 0 is always padding and filler.
import { UsageError } from '@marimba/engine';
import type { Random } from '@marimba/engine/measure';

export const PAD = 0;

export const LEVELS = ['tiny', 'small', 'medium', 'large'] as const;
/** Ready-made sizes of a task, from smallest to largest. */
export type Level = (typeof LEVELS)[number];

export interface Example {
  readonly tokens: readonly number[];
  /** Indices in `tokens` of the answers: each is to be predicted from what stands before it. */
  readonly answers: readonly number[];
}

/** A task at one size. */
export interface TaskInstance {
  readonly name: string;
  /** Tokens are below this. */
  readonly vocabularySize: number;
  /** No example is longer. */
  readonly maxLength: number;
  /** Expected share of right answers of `guess`. */
  readonly chance: number;
  generate(random: Random): Example;
  /** What to train on, where that is more than the task itself (a habit that the task must overcome). */
  generateTraining?(random: Random): Example;
  /** The answer by the task's rule, from the tokens before it alone. */
  solve(prefix: readonly number[]): number;
  /** One who knows which kind of token comes next but not the rule. */
  guess(prefix: readonly number[], random: Random): number;
  /** Whether an answer, right or wrong, has the form that the task asks for. */
  wellFormed?(prefix: readonly number[], answer: number): boolean;
}

export interface Task {
  readonly name: string;
  readonly title: string;
  /** Paper and section. */
  readonly source: string;
  readonly sizes: Readonly<Record<Level, Readonly<Record<string, number>>>>;
  /**
   * A level, or a level's figures with some of them changed. Throws UsageError for figures that it does not
   * have.
   */
  at(size: TaskSize): TaskInstance;
}

/**
 * A level, or a level (default small) with some of its figures changed: `{ level: 'tiny', length: 96 }`. Each
 * task has figures of its own.
 */
export type TaskSize =
  | Level
  | ({ readonly level?: Level } & Readonly<Record<string, number | Level | undefined>>);

export interface TaskDefinition<S extends Record<string, number>> {
  readonly name: string;
  readonly title: string;
  readonly source: string;
  readonly sizes: Readonly<Record<Level, S>>;
  build(size: S): Omit<TaskInstance, 'name'>;
}

export function defineTask<S extends Record<string, number>>(definition: TaskDefinition<S>): Task {
  const { name, title, source, sizes } = definition;
  return {
    name,
    title,
    source,
    sizes,
    at(size) {
      const figures = readSize(name, sizes, size);
      return { name, ...definition.build(figures) };
    },
  };
}

function readSize<S extends Record<string, number>>(
  name: string,
  sizes: Readonly<Record<Level, S>>,
  size: TaskSize,
): S {
  const { level = 'small', ...changes } = typeof size === 'string' ? { level: size } : size;
  if (!LEVELS.includes(level))
    throw new UsageError(
      `task ${name}: level: expected one of ${LEVELS.join(', ')}, found ${JSON.stringify(level)}`,
    );
  const base = sizes[level];
  for (const [field, value] of Object.entries(changes)) {
    if (!Object.hasOwn(base, field))
      throw new UsageError(
        `task ${name}: size: expected only ${Object.keys(base).join(', ')}, found ${field}`,
      );
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
      throw new UsageError(
        `task ${name}: ${field}: expected a number of at least 0, found ${JSON.stringify(value)}`,
      );
  }
  return { ...base, ...changes } as S;
}

/** Hands out token numbers for the parts of a task's vocabulary, from 1 on. */
export class Tokens {
  #next = 1;

  one(): number {
    return this.#next++;
  }

  range(count: number): readonly number[] {
    return Array.from({ length: count }, () => this.#next++);
  }

  get count(): number {
    return this.#next;
  }
}

export const below = (random: Random, limit: number): number => Math.floor(random() * limit);

export const pick = <T>(random: Random, list: readonly T[]): T => list[below(random, list.length)]!;

/** `count` different entries in random order. */
export function sample<T>(random: Random, list: readonly T[], count: number): T[] {
  if (count > list.length)
    throw new UsageError(
      `task: expected at least ${count} tokens of a kind to choose from, found ${list.length}. Make that vocabulary larger.`,
    );
  const pool = [...list];
  for (let i = 0; i < count; i++) {
    const j = i + below(random, pool.length - i);
    [pool[i], pool[j]] = [pool[j]!, pool[i]!];
  }
  return pool.slice(0, count);
}

export const shuffle = <T>(random: Random, list: readonly T[]): T[] => sample(random, list, list.length);
