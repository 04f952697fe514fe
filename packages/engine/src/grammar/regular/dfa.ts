// A regular language as an automaton that is built where texts go: a state is a term, its row the derivatives
// of each byte class. States without a way to acceptance are DEAD from the start, so whoever follows live
// states never meets a dead end.

import { GrammarError } from '../../errors.ts';
import { DEFAULT_LIMITS, type GrammarLimits, tooLarge, withinStack } from '../limits.ts';
import type { Regular } from './regular.ts';
import { ALL_TERM, EMPTY_TERM, type Term, Terms } from './terms.ts';

const DEAD = 0;
const UNKNOWN = -1;
/** States of one level of `allowsAny`. */
const MOST_ALIKE = 32;
/** Places of one search for a text: about a second of work. */
const MOST_SEARCHED = 100_000;

export class Dfa {
  /** The state of the first language; DEAD (0) where it holds no text. */
  readonly start: number;
  /** The states in which each of the languages starts. */
  readonly starts: readonly number[];
  /** The class of each byte: bytes of one class lead to the same state everywhere. */
  readonly classOf: Uint8Array;
  readonly classCount: number;
  readonly #terms: Terms;
  readonly #limits: GrammarLimits;
  /** State → its term; term → its state. State 0 is DEAD, whose term is nothing. */
  readonly #termOf: Term[] = [0];
  readonly #stateOf = new Map<Term, number>([[0, DEAD]]);
  /** Terms that are known to hold a text, or none. */
  readonly #alive = new Map<Term, boolean>();
  readonly #calls = new Map<number, readonly (readonly [rule: number, after: number])[]>();
  readonly #hasCalls: boolean;
  readonly #exits: (boolean | undefined)[] = [];
  /** State × class → state, or UNKNOWN. */
  #rows = new Int32Array(0);

  /**
   * An automaton for one language, or for several that share its states. Throws GrammarError where the bounds
   * do not do; also later, when a text leads to more states than they allow.
   */
  constructor(languages: Regular | readonly Regular[], limits: GrammarLimits = DEFAULT_LIMITS) {
    const trees: readonly Regular[] = 'kind' in languages ? [languages] : languages;
    this.#limits = limits;
    this.#terms = new Terms(trees, limits);
    this.classOf = this.#terms.classOf;
    this.classCount = this.#terms.classCount;
    this.#rows = new Int32Array(this.classCount * 16).fill(UNKNOWN).fill(DEAD, 0, this.classCount);
    this.#hasCalls = this.#terms.hasCalls;
    if (this.#hasCalls) refuseHiddenCalls(trees);
    this.starts = withinStack(limits, () => trees.map((tree) => this.#intern(this.#terms.add(tree))));
    this.start = this.starts[0];
  }

  /** States that texts have led to so far. */
  get stateCount(): number {
    return this.#termOf.length;
  }

  /** Whether a text of the language may end here. */
  accepts(state: number): boolean {
    return this.#terms.nullable(this.#termOf[state]);
  }

  /** Whether something other than the automaton's own bytes may follow: its end, or a call of a rule. */
  exits(state: number): boolean {
    const known = this.#exits[state];
    if (known !== undefined) return known;
    return (this.#exits[state] = this.accepts(state) || (this.#hasCalls && this.calls(state).length > 0));
  }

  /**
   * A state that behaves like this one for any `reach` bytes: counts that so few bytes cannot use up are as
   * good as unbounded. Masks of a long text with a limited length are so the same for most of it.
   */
  withinReach(state: number, reach: number): number {
    return this.#intern(this.#terms.withinReach(this.#termOf[state], reach));
  }

  /**
   * How many ordinary characters may follow for certain, whichever they are: all of Unicode but control
   * characters, quotes and backslashes, as UTF-8. 0 where that is not plain to see.
   */
  ordinaryCharacters(state: number): number {
    return this.#terms.ordinaryCharacters(this.#termOf[state]);
  }

  /** Whether no ordinary character may follow beyond that count. */
  isOrdinaryOnly(state: number): boolean {
    return this.#terms.isOrdinaryOnly(this.#termOf[state]);
  }

  /** Whether any bytes of the set may follow, up to a length. False also where that takes long to say. */
  allowsAny(state: number, bytes: readonly number[], length: number): boolean {
    const classes = new Set(bytes.map((byte) => this.classOf[byte]));
    let level = new Set([state]);
    for (let depth = 0; depth < length; depth++) {
      const next = new Set<number>();
      for (const from of level)
        for (const byteClass of classes) {
          const to = this.stepClass(from, byteClass);
          if (to === DEAD) return false;
          next.add(to);
        }
      if (next.size > MOST_ALIKE) return false;
      if (next.size === level.size && [...next].every((one) => level.has(one))) return true;
      level = next;
    }
    return true;
  }

  /** Whether every byte string may follow. */
  isEverything(state: number): boolean {
    return this.#termOf[state] === ALL_TERM;
  }

  /** Whether nothing may follow, and a text ends here. */
  isEnd(state: number): boolean {
    return this.#termOf[state] === EMPTY_TERM;
  }

  step(state: number, byte: number): number {
    return this.stepClass(state, this.classOf[byte]);
  }

  /** The state after any byte of the class. */
  stepClass(state: number, byteClass: number): number {
    const next = this.#rows[state * this.classCount + byteClass];
    return next === UNKNOWN ? this.#compute(state, byteClass) : next;
  }

  #compute(state: number, byteClass: number): number {
    const next = withinStack(this.#limits, () =>
      this.#intern(this.#terms.derive(this.#termOf[state], byteClass)),
    );
    this.#rows[state * this.classCount + byteClass] = next;
    return next;
  }

  /** The state after these bytes. */
  run(state: number, bytes: Iterable<number>): number {
    for (const byte of bytes) {
      if (state === DEAD) return DEAD;
      state = this.step(state, byte);
    }
    return state;
  }

  /** The rules that may be called here, each with the state after it. */
  calls(state: number): readonly (readonly [rule: number, after: number])[] {
    const known = this.#calls.get(state);
    if (known !== undefined) return known;
    const calls = this.#terms
      .calls(this.#termOf[state])
      .map(([rule, after]) => [rule, this.#intern(after)] as const)
      .filter(([, after]) => after !== DEAD);
    this.#calls.set(state, calls);
    return calls;
  }

  #intern(term: Term): number {
    const known = this.#stateOf.get(term);
    if (known !== undefined) return known;
    if (!this.#isAlive(term)) {
      this.#stateOf.set(term, DEAD);
      return DEAD;
    }
    const state = this.#termOf.length;
    if (state >= this.#limits.states) throw tooLarge(this.#limits, 'states', this.#limits.states);
    const needed = (state + 1) * this.classCount;
    if (needed > this.#rows.length) {
      const grown = new Int32Array(this.#rows.length * 2).fill(UNKNOWN, this.#rows.length);
      grown.set(this.#rows);
      this.#rows = grown;
    }
    this.#termOf.push(term);
    this.#stateOf.set(term, state);
    return state;
  }

  /**
   * Whether a term holds any text. Only intersections and complements need a search; it stops at the first
   * text, and what it learnt stays.
   */
  #isAlive(term: Term): boolean {
    if (this.#plainlyAlive(term)) return true;
    const known = this.#alive.get(term);
    if (known !== undefined) return known;
    const before = new Map<Term, Term[]>([[term, []]]);
    // Terms by how short their texts can be: the search goes straight for a text where there is one.
    const work: Term[][] = [];
    const add = (one: Term): void => void (work[this.#terms.shortest(one)] ??= []).push(one);
    add(term);
    for (let from = take(work); from !== undefined; from = take(work)) {
      if (before.size > MOST_SEARCHED)
        throw tooLarge(this.#limits, 'places to search for a text', MOST_SEARCHED);
      for (let c = this.classCount - 1; c >= 0; c--) {
        const to = this.#terms.derive(from, c);
        if (this.#alive.get(to) === false) continue;
        if (this.#plainlyAlive(to) || this.#alive.get(to) === true) {
          this.#markAlive(from, before);
          return true;
        }
        const ways = before.get(to);
        if (ways !== undefined) ways.push(from);
        else {
          before.set(to, [from]);
          add(to);
        }
      }
    }
    for (const dead of before.keys()) this.#alive.set(dead, false);
    return false;
  }

  #plainlyAlive(term: Term): boolean {
    return this.#terms.nullable(term) || !this.#terms.mayBeNothing(term);
  }

  /** Everything that leads to a live term lives. */
  #markAlive(term: Term, before: ReadonlyMap<Term, readonly Term[]>): void {
    const work = [term];
    for (let one = work.pop(); one !== undefined; one = work.pop()) {
      if (this.#alive.get(one) === true) continue;
      this.#alive.set(one, true);
      for (const from of before.get(one) ?? []) work.push(from);
    }
  }
}

/** The last one of the first list that is not empty. */
function take(lists: readonly (Term[] | undefined)[]): Term | undefined {
  for (const list of lists) if (list !== undefined && list.length > 0) return list.pop();
  return undefined;
}

/** Refuses calls under an intersection or complement: that is no context-free grammar. */
function refuseHiddenCalls(trees: readonly Regular[]): void {
  const seen = new Map<Regular, boolean>();
  const visit = (tree: Regular, isBoolean: boolean): void => {
    if (seen.get(tree) === isBoolean || seen.get(tree) === true) return;
    seen.set(tree, isBoolean);
    if (tree.kind === 'call' && isBoolean)
      throw new GrammarError(
        'grammar: expected rules outside of intersections and complements, found one inside',
      );
    if ('parts' in tree) for (const part of tree.parts) visit(part, isBoolean || tree.kind === 'both');
    else if ('part' in tree) visit(tree.part, isBoolean || tree.kind === 'not');
    else if (tree.kind === 'defined') visit(tree.definition, true);
  };
  for (const tree of trees) visit(tree, false);
}
