// A context-free grammar as a machine: Earley's recogniser (1970) with one difference. Where an item
// remembers the position at which its rule began, here it remembers the state, and states are interned by
// their items. So texts that are alike in what may follow share states, a mask that was computed for one
// holds for all, and nothing depends on how long a text is. Right sides are automata, so a state has few
// items; calls at the end of a rule return to the rule's own caller, so right recursion costs no depth (Leo
// 1991 has the same idea).
import { type GrammarLimits, tooLarge } from '../limits.ts';
import type { Lexeme, Machine } from '../machine.ts';
import { Dfa } from '../regular/dfa.ts';
import { type Rules, reduceRules } from './rules.ts';

const DEAD = 0;
/** The parent of the root rule's items. */
const NO_PARENT = 0;
/** The parent of items that were predicted in the state itself. */
const SELF = -1;
const UNKNOWN = -1;
/** Items that one state may have: ambiguous grammars stay polynomial, but not cheap. */
const MOST_ITEMS = 20_000;
/** Items that are looked at, in all states together: some seconds. Nested counts of what recurs make many. */
const MOST_WORK = 20_000_000;

/**
 * Inside a rule: the automaton's state, the rule that is complete at its end, and where that rule was called.
 */
interface Item {
  readonly at: number;
  readonly rule: number;
  readonly parent: number;
}

interface State {
  /** What the last byte left, or the start. Determines everything else. */
  readonly kernel: readonly Item[];
  /** With all that is predicted and completed here; made when it is first needed. */
  closure: Closure | null;
  /** By byte class: the next state, or UNKNOWN. */
  readonly next: Int32Array;
}

interface Closure {
  readonly items: readonly Item[];
  readonly accepts: boolean;
  /** What goes on when a rule that was called here is complete. */
  readonly waiting: ReadonlyMap<number, readonly Item[]>;
}

/** Throws GrammarError for a grammar without texts, and for one beyond the bounds. */
export function contextFreeMachine(rules: Rules, limits: GrammarLimits): Machine {
  return new ContextFreeMachine(reduceRules(rules, limits), limits);
}

class ContextFreeMachine implements Machine {
  readonly start: number;
  readonly #dfa: Dfa;
  readonly #limits: GrammarLimits;
  readonly #work: Work = { done: 0 };
  readonly #nullable: readonly boolean[];
  /** State 0 is DEAD. */
  readonly #states: State[] = [{ kernel: [], closure: null, next: new Int32Array(0) }];
  readonly #byKernel = new Map<string, number>();
  /** States of a single item, which most are. */
  readonly #byItem = new Map<number, number>();

  constructor({ bodies }: Rules, limits: GrammarLimits) {
    this.#limits = limits;
    if (bodies.length > MOST_RULES) throw tooLarge(limits, 'recursive rules', MOST_RULES);
    this.#dfa = new Dfa(bodies, limits);
    this.#nullable = nullableRules(this.#dfa, bodies.length);
    this.start = this.#internOne({ at: this.#dfa.starts[0], rule: 0, parent: NO_PARENT });
  }

  step(state: number, byte: number): number {
    const byteClass = this.#dfa.classOf[byte];
    const next = this.#states[state].next[byteClass];
    if (next !== UNKNOWN) return next ?? DEAD;
    const to = this.#compute(state, byteClass);
    this.#states[state].next[byteClass] = to;
    return to;
  }

  accepts(state: number): boolean {
    return state !== DEAD && this.#closureOf(state).accepts;
  }

  lexeme(state: number): Lexeme | null {
    const { kernel } = this.#states[state];
    return kernel.length === 1 ? { dfa: this.#dfa, state: kernel[0].at } : null;
  }

  #compute(state: number, byteClass: number): number {
    const { items } = this.#closureOf(state);
    let moved: ItemSet | null = null;
    for (let i = 0; i < items.length; i++) {
      const { at, rule, parent } = items[i];
      const to = this.#dfa.stepClass(at, byteClass);
      if (to === DEAD) continue;
      moved ??= new ItemSet(this.#limits, this.#work);
      moved.add({ at: to, rule, parent: parent === SELF ? state : parent });
    }
    if (moved === null) return DEAD;
    // An item at the end of its rule is nothing but its completion: so equal states are seen to be equal.
    for (const item of moved.items) if (this.#dfa.isEnd(item.at)) this.#complete(item, moved);
    const kept = moved.items.filter((item) => !this.#isSpent(item));
    return kept.length === 1 ? this.#internOne(kept[0]) : this.#intern(kept);
  }

  /** Whether an item has done all that it can. The root's stays: it is the end of the text. */
  #isSpent({ at, parent }: Item): boolean {
    return parent !== NO_PARENT && this.#dfa.isEnd(at);
  }

  /** Adds what waited, where the item's rule was called, for its completion. */
  #complete({ rule, parent }: Item, to: ItemSet): void {
    if (parent === NO_PARENT || parent === SELF) return; // a rule that is empty was passed when it was predicted
    for (const item of this.#closureOf(parent).waiting.get(rule) ?? [])
      to.add(item.parent === SELF ? { ...item, parent } : item);
  }

  #intern(items: readonly Item[]): number {
    if (items.length === 0) return DEAD;
    const kernel = [...items].sort((a, b) => a.at - b.at || a.rule - b.rule || a.parent - b.parent);
    const key = kernel.map(keyOf).join();
    const known = this.#byKernel.get(key);
    if (known !== undefined) return known;
    const state = this.#push(kernel);
    this.#byKernel.set(key, state);
    return state;
  }

  #internOne(item: Item): number {
    const key = keyOf(item);
    const known = this.#byItem.get(key);
    if (known !== undefined) return known;
    const state = this.#push([item]);
    this.#byItem.set(key, state);
    return state;
  }

  #push(kernel: readonly Item[]): number {
    const { states } = this.#limits;
    if (this.#states.length >= states) throw tooLarge(this.#limits, 'states', states);
    const next = new Int32Array(this.#dfa.classCount).fill(UNKNOWN);
    return this.#states.push({ kernel, closure: null, next }) - 1;
  }

  #closureOf(state: number): Closure {
    const known = this.#states[state];
    known.closure ??= this.#close(known.kernel);
    return known.closure;
  }

  #close(kernel: readonly Item[]): Closure {
    const dfa = this.#dfa;
    const set = new ItemSet(this.#limits, this.#work);
    const waiting = new Map<number, Item[]>();
    let accepts = false;
    for (const item of kernel) set.add(item);
    for (const item of set.items) {
      for (const [called, after] of dfa.calls(item.at)) this.#predict(item, called, after, set, waiting);
      if (!dfa.accepts(item.at)) continue;
      if (item.parent === NO_PARENT) accepts = true;
      else this.#complete(item, set);
    }
    return { items: set.items, accepts, waiting };
  }

  /** Adds the beginning of a called rule, and notes what waits for its end. */
  #predict(item: Item, called: number, after: number, set: ItemSet, waiting: Map<number, Item[]>): void {
    const { rule, parent } = item;
    const at = this.#dfa.starts[called];
    if (this.#dfa.isEnd(after)) set.add({ at, rule, parent });
    else {
      const waiters = waiting.get(called);
      if (waiters === undefined) waiting.set(called, [{ at: after, rule, parent }]);
      else if (!waiters.some((one) => one.at === after && one.rule === rule && one.parent === parent))
        waiters.push({ at: after, rule, parent });
      set.add({ at, rule: called, parent: SELF });
    }
    if (this.#nullable[called]) set.add({ at: after, rule, parent });
  }
}

/** Different for different items: rules are fewer than 2^12 (`MOST_RULES`), states fewer than 2^20. */
const keyOf = ({ at, rule, parent }: Item): number => (at * MOST_RULES + rule) * 2 ** 20 + parent + 1;
const MOST_RULES = 2 ** 12;

/** Items that all states of a machine have looked at. */
interface Work {
  done: number;
}

/** Items in the order in which they came, each once; may grow while it is walked. */
class ItemSet {
  readonly items: Item[] = [];
  readonly #seen = new Set<number>();
  readonly #limits: GrammarLimits;
  readonly #work: Work;

  constructor(limits: GrammarLimits, work: Work) {
    this.#limits = limits;
    this.#work = work;
  }

  add(item: Item): void {
    if (++this.#work.done > MOST_WORK) throw tooLarge(this.#limits, 'steps to read texts', MOST_WORK);
    const key = keyOf(item);
    if (this.#seen.has(key)) return;
    if (this.items.length >= MOST_ITEMS) throw tooLarge(this.#limits, 'ways to read a text', MOST_ITEMS);
    this.#seen.add(key);
    this.items.push(item);
  }
}

/** The rules that derive the empty text: found from those that need no call, outward. */
function nullableRules(dfa: Dfa, count: number): boolean[] {
  const nullable = new Array<boolean>(count).fill(false);
  for (let found = true; found; ) {
    found = false;
    for (let rule = 0; rule < count; rule++) {
      if (nullable[rule] || !endsWithoutBytes(dfa, dfa.starts[rule], nullable)) continue;
      nullable[rule] = true;
      found = true;
    }
  }
  return nullable;
}

/** Whether an accepting state is reached by calls of empty rules alone. */
function endsWithoutBytes(dfa: Dfa, start: number, nullable: readonly boolean[]): boolean {
  const reached = new Set([start]);
  for (const state of reached) {
    if (dfa.accepts(state)) return true;
    for (const [rule, after] of dfa.calls(state)) if (nullable[rule]) reached.add(after);
  }
  return false;
}
