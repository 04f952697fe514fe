// What an expression leaves of each type: one set of numbers, one language of texts, and for arrays and objects a few
// alternatives, each a plain list of conditions that all hold (disjunctive normal form, with what contradicts itself
// left out on the way).
import {
  ALL,
  ARRAY,
  CannotEnforce,
  type Expression,
  type Expressions,
  FALSE,
  NONE,
  type Node,
  NULL,
  NUMBER,
  OBJECT,
  STRING,
  TRUE,
  typeOf,
} from './expression.ts';
import { ALL_NUMBERS, intersectNumbers, type NumberSet, uniteNumbers } from './number-set.ts';
import {
  ANY_TEXT,
  andTexts,
  hasText,
  isNoText,
  NO_TEXT,
  notText,
  orTexts,
  regularText,
  type TextLanguage,
} from './text-language.ts';

/** Alternatives of one expression; more are refused. */
const MOST_ALTERNATIVES = 1024;
/** How deep values inside are looked at, to see that an alternative contradicts itself. */
const LOOK_AHEAD = 3;

/** Questions about expressions; answers are kept. */
export class Shapes {
  readonly #x: Expressions;
  readonly #restricted = new Map<number, Expression>();
  readonly #numbers = new Map<Expression, NumberSet>();
  readonly #texts = new Map<Expression, TextLanguage>();
  readonly #alternatives = new Map<Expression, readonly Expression[]>();
  readonly #empty = new Map<string, boolean>();

  constructor(expressions: Expressions) {
    this.#x = expressions;
  }

  /** The expression as values of one type see it: conditions of this type only. */
  restrict(expression: Expression, type: number): Expression {
    const key = expression * 128 + type;
    const known = this.#restricted.get(key);
    if (known !== undefined) return known;
    const restricted = this.#restrict(this.#x.node(expression), expression, type);
    this.#restricted.set(key, restricted);
    return restricted;
  }

  #restrict(node: Node, expression: Expression, type: number): Expression {
    const x = this.#x;
    switch (node.kind) {
      case 'all':
      case 'none':
        return expression;
      case 'types':
        return (node.types & type) !== 0 ? ALL : NONE;
      case 'and':
        return x.and(...node.parts.map((part) => this.restrict(part, type)));
      case 'or':
        return x.or(...node.parts.map((part) => this.restrict(part, type)));
      case 'deferred': {
        const resolved = node.schema.resolve();
        return this.restrict(node.negated ? x.not(resolved) : resolved, type);
      }
      case 'one': {
        const parts = node.parts.map((part) => this.restrict(part, type)).filter((part) => part !== NONE);
        const exact = this.#exactlyOne(parts, type);
        return node.negated ? this.restrict(x.not(exact), type) : exact;
      }
      default:
        return typeOf(node.kind) === type ? expression : ALL;
    }
  }

  #exactlyOne(parts: readonly Expression[], type: number): Expression {
    const x = this.#x;
    const isComposite = type === ARRAY || type === OBJECT;
    return x.or(
      ...parts.map((part, i) => {
        const others = parts.filter(
          (other, j) => j !== i && !(isComposite && this.#exclude(part, other, type)),
        );
        return x.and(part, ...others.map((other) => this.restrict(x.not(other), type)));
      }),
    );
  }

  /** Whether no value of the type can be of both, as far as can be seen. */
  #exclude(a: Expression, b: Expression, type: number): boolean {
    return this.isEmpty(this.#x.and(a, b, this.#x.types(type)), LOOK_AHEAD);
  }

  /** Which of null, false and true belong. */
  constants(expression: Expression): number {
    let types = 0;
    for (const type of [NULL, FALSE, TRUE]) if (this.restrict(expression, type) === ALL) types |= type;
    return types;
  }

  numbers(expression: Expression): NumberSet {
    return this.#numbersOf(this.restrict(expression, NUMBER));
  }

  #numbersOf(expression: Expression): NumberSet {
    const known = this.#numbers.get(expression);
    if (known !== undefined) return known;
    const node = this.#x.node(expression);
    let set: NumberSet = ALL_NUMBERS;
    if (node.kind === 'none') set = [];
    else if (node.kind === 'number') set = node.set;
    else if (node.kind === 'and')
      set = node.parts.reduce((all, part) => intersectNumbers(all, this.#numbersOf(part)), set);
    else if (node.kind === 'or') set = uniteNumbers(node.parts.map((part) => this.#numbersOf(part)));
    this.#numbers.set(expression, set);
    return set;
  }

  texts(expression: Expression): TextLanguage {
    return this.#textsOf(this.restrict(expression, STRING));
  }

  #textsOf(expression: Expression): TextLanguage {
    const known = this.#texts.get(expression);
    if (known !== undefined) return known;
    const language = this.#makeTexts(this.#x.node(expression));
    this.#texts.set(expression, language);
    return language;
  }

  #makeTexts(node: Node): TextLanguage {
    switch (node.kind) {
      case 'none':
        return NO_TEXT;
      case 'words': {
        const words: TextLanguage = { kind: 'words', words: new Set(node.words) };
        return node.negated ? notText(words) : words;
      }
      case 'text': {
        const language = regularText(node.language);
        return node.negated ? notText(language) : language;
      }
      case 'and':
        return andTexts(node.parts.map((part) => this.#textsOf(part)));
      case 'or':
        return orTexts(node.parts.map((part) => this.#textsOf(part)));
      default:
        return ANY_TEXT;
    }
  }

  /** Whether the names, an expression about strings, hold this one. */
  hasName(names: Expression, name: string): boolean {
    return hasText(this.texts(names), name);
  }

  /**
   * The alternatives of arrays or of objects: expressions that are conditions, or "and" of conditions, of this type.
   * None where no value of the type is possible; ALL alone where any is.
   */
  alternatives(expression: Expression, type: number): readonly Expression[] {
    const restricted = this.restrict(expression, type);
    const known = this.#alternatives.get(restricted);
    if (known !== undefined) return known;
    const alternatives = this.#withoutCovered(this.#expand(restricted, LOOK_AHEAD));
    this.#alternatives.set(restricted, alternatives);
    return alternatives;
  }

  #expand(expression: Expression, depth: number): readonly Expression[] {
    const node = this.#x.node(expression);
    if (node.kind === 'none') return [];
    if (node.kind === 'or') return this.#bounded(node.parts.flatMap((part) => this.#expand(part, depth)));
    if (node.kind !== 'and') return this.#contradicts(expression, depth) ? [] : [expression];
    const choices = node.parts.filter((part) => this.#x.node(part).kind === 'or');
    const rest = this.#x.and(...node.parts.filter((part) => this.#x.node(part).kind !== 'or'));
    if (this.#contradicts(rest, depth)) return [];
    const options = choices.map((choice) => this.#expand(choice, depth)).sort((a, b) => a.length - b.length);
    let results: readonly Expression[] = [rest];
    for (const option of options) {
      const next = results.flatMap((one) => option.map((other) => this.#x.and(one, other)));
      results = this.#bounded(next.filter((one) => !this.#contradicts(one, depth)));
      if (results.length > 16) results = this.#withoutCovered(results);
    }
    return results;
  }

  #bounded(results: readonly Expression[]): readonly Expression[] {
    const distinct = [...new Set(results)];
    if (distinct.length > MOST_ALTERNATIVES)
      throw new CannotEnforce(`more than ${MOST_ALTERNATIVES} alternatives that overlap`);
    return distinct;
  }

  /** Without alternatives that demand all that another one does, and more. */
  #withoutCovered(alternatives: readonly Expression[]): readonly Expression[] {
    if (alternatives.length < 2 || alternatives.length > 256) return alternatives;
    const sets = alternatives.map((one) => new Set(this.conditions(one)));
    const kept = alternatives.filter((_, i) => !sets.some((other, j) => covers(other, sets[i], j < i)));
    return kept;
  }

  /** The parts of an alternative. */
  conditions(alternative: Expression): readonly Expression[] {
    const node = this.#x.node(alternative);
    if (node.kind === 'all') return [];
    return node.kind === 'and' ? node.parts : [alternative];
  }

  /** Whether the expression holds for no value at all, as far as can be seen this deep. Never wrongly true. */
  isEmpty(expression: Expression, depth: number): boolean {
    if (expression === NONE) return true;
    if (expression === ALL || depth === 0) return false;
    const key = `${expression},${depth}`;
    const known = this.#empty.get(key);
    if (known !== undefined) return known;
    // Met again on the way down, it counts as possible.
    this.#empty.set(key, false);
    const empty = this.#isEmpty(expression, depth);
    this.#empty.set(key, empty);
    return empty;
  }

  #isEmpty(expression: Expression, depth: number): boolean {
    if (this.constants(expression) !== 0) return false;
    if (this.numbers(expression).length > 0 || !isNoText(this.texts(expression))) return false;
    return [ARRAY, OBJECT].every((type) => {
      const restricted = this.restrict(expression, type);
      return restricted === NONE || (restricted !== ALL && this.#expand(restricted, depth - 1).length === 0);
    });
  }

  /** Whether conditions plainly exclude each other: what is required, yet can have no value. */
  #contradicts(alternative: Expression, depth: number): boolean {
    if (alternative === ALL) return false;
    if (alternative === NONE) return true;
    const nodes = this.conditions(alternative).map((part) => this.#x.node(part));
    return contradictsInSize(nodes) || this.#contradictsInside(nodes, depth);
  }

  #contradictsInside(nodes: readonly Node[], depth: number): boolean {
    const least = Math.max(0, ...nodes.map((node) => (node.kind === 'length' ? node.min : 0)));
    const names = new Set(nodes.filter((node) => node.kind === 'required').map((node) => node.name));
    for (const name of names) if (this.isEmpty(this.propertyOf(nodes, name), depth)) return true;
    const indices = new Set(nodes.filter((node) => node.kind === 'item').map((node) => node.index));
    for (const index of indices)
      if (index < least && this.isEmpty(this.itemOf(nodes, index), depth)) return true;
    return false;
  }

  /** What an alternative demands of the property of a name, if there is one. */
  propertyOf(nodes: readonly Node[], name: string): Expression {
    const values: Expression[] = [];
    for (const node of nodes) {
      if (node.kind === 'property' && node.name === name) values.push(node.value);
      if (node.kind === 'properties' && this.hasName(node.names, name)) values.push(node.value);
    }
    return this.#x.and(...values);
  }

  /** What an alternative demands of the item at an index, if there is one. */
  itemOf(nodes: readonly Node[], index: number): Expression {
    const values: Expression[] = [];
    for (const node of nodes) {
      if (node.kind === 'item' && node.index === index) values.push(node.value);
      if (node.kind === 'items' && node.from <= index) values.push(node.value);
    }
    return this.#x.and(...values);
  }
}

function contradictsInSize(nodes: readonly Node[]): boolean {
  let [least, most] = [0, Number.POSITIVE_INFINITY];
  const required = new Set<string>();
  for (const node of nodes) {
    if (node.kind === 'required') required.add(node.name);
    if (node.kind !== 'length' && node.kind !== 'size') continue;
    least = Math.max(least, node.min);
    most = Math.min(most, node.max);
  }
  return Math.max(least, required.size) > most;
}

/** Whether all of `some` is in `all`; equal sets only count where `orEqual`. */
function covers(some: ReadonlySet<number>, all: ReadonlySet<number>, orEqual: boolean): boolean {
  if (some.size > all.size || (some.size === all.size && !orEqual)) return false;
  for (const one of some) if (!all.has(one)) return false;
  return true;
}
