// A schema as a machine over bytes: a state is the set of threads that a text has led to.

import { DEFAULT_LIMITS, tooLarge } from '../limits.ts';
import { DEAD, type Lexeme, type Machine } from '../machine.ts';
import { Frames, type PropertyOrder } from './frames.ts';
import type { NumberSpelling } from './number-text.ts';
import type { ValueRule } from './rules.ts';
import { Stepper, type Whitespace } from './stepper.ts';
import { ANY_STRING_DFA } from './text-language.ts';
import { type Thread, ThreadPool } from './threads.ts';

export interface MachineOptions {
  readonly whitespace: Whitespace;
  readonly order: PropertyOrder;
  readonly numbers: NumberSpelling;
}

const UNKNOWN = -1;
/** Texts that were followed, the free keys among them one by one; some 150 bytes each. */
const MOST_STATES = 3_000_000;
/** Transitions of a state that are kept in a list, before a table for all bytes is worth its memory. */
const FEW = 4;

/** 1 for the bytes of JSON outside of strings. */
const STRUCTURAL = new Uint8Array(256);
for (const one of '{}[]:,"-+.eE0123456789truefalsenull \t\n\r') STRUCTURAL[one.charCodeAt(0)] = 1;

interface State {
  readonly threads: readonly Thread[];
  readonly ends: boolean;
  /** Whether a thread is inside of quotes: otherwise only a few bytes lead anywhere. */
  readonly isText: boolean;
  /** Byte and state, in turns; replaced by the table once there are more than a few. */
  few: number[];
  table: Int32Array | null;
  lexeme: Lexeme | null | undefined;
  twin: number | undefined;
}

export class JsonMachine implements Machine {
  readonly start: number;
  readonly #stepper: Stepper;
  readonly #states: State[] = [];
  readonly #byThreads = new Map<string | number, number>();

  /** The rule lives. */
  constructor(rule: ValueRule, { whitespace, order, numbers }: MachineOptions) {
    const threads = new ThreadPool();
    this.#stepper = new Stepper(new Frames(order), threads, whitespace, numbers);
    this.#intern([]);
    this.start = this.#intern([threads.intern({ kind: 'value', rule, frame: null })]);
  }

  step(state: number, byte: number): number {
    const from = this.#states[state];
    if (!from.isText && STRUCTURAL[byte] === 0) return DEAD;
    if (from.table !== null) {
      const next = from.table[byte];
      if (next !== UNKNOWN) return next;
    } else {
      for (let i = 0; i < from.few.length; i += 2) if (from.few[i] === byte) return from.few[i + 1];
    }
    const next = state === DEAD ? DEAD : this.#compute(from, byte);
    keep(from, byte, next);
    return next;
  }

  #compute({ threads }: State, byte: number): number {
    if (threads.length === 1) return this.#intern(this.#stepper.step(threads[0], byte));
    const next: Thread[] = [];
    for (const thread of threads) next.push(...this.#stepper.step(thread, byte));
    return this.#intern(next);
  }

  #intern(threads: readonly Thread[]): number {
    // Of most states most bytes lead nowhere.
    if (threads.length === 0 && this.#states.length > 0) return DEAD;
    if (threads.length > 1) threads = [...new Set(threads)].sort((a, b) => a.id - b.id);
    const key = threads.length === 1 ? threads[0].id : threads.map((thread) => thread.id).join();
    const known = this.#byThreads.get(key);
    if (known !== undefined) return known;
    if (this.#states.length >= MOST_STATES) throw tooLarge(DEFAULT_LIMITS, 'states', MOST_STATES);
    const ends = threads.some((thread) => this.#stepper.ends(thread));
    const isText = threads.some(({ kind }) => kind === 'text' || kind === 'key' || kind === 'word');
    this.#byThreads.set(key, this.#states.length);
    return (
      this.#states.push({ threads, ends, isText, few: [], table: null, lexeme: undefined, twin: undefined }) -
      1
    );
  }

  accepts(state: number): boolean {
    return this.#states[state].ends;
  }

  twin(state: number): number {
    const from = this.#states[state];
    if (from.twin === undefined) {
      const threads = from.threads.map((thread) => this.#stepper.forget(thread));
      from.twin = threads.every((thread, i) => thread === from.threads[i]) ? state : this.#intern(threads);
    }
    return from.twin;
  }

  lexeme(state: number): Lexeme | null {
    const from = this.#states[state];
    if (from.lexeme === undefined) from.lexeme = lexemeOf(from.threads, this.#stepper);
    return from.lexeme;
  }
}

function keep(from: State, byte: number, next: number): void {
  if (from.table === null && from.few.length < 2 * FEW) {
    from.few.push(byte, next);
    return;
  }
  if (from.table === null) {
    from.table = new Int32Array(256).fill(UNKNOWN);
    for (let i = 0; i < from.few.length; i += 2) from.table[from.few[i]] = from.few[i + 1];
    from.few = [];
  }
  from.table[byte] = next;
}

/**
 * Threads inside of strings are at the same place of the same string. Where one of them reads any text, the string may
 * go on in any way and only its end is in question, whatever the others read.
 */
function lexemeOf(threads: readonly Thread[], stepper: Stepper): Lexeme | null {
  for (const thread of threads) {
    if (thread.kind === 'text' && thread.dfa === ANY_STRING_DFA)
      return { dfa: thread.dfa, state: thread.state, isQuoted: true };
    if (thread.kind !== 'key') continue;
    const { classes } = thread.frame.rule;
    const free = thread.key.states.findIndex(
      (state, i) => state !== 0 && classes[i].language.kind === 'others',
    );
    if (free >= 0) return { dfa: ANY_STRING_DFA, state: thread.key.states[free], isQuoted: true };
  }
  const [only] = threads;
  if (threads.length !== 1) return null;
  if (only.kind === 'key') return stepper.keyLexeme(only);
  if (only.kind !== 'text' || only.except !== null) return null;
  return { dfa: only.dfa, state: only.state, isQuoted: true };
}
