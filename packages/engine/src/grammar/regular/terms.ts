// Interned terms of a regular language and their derivatives (Brzozowski 1964; Owens, Reppy and Turon 2009,
// "Regular-expression derivatives re-examined"). Equal terms have equal numbers, and constructors bring
// terms into a normal form (flat, sorted alternatives; concatenation to the right and distributed over
// alternatives, as in Antimirov 1996), so that a language has few derivatives. Bytes that no set of the
// language tells apart are one class.
// One file, since constructors and derivatives call each other.

import { GrammarError } from '../../errors.ts';
import { type GrammarLimits, tooLarge } from '../limits.ts';
import { type ByteSet, hasByte, partition } from './byte-set.ts';
import type { Regular } from './regular.ts';

/** A term by its number. */
export type Term = number;

type Node =
  | { readonly kind: 'nothing' | 'empty' | 'all' }
  | { readonly kind: 'set'; readonly classes: Uint8Array }
  | { readonly kind: 'concat'; readonly head: Term; readonly tail: Term }
  | { readonly kind: 'either' | 'both'; readonly parts: readonly Term[] }
  | { readonly kind: 'not'; readonly part: Term }
  | { readonly kind: 'repeat'; readonly part: Term; readonly min: number; readonly max: number }
  | { readonly kind: 'call'; readonly rule: number }
  | { readonly kind: 'defined'; definition: Term };

/** The texts without any; without but the empty one; all. */
export const NOTHING_TERM: Term = 0;
export const EMPTY_TERM: Term = 1;
export const ALL_TERM: Term = 2;

/** Lengths beyond it count as it. */
export const LONG = 255;

/** Trees nested deeper are refused: nobody writes them, and they are walked recursively. */
const DEEPEST = 1000;
/** Parts that are put together, in all: some seconds. `(a*b*)` in a row is quadratic, and few terms. */
const MOST_WORK = 12_000_000;

export class Terms {
  /** The class of each byte. */
  readonly classOf: Uint8Array;
  readonly classCount: number;
  /** Whether a rule is called anywhere. */
  readonly hasCalls: boolean;
  readonly #limits: GrammarLimits;
  readonly #nodes: Node[] = [{ kind: 'nothing' }, { kind: 'empty' }, { kind: 'all' }];
  readonly #nullable: boolean[] = [false, true, true];
  readonly #shortest: number[] = [LONG, 0, 0];
  /** Whether an intersection or a complement is in it: then only a search says if it holds any text. */
  readonly #boolean: boolean[] = [false, false, false];
  /** Whether it is defined in terms of itself: such terms are kept as alternatives of intersections. */
  readonly #recursive = new Set<Term>();
  readonly #byKey = new Map<string, Term>();
  readonly #concats = new Map<number, Term>();
  readonly #derivatives = new Map<number, Term>();
  readonly #trees = new Map<Regular, Term>();
  readonly #reaches = new Map<Term, { readonly reach: number; readonly alike: Term }>();
  readonly #ordinary = new Map<Term, 'none' | 'some' | 'each'>();
  #work = 0;

  /** Terms over the byte classes that these trees need; only their parts may be added. */
  constructor(trees: readonly Regular[], limits: GrammarLimits) {
    this.#limits = limits;
    const { sets, hasCalls } = partsOf(trees, limits);
    const { classOf, count } = partition(sets);
    this.hasCalls = hasCalls;
    this.classOf = classOf;
    this.classCount = count;
  }

  get count(): number {
    return this.#nodes.length;
  }

  /** Whether the empty text is in it. Calls of rules count as not. */
  nullable(term: Term): boolean {
    return this.#nullable[term];
  }

  /** False where the term holds a text for certain. */
  mayBeNothing(term: Term): boolean {
    return term === NOTHING_TERM || this.#boolean[term];
  }

  /** The term of a tree. */
  add(tree: Regular, depth = 0): Term {
    const known = this.#trees.get(tree);
    if (known !== undefined) return known;
    if (depth > DEEPEST) throw tooLarge(this.#limits, 'levels of groups', DEEPEST);
    const term = tree.kind === 'defined' ? this.#define(tree, depth) : this.#build(tree, depth + 1);
    this.#trees.set(tree, term);
    return term;
  }

  #define(tree: Extract<Regular, { kind: 'defined' }>, depth: number): Term {
    const node = { kind: 'defined' as const, definition: NOTHING_TERM };
    const term = this.#push(node, tree.nullable, true);
    this.#recursive.add(term);
    this.#trees.set(tree, term);
    node.definition = this.add(tree.definition, depth + 1);
    return term;
  }

  #build(tree: Exclude<Regular, { kind: 'defined' }>, depth: number): Term {
    switch (tree.kind) {
      case 'nothing':
        return NOTHING_TERM;
      case 'empty':
        return EMPTY_TERM;
      case 'bytes':
        return this.#set(this.#classesOf(tree.set));
      case 'concat':
        return tree.parts.reduceRight<Term>(
          (tail, part) => this.concat(this.add(part, depth), tail),
          EMPTY_TERM,
        );
      case 'either':
        return this.either(tree.parts.map((part) => this.add(part, depth)));
      case 'both':
        return this.both(tree.parts.map((part) => this.add(part, depth)));
      case 'not':
        return this.not(this.add(tree.part, depth));
      case 'repeat':
        return this.repeat(this.add(tree.part, depth), tree.min, tree.max);
      case 'call':
        return this.#intern(`c${tree.rule}`, { kind: 'call', rule: tree.rule }, false, false);
      default:
        return tree satisfies never;
    }
  }

  #classesOf(set: ByteSet): Uint8Array {
    const classes = new Uint8Array(this.classCount);
    for (let byte = 0; byte < 256; byte++) if (hasByte(set, byte)) classes[this.classOf[byte]] = 1;
    return classes;
  }

  #intern(key: string, node: Node, nullable: boolean, isBoolean: boolean): Term {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const term = this.#push(node, nullable, isBoolean);
    this.#byKey.set(key, term);
    return term;
  }

  #push(node: Node, nullable: boolean, isBoolean: boolean): Term {
    if (this.#nodes.length >= this.#limits.terms)
      throw tooLarge(this.#limits, 'distinct parts', this.#limits.terms);
    this.#nullable.push(nullable);
    this.#boolean.push(isBoolean);
    this.#shortest.push(Math.min(this.#shortestOf(node, nullable), LONG));
    return this.#nodes.push(node) - 1;
  }

  /** No text of the term is shorter: where to look for one first. At most `LONG`. */
  shortest(term: Term): number {
    return this.#shortest[term];
  }

  #shortestOf(node: Node, nullable: boolean): number {
    if (nullable) return 0;
    const of = (term: Term): number => this.#shortest[term];
    switch (node.kind) {
      case 'concat':
        return of(node.head) + of(node.tail);
      case 'either':
        return Math.min(...node.parts.map(of));
      case 'both':
        return Math.max(...node.parts.map(of));
      case 'repeat':
        return node.min * of(node.part);
      case 'nothing':
        return LONG;
      default:
        return 1;
    }
  }

  #set(classes: Uint8Array): Term {
    if (!classes.includes(1)) return NOTHING_TERM;
    return this.#intern(
      `s${String.fromCharCode(...packed(classes))}`,
      { kind: 'set', classes },
      false,
      false,
    );
  }

  concat(head: Term, tail: Term): Term {
    if (head === NOTHING_TERM || tail === NOTHING_TERM) return NOTHING_TERM;
    if (head === EMPTY_TERM) return tail;
    if (tail === EMPTY_TERM) return head;
    const key = concatKey(head, tail);
    const known = this.#concats.get(key);
    if (known !== undefined) return known;
    const term = this.#concat(head, tail);
    this.#concats.set(key, term);
    return term;
  }

  #concat(head: Term, tail: Term): Term {
    const node = this.#nodes[head];
    if (node.kind === 'concat') return this.#concatLong(head, tail);
    if (node.kind === 'either') return this.either(node.parts.map((part) => this.concat(part, tail)));
    const joined = this.#joined(head, tail);
    if (joined !== null) return joined;
    const nullable = this.#nullable[head] && this.#nullable[tail];
    return this.#push({ kind: 'concat', head, tail }, nullable, this.#boolean[head] || this.#boolean[tail]);
  }

  /** A head of many parts, from its last part on: in a loop, since rules that double make millions of them. */
  #concatLong(head: Term, tail: Term): Term {
    const ends: { readonly term: Term; readonly head: Term }[] = [];
    let term: Term | undefined;
    for (let rest = head; term === undefined; ) {
      term = this.#concats.get(concatKey(rest, tail));
      const node = this.#nodes[rest];
      if (term !== undefined) break;
      if (node.kind === 'concat') {
        this.#spend(1);
        ends.push({ term: rest, head: node.head });
        rest = node.tail;
      } else term = this.concat(rest, tail);
    }
    for (let end = ends.pop(); end !== undefined; end = ends.pop()) {
      term = this.concat(end.head, term);
      this.#concats.set(concatKey(end.term, tail), term);
    }
    return term;
  }

  #spend(work: number): void {
    this.#work += work;
    if (this.#work > MOST_WORK) throw tooLarge(this.#limits, 'parts put together', MOST_WORK);
  }

  /** x{a,b}x{c,d} is x{a+c,b+d}, and all·all is all. Null where nothing joins. */
  #joined(head: Term, tail: Term): Term | null {
    const node = this.#nodes[tail];
    const next = node.kind === 'concat' ? node.head : tail;
    const rest = node.kind === 'concat' ? node.tail : EMPTY_TERM;
    if (head === ALL_TERM && next === ALL_TERM) return tail;
    const first = this.#nodes[head];
    const second = this.#nodes[next];
    if (first.kind !== 'repeat' || second.kind !== 'repeat' || first.part !== second.part) return null;
    return this.concat(this.repeat(first.part, first.min + second.min, first.max + second.max), rest);
  }

  either(terms: readonly Term[]): Term {
    const parts = new Set<Term>();
    let classes: Uint8Array | null = null;
    const take = (term: Term): void => {
      const node = this.#nodes[term];
      this.#spend(1);
      if (node.kind === 'either') for (const part of node.parts) take(part);
      else if (node.kind === 'set') classes = classes === null ? node.classes : union(classes, node.classes);
      else if (term !== NOTHING_TERM) parts.add(term);
    };
    for (const term of terms) take(term);
    if (parts.has(ALL_TERM)) return ALL_TERM;
    if (classes !== null) parts.add(this.#set(classes));
    if (parts.size > 1) this.#dropCovered(parts);
    if (parts.size === 0) return NOTHING_TERM;
    if (parts.size === 1) return first(parts);
    for (const part of parts) {
      const node = this.#nodes[part];
      if (node.kind === 'not' && parts.has(node.part)) return ALL_TERM;
    }
    const sorted = [...parts].sort((a, b) => a - b);
    const nullable = sorted.some((part) => this.#nullable[part]);
    const isBoolean = sorted.every((part) => this.#boolean[part]);
    const term = this.#intern(`e${sorted.join()}`, { kind: 'either', parts: sorted }, nullable, isBoolean);
    if (sorted.some((part) => this.#recursive.has(part))) this.#recursive.add(term);
    return term;
  }

  /**
   * Removes alternatives that another one plainly covers: ε beside what holds it, counts inside of larger
   * counts.
   */
  #dropCovered(parts: Set<Term>): void {
    if (parts.has(EMPTY_TERM)) {
      for (const part of parts) {
        if (part === EMPTY_TERM || !this.#nullable[part]) continue;
        parts.delete(EMPTY_TERM);
        break;
      }
    }
    const widest = new Map<string, { term: Term; min: number; max: number }>();
    for (const term of parts) {
      const node = this.#nodes[term];
      const rest = node.kind === 'concat' ? node.tail : EMPTY_TERM;
      const counted = node.kind === 'concat' ? this.#nodes[node.head] : node;
      if (counted.kind !== 'repeat') continue;
      const { min, max } = counted;
      const key = `${counted.part},${rest}`;
      const other = widest.get(key);
      if (other?.term === term) continue;
      if (other === undefined || (min <= other.min && max >= other.max)) {
        if (other !== undefined) parts.delete(other.term);
        widest.set(key, { term, min, max });
      } else if (min <= other.max + 1 && other.min <= max + 1) {
        // Overlapping or adjoining counts are one range.
        parts.delete(term);
        parts.delete(other.term);
        const [low, high] = [Math.min(min, other.min), Math.max(max, other.max)];
        const joined = this.concat(this.repeat(counted.part, low, high), rest);
        parts.add(joined);
        widest.set(key, { term: joined, min: low, max: high });
      }
    }
  }

  both(terms: readonly Term[]): Term {
    const parts = new Set<Term>();
    const take = (term: Term): void => {
      const node = this.#nodes[term];
      this.#spend(1);
      if (node.kind === 'both') for (const part of node.parts) take(part);
      else if (term !== ALL_TERM) parts.add(term);
    };
    for (const term of terms) take(term);
    if (parts.has(NOTHING_TERM)) return NOTHING_TERM;
    if (parts.size === 0) return ALL_TERM;
    if (parts.size === 1) return first(parts);
    const nullable = [...parts].every((part) => this.#nullable[part]);
    if (parts.has(EMPTY_TERM)) return nullable ? EMPTY_TERM : NOTHING_TERM;
    let classes: Uint8Array | null = null;
    for (const part of parts) {
      const node = this.#nodes[part];
      if (node.kind === 'not' && parts.has(node.part)) return NOTHING_TERM;
      if (node.kind !== 'set') continue;
      classes = classes === null ? node.classes : intersection(classes, node.classes);
      parts.delete(part);
    }
    if (classes !== null) return this.#bothWithSet(classes, parts);
    return this.#distributed(parts) ?? this.#bothOf(parts, nullable);
  }

  #bothOf(parts: ReadonlySet<Term>, nullable: boolean): Term {
    const sorted = [...parts].sort((a, b) => a - b);
    const term = this.#intern(`b${sorted.join()}`, { kind: 'both', parts: sorted }, nullable, true);
    if (sorted.some((part) => this.#recursive.has(part))) this.#recursive.add(term);
    return term;
  }

  /**
   * The alternatives of a self-defined part, each intersected with the rest: only so do its derivatives stay
   * finitely many. Null where there is no such part.
   */
  #distributed(parts: ReadonlySet<Term>): Term | null {
    for (const part of parts) {
      const node = this.#nodes[part];
      if (node.kind !== 'either' || !this.#recursive.has(part)) continue;
      const rest = [...parts].filter((other) => other !== part);
      return this.either(node.parts.map((one) => this.both([one, ...rest])));
    }
    return null;
  }

  /** One byte that the others hold as well: a set again. */
  #bothWithSet(classes: Uint8Array, others: ReadonlySet<Term>): Term {
    const kept = classes.slice();
    for (let c = 0; c < kept.length; c++) {
      if (kept[c] === 0) continue;
      for (const term of others) if (!this.#nullable[this.derive(term, c)]) kept[c] = 0;
    }
    return this.#set(kept);
  }

  not(part: Term): Term {
    if (part === NOTHING_TERM) return ALL_TERM;
    if (part === ALL_TERM) return NOTHING_TERM;
    const node = this.#nodes[part];
    if (node.kind === 'not') return node.part;
    return this.#intern(`n${part}`, { kind: 'not', part }, !this.#nullable[part], true);
  }

  repeat(part: Term, min: number, max: number): Term {
    if (this.#nullable[part]) min = 0;
    if (max === 0 || part === EMPTY_TERM) return EMPTY_TERM;
    if (part === NOTHING_TERM) return min === 0 ? EMPTY_TERM : NOTHING_TERM;
    if (part === ALL_TERM) return ALL_TERM;
    if (min === 1 && max === 1) return part;
    const node = this.#nodes[part];
    // Any count of (x{0,n} or x{1,n}) is a count of x: nested repeats would multiply states.
    if (node.kind === 'repeat' && node.min <= 1)
      return this.repeat(node.part, node.min * min, node.max * max);
    if (node.kind === 'set' && min === 0 && max === Infinity && !node.classes.includes(0)) return ALL_TERM;
    if (node.kind === 'either' && node.parts.includes(EMPTY_TERM))
      return this.repeat(this.either(node.parts.filter((one) => one !== EMPTY_TERM)), 0, max);
    const nullable = min === 0;
    return this.#intern(
      `r${part},${min},${max}`,
      { kind: 'repeat', part, min, max },
      nullable,
      min > 0 && this.#boolean[part],
    );
  }

  /** What may follow a byte of the class. */
  derive(term: Term, byteClass: number): Term {
    const node = this.#nodes[term];
    switch (node.kind) {
      case 'nothing':
      case 'empty':
      case 'call':
        return NOTHING_TERM;
      case 'all':
        return ALL_TERM;
      case 'set':
        return node.classes[byteClass] === 1 ? EMPTY_TERM : NOTHING_TERM;
      default:
    }
    const key = term * 256 + byteClass;
    const known = this.#derivatives.get(key);
    if (known !== undefined) return known;
    const derivative = this.#deriveParts(term, byteClass);
    this.#derivatives.set(key, derivative);
    return derivative;
  }

  #deriveParts(term: Term, byteClass: number): Term {
    const node = this.#nodes[term];
    switch (node.kind) {
      case 'concat':
        return this.#deriveConcat(term, (head) => this.derive(head, byteClass));
      case 'either':
        return this.either(node.parts.map((part) => this.derive(part, byteClass)));
      case 'both':
        return this.both(node.parts.map((part) => this.derive(part, byteClass)));
      case 'not':
        return this.not(this.derive(node.part, byteClass));
      case 'defined':
        return this.derive(node.definition, byteClass);
      case 'repeat':
        return this.concat(this.derive(node.part, byteClass), this.#less(node));
      default:
        throw new GrammarError(`${this.#limits.subject}: a ${node.kind} has no parts`);
    }
  }

  /** In a loop: a thousand optional parts in a row must not be a thousand calls deep. */
  #deriveConcat(term: Term, derive: (head: Term) => Term): Term {
    const options: Term[] = [];
    let rest = term;
    for (;;) {
      const node = this.#nodes[rest];
      if (node.kind !== 'concat') {
        options.push(derive(rest));
        break;
      }
      options.push(this.concat(derive(node.head), node.tail));
      if (!this.#nullable[node.head]) break;
      rest = node.tail;
    }
    return options.length === 1 ? options[0] : this.either(options);
  }

  /** The repeats that are left after one. */
  #less({ part, min, max }: { part: Term; min: number; max: number }): Term {
    return this.repeat(part, Math.max(0, min - 1), max - 1);
  }

  /** See `Dfa.withinReach`. Nothing may be changed under intersections, which may become empty or not. */
  withinReach(term: Term, reach: number): Term {
    if (this.#boolean[term]) return term;
    const known = this.#reaches.get(term);
    if (known?.reach === reach) return known.alike;
    const alike = this.#clamp(term, reach);
    this.#reaches.set(term, { reach, alike });
    return alike;
  }

  #clamp(term: Term, reach: number): Term {
    const node = this.#nodes[term];
    switch (node.kind) {
      case 'repeat': {
        const max = node.max > reach ? Number.POSITIVE_INFINITY : node.max;
        return this.repeat(node.part, Math.min(node.min, reach + 1), max);
      }
      case 'concat':
        return this.concat(this.withinReach(node.head, reach), this.withinReach(node.tail, reach));
      case 'either':
        return this.either(node.parts.map((part) => this.withinReach(part, reach)));
      default:
        return term;
    }
  }

  /** See `Dfa.ordinaryCharacters`. */
  ordinaryCharacters(term: Term): number {
    const node = this.#nodes[term];
    switch (node.kind) {
      case 'all':
        return Number.POSITIVE_INFINITY;
      case 'either':
        return Math.max(...node.parts.map((part) => this.ordinaryCharacters(part)));
      case 'concat':
        return this.#boolean[node.tail] ? 0 : this.ordinaryCharacters(node.head);
      case 'repeat':
        return this.#ordinaryIn(node.part) === 'none' ? 0 : node.max;
      default:
        return 0;
    }
  }

  /** Whether no more ordinary characters may follow than `ordinaryCharacters` says. */
  isOrdinaryOnly(term: Term): boolean {
    const node = this.#nodes[term];
    return node.kind === 'repeat' && this.#ordinaryIn(node.part) === 'each';
  }

  /**
   * Whether every ordinary character is a text of the term (`some`), and begins no other one (`each`): follows
   * one of each kind through its derivatives.
   */
  #ordinaryIn(term: Term): 'none' | 'some' | 'each' {
    const known = this.#ordinary.get(term);
    if (known !== undefined) return known;
    const all = (ends: (after: Term) => boolean) =>
      ordinarySequences().every((sequence) => this.#holdsAll(term, sequence, 0, ends));
    const found = all((after) => after === EMPTY_TERM)
      ? 'each'
      : all((after) => this.#nullable[after])
        ? 'some'
        : 'none';
    this.#ordinary.set(term, found);
    return found;
  }

  #holdsAll(
    term: Term,
    sequence: readonly (readonly [number, number])[],
    depth: number,
    ends: (after: Term) => boolean,
  ): boolean {
    if (depth === sequence.length) return ends(term);
    const [low, high] = sequence[depth];
    const tried = new Set<number>();
    for (let byte = low; byte <= high; byte++) {
      const byteClass = this.classOf[byte];
      if (tried.has(byteClass)) continue;
      tried.add(byteClass);
      if (!this.#holdsAll(this.derive(term, byteClass), sequence, depth + 1, ends)) return false;
    }
    return true;
  }

  /** The rules that may be called first, and what follows each: pairs of rule and term. */
  calls(term: Term): readonly (readonly [rule: number, after: Term])[] {
    const found = new Map<number, Term[]>();
    for (const [rule, after] of this.#calls(term)) found.set(rule, [...(found.get(rule) ?? []), after]);
    return [...found].map(([rule, afters]) => [rule, this.either(afters)] as const);
  }

  #calls(term: Term): (readonly [number, Term])[] {
    const node = this.#nodes[term];
    const followed = (head: Term, tail: Term) =>
      this.#calls(head).map(([rule, after]) => [rule, this.concat(after, tail)] as const);
    switch (node.kind) {
      case 'call':
        return [[node.rule, EMPTY_TERM]];
      case 'either':
        return node.parts.flatMap((part) => this.#calls(part));
      case 'repeat':
        return followed(node.part, this.#less(node));
      case 'concat': {
        const found: (readonly [number, Term])[] = [];
        let rest = term;
        for (;;) {
          const one = this.#nodes[rest];
          if (one.kind !== 'concat') return [...found, ...this.#calls(rest)];
          found.push(...followed(one.head, one.tail));
          if (!this.#nullable[one.head]) return found;
          rest = one.tail;
        }
      }
      default:
        return [];
    }
  }
}

/**
 * The characters that strings hold unescaped, as sequences of byte ranges (table 3-7 of the Unicode
 * standard).
 */
const ordinarySequences = (): readonly (readonly (readonly [number, number])[])[] => [
  [[0x20, 0x21]],
  [[0x23, 0x5b]],
  [[0x5d, 0x7e]],
  [[0xc2, 0xdf], CONTINUATION],
  [[0xe0, 0xe0], [0xa0, 0xbf], CONTINUATION],
  [[0xe1, 0xec], CONTINUATION, CONTINUATION],
  [[0xed, 0xed], [0x80, 0x9f], CONTINUATION],
  [[0xee, 0xef], CONTINUATION, CONTINUATION],
  [[0xf0, 0xf0], [0x90, 0xbf], CONTINUATION, CONTINUATION],
  [[0xf1, 0xf3], CONTINUATION, CONTINUATION, CONTINUATION],
  [[0xf4, 0xf4], [0x80, 0x8f], CONTINUATION, CONTINUATION],
];
const CONTINUATION = [0x80, 0xbf] as const;

/** Different for different pairs: terms are fewer than 2^25. */
const concatKey = (head: Term, tail: Term): number => head * 0x2000000 + tail;

const first = (parts: ReadonlySet<Term>): Term => parts.values().next().value as Term;

const union = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((flag, i) => flag | b[i]);
const intersection = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((flag, i) => flag & b[i]);

/** Flags as 16-bit units, for a key. */
function packed(flags: Uint8Array): number[] {
  const units = new Array<number>(Math.ceil(flags.length / 16)).fill(0);
  for (let i = 0; i < flags.length; i++) units[i >> 4] |= flags[i] << (i & 15);
  return units;
}

/** All byte sets of trees, each part visited once, and whether a rule is called in them. */
function partsOf(
  trees: readonly Regular[],
  limits: GrammarLimits,
): { sets: Set<ByteSet>; hasCalls: boolean } {
  const sets = new Set<ByteSet>();
  const seen = new Set<Regular>();
  const work = [...trees];
  let hasCalls = false;
  for (let tree = work.pop(); tree !== undefined; tree = work.pop()) {
    if (seen.has(tree)) continue;
    seen.add(tree);
    if (seen.size > limits.terms) throw tooLarge(limits, 'parts', limits.terms);
    if (tree.kind === 'bytes') sets.add(tree.set);
    else if (tree.kind === 'call') hasCalls = true;
    else if (tree.kind === 'defined') work.push(tree.definition);
    else if ('parts' in tree) for (const part of tree.parts) work.push(part);
    else if ('part' in tree) work.push(tree.part);
  }
  return { sets, hasCalls };
}
