// A context-free grammar whose right sides are regular languages with calls of rules, and what is done to it
// before it becomes a machine: rules that derive no text are dropped, so that no state is a dead end; rules
// that never come back to themselves are written out, so that they are automata and not calls.
import { GrammarError } from '../../errors.ts';
import { type GrammarLimits, tooLarge } from '../limits.ts';
import { call, concat, either, NOTHING, type Regular, repeat } from '../regular/regular.ts';
import { isNothing } from '../regular/tests.ts';

/** Right sides by rule number. */
export interface Rules {
  readonly bodies: readonly Regular[];
  /** For errors. */
  readonly names: readonly string[];
  /** The rule that a whole text is. */
  readonly root: number;
}

/**
 * The same language in fewer rules: the root and those that are recursive, each of which derives a text.
 * Throws GrammarError where the root derives none.
 */
export function reduceRules({ bodies, names, root }: Rules, limits: GrammarLimits): Rules {
  const productive = productiveRules(bodies, limits);
  if (!productive[root])
    throw new GrammarError(
      `${limits.subject}: expected rule ${names[root]} to derive a text, found none: every way through it comes back to ` +
        'a rule that never ends, or to an empty class.',
    );
  const recursive = recursiveRules(bodies);
  const writer = new Writer(
    bodies,
    limits,
    (rule) => productive[rule],
    (rule) => recursive[rule],
  );
  const kept = new Map<number, number>([[root, 0]]);
  const written: Regular[] = [];
  const keptNames: string[] = [];
  for (const rule of kept.keys()) {
    written.push(writer.write(bodies[rule], (called) => numberOf(kept, called)));
    keptNames.push(names[rule]);
  }
  return { bodies: written, names: keptNames, root: 0 };
}

function numberOf(kept: Map<number, number>, rule: number): number {
  const known = kept.get(rule);
  if (known !== undefined) return known;
  kept.set(rule, kept.size);
  return kept.size - 1;
}

/** The rules that derive a text: found from those that call none, outward. */
function productiveRules(bodies: readonly Regular[], limits: GrammarLimits): boolean[] {
  const productive = bodies.map(() => false);
  const empty = new Map<Regular, boolean>();
  for (let found = true; found; ) {
    found = false;
    bodies.forEach((body, rule) => {
      if (productive[rule] || !derives(body, productive, empty, limits)) return;
      productive[rule] = true;
      found = true;
    });
  }
  return productive;
}

function derives(
  tree: Regular,
  productive: readonly boolean[],
  empty: Map<Regular, boolean>,
  limits: GrammarLimits,
): boolean {
  const of = (part: Regular) => derives(part, productive, empty, limits);
  switch (tree.kind) {
    case 'nothing':
      return false;
    case 'call':
      return productive[tree.rule];
    case 'concat':
      return tree.parts.every(of);
    case 'either':
      return tree.parts.some(of);
    case 'repeat':
      return tree.min === 0 || of(tree.part);
    case 'both':
    case 'not':
    case 'defined': {
      // No rule is called under these.
      const known = empty.get(tree) ?? isNothing(tree, limits);
      empty.set(tree, known);
      return !known;
    }
    default:
      return true;
  }
}

/** The rules that are called in each right side, directly. */
function calledRules(body: Regular): Set<number> {
  const called = new Set<number>();
  const seen = new Set<Regular>();
  const work = [body];
  for (let tree = work.pop(); tree !== undefined; tree = work.pop()) {
    if (seen.has(tree)) continue;
    seen.add(tree);
    if (tree.kind === 'call') called.add(tree.rule);
    else if ('parts' in tree) for (const part of tree.parts) work.push(part);
    else if ('part' in tree) work.push(tree.part);
  }
  return called;
}

/**
 * Whether each rule can come back to itself: its strongly connected component has an edge inside (Tarjan
 * 1972).
 */
function recursiveRules(bodies: readonly Regular[]): boolean[] {
  const calls = bodies.map((body) => [...calledRules(body)]);
  const recursive = bodies.map((_, rule) => calls[rule].includes(rule));
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const stack: number[] = [];
  const onStack = new Set<number>();
  for (let root = 0; root < bodies.length; root++) {
    if (index.has(root)) continue;
    const path = [{ rule: root, next: 0 }];
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const { rule } = top;
      if (top.next === 0) {
        index.set(rule, index.size);
        low.set(rule, index.size - 1);
        stack.push(rule);
        onStack.add(rule);
      }
      const to = calls[rule][top.next++];
      if (to === undefined) {
        path.pop();
        const parent = path.at(-1);
        if (parent !== undefined) low.set(parent.rule, Math.min(low.get(parent.rule)!, low.get(rule)!));
        if (low.get(rule) === index.get(rule)) closeComponent(rule, stack, onStack, recursive);
      } else if (!index.has(to)) path.push({ rule: to, next: 0 });
      else if (onStack.has(to)) low.set(rule, Math.min(low.get(rule)!, index.get(to)!));
    }
  }
  return recursive;
}

function closeComponent(rule: number, stack: number[], onStack: Set<number>, recursive: boolean[]): void {
  const members = stack.splice(stack.indexOf(rule));
  for (const member of members) {
    onStack.delete(member);
    if (members.length > 1) recursive[member] = true;
  }
}

/**
 * Rewrites right sides: rules without texts become nothing, rules that are not recursive their own right
 * sides.
 */
class Writer {
  readonly #bodies: readonly Regular[];
  readonly #limits: GrammarLimits;
  readonly #isProductive: (rule: number) => boolean;
  readonly #isRecursive: (rule: number) => boolean;
  readonly #written = new Map<Regular, Regular>();
  #depth = 0;

  constructor(
    bodies: readonly Regular[],
    limits: GrammarLimits,
    isProductive: (rule: number) => boolean,
    isRecursive: (rule: number) => boolean,
  ) {
    this.#bodies = bodies;
    this.#limits = limits;
    this.#isProductive = isProductive;
    this.#isRecursive = isRecursive;
  }

  write(tree: Regular, number: (rule: number) => number): Regular {
    const known = this.#written.get(tree);
    if (known !== undefined) return known;
    if (++this.#depth > DEEPEST) throw tooLarge(this.#limits, 'levels of rules and groups', DEEPEST);
    const written = this.#rewrite(tree, number);
    this.#depth--;
    this.#written.set(tree, written);
    return written;
  }

  #rewrite(tree: Regular, number: (rule: number) => number): Regular {
    const of = (part: Regular) => this.write(part, number);
    switch (tree.kind) {
      case 'concat':
        return concat(...tree.parts.map(of));
      case 'either':
        return either(...tree.parts.map(of));
      case 'repeat':
        return repeat(of(tree.part), tree.min, tree.max);
      case 'call':
        if (!this.#isProductive(tree.rule)) return NOTHING;
        return this.#isRecursive(tree.rule) ? call(number(tree.rule)) : of(this.#bodies[tree.rule]);
      default:
        return tree;
    }
  }
}

const DEEPEST = 800;
