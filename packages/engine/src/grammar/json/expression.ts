// What a schema demands of a value, as a Boolean expression over conditions. A condition speaks about one type and holds
// for values of all others, as the keywords do. Negation is pushed down to conditions, each of which has a dual, so that
// expressions hold only "and" and "or". Equal expressions have equal numbers.
import type { Regular } from '../regular/regular.ts';
import { complementNumbers, type NumberSet, numberKey } from './number-set.ts';

/** Types as bits; true and false are two, so that what a schema says about them is a set of types. */
export const NULL = 1;
export const FALSE = 2;
export const TRUE = 4;
export const NUMBER = 8;
export const STRING = 16;
export const ARRAY = 32;
export const OBJECT = 64;
export const ALL_TYPES = 127;
export const BOOLEAN = FALSE | TRUE;

/** An expression by its number. */
export type Expression = number;

/** Every value; no value. */
export const ALL: Expression = 0;
export const NONE: Expression = 1;

/** A schema that is translated when it is needed: recursion goes through these. */
export interface Deferred {
  /** Its expression; the same at every call. */
  resolve(): Expression;
}

export type Node =
  | { readonly kind: 'all' | 'none' }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Expression[] }
  /** Exactly one of the parts, or none or several of them. */
  | { readonly kind: 'one'; readonly parts: readonly Expression[]; readonly negated: boolean }
  | { readonly kind: 'deferred'; readonly schema: Deferred; readonly negated: boolean }
  | { readonly kind: 'types'; readonly types: number }
  | { readonly kind: 'number'; readonly set: NumberSet }
  /** Exactly these texts, or all but these. */
  | { readonly kind: 'words'; readonly words: readonly string[]; readonly negated: boolean }
  /** Texts of a language over their spellings, or all others. */
  | { readonly kind: 'text'; readonly language: Regular; readonly negated: boolean }
  | { readonly kind: 'length'; readonly min: number; readonly max: number }
  | { readonly kind: 'item'; readonly index: number; readonly value: Expression }
  | { readonly kind: 'items'; readonly from: number; readonly value: Expression }
  | {
      readonly kind: 'contains';
      readonly from: number;
      readonly value: Expression;
      readonly min: number;
      readonly max: number;
    }
  | { readonly kind: 'unique' }
  | { readonly kind: 'size'; readonly min: number; readonly max: number }
  | { readonly kind: 'required'; readonly name: string }
  | { readonly kind: 'property'; readonly name: string; readonly value: Expression }
  /** All properties whose name, a string, is of the expression `names`. */
  | { readonly kind: 'properties'; readonly names: Expression; readonly value: Expression }
  /** At least one property with such a name and such a value. */
  | { readonly kind: 'some'; readonly names: Expression; readonly value: Expression }
  /** The order in which names are declared: demands nothing, and has no negation. */
  | { readonly kind: 'order'; readonly names: readonly string[] }
  /** With the one property, the other one is required. */
  | { readonly kind: 'needs'; readonly name: string; readonly other: string };

/** The type that a condition speaks about; 0 for those that are no condition. */
export function typeOf(kind: Node['kind']): number {
  switch (kind) {
    case 'number':
      return NUMBER;
    case 'words':
    case 'text':
      return STRING;
    case 'length':
    case 'item':
    case 'items':
    case 'contains':
    case 'unique':
      return ARRAY;
    case 'size':
    case 'required':
    case 'property':
    case 'properties':
    case 'some':
    case 'needs':
    case 'order':
      return OBJECT;
    default:
      return 0;
  }
}

/** Thrown where something cannot be made an automaton of bounded size. */
export class CannotEnforce extends Error {
  /** The keyword that asks for it, where it is known here. */
  readonly keyword: string | null;

  constructor(reason: string, keyword: string | null = null) {
    super(reason);
    this.keyword = keyword;
  }
}

/** More expressions than these are refused. */
const MOST = 200_000;

const INFINITY = Number.POSITIVE_INFINITY;

/** Makes expressions and keeps them. */
export class Expressions {
  readonly #nodes: Node[] = [{ kind: 'all' }, { kind: 'none' }];
  readonly #byKey = new Map<string, Expression>();
  readonly #negations = new Map<Expression, Expression>([
    [ALL, NONE],
    [NONE, ALL],
  ]);
  readonly #objects = new Map<object, number>();
  readonly #keepsOrder: boolean;

  /** `keepsOrder`: the order of declared names matters. */
  constructor(keepsOrder: boolean) {
    this.#keepsOrder = keepsOrder;
  }

  node(expression: Expression): Node {
    return this.#nodes[expression];
  }

  #intern(key: string, node: Node): Expression {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    if (this.#nodes.length >= MOST) throw new CannotEnforce(`more than ${MOST} conditions; simplify it`);
    this.#byKey.set(key, this.#nodes.length);
    return this.#nodes.push(node) - 1;
  }

  /** A number for an object, by identity. */
  #idOf(object: object): number {
    let id = this.#objects.get(object);
    if (id === undefined) {
      id = this.#objects.size;
      this.#objects.set(object, id);
    }
    return id;
  }

  and(...expressions: readonly Expression[]): Expression {
    const parts = new Set<Expression>();
    let types = ALL_TYPES;
    const take = (expression: Expression): void => {
      const node = this.#nodes[expression];
      if (node.kind === 'and') node.parts.forEach(take);
      else if (node.kind === 'types') types &= node.types;
      else if (expression !== ALL) parts.add(expression);
    };
    expressions.forEach(take);
    if (types === 0 || parts.has(NONE)) return NONE;
    if (types !== ALL_TYPES) parts.add(this.types(types));
    if (parts.size === 0) return ALL;
    const sorted = [...parts].sort((a, b) => a - b);
    return sorted.length === 1
      ? sorted[0]
      : this.#intern(`&${sorted.join()}`, { kind: 'and', parts: sorted });
  }

  or(...expressions: readonly Expression[]): Expression {
    const parts = new Set<Expression>();
    let types = 0;
    const take = (expression: Expression): void => {
      const node = this.#nodes[expression];
      if (node.kind === 'or') node.parts.forEach(take);
      else if (node.kind === 'types') types |= node.types;
      else if (expression !== NONE) parts.add(expression);
    };
    expressions.forEach(take);
    if (types === ALL_TYPES || parts.has(ALL)) return ALL;
    if (types !== 0) parts.add(this.types(types));
    if (parts.size === 0) return NONE;
    const sorted = [...parts].sort((a, b) => a - b);
    return sorted.length === 1 ? sorted[0] : this.#intern(`|${sorted.join()}`, { kind: 'or', parts: sorted });
  }

  /** Exactly one of the parts. It is resolved where a type is looked at: parts of other types exclude themselves. */
  one(parts: readonly Expression[], negated = false): Expression {
    if (parts.length === 1) return negated ? this.not(parts[0]) : parts[0];
    return this.#intern(`1${negated ? '-' : ''}${parts.join()}`, { kind: 'one', parts, negated });
  }

  types(types: number): Expression {
    if (types === ALL_TYPES) return ALL;
    return types === 0 ? NONE : this.#intern(`t${types}`, { kind: 'types', types });
  }

  deferred(schema: Deferred, negated = false): Expression {
    return this.#intern(`d${this.#idOf(schema)}${negated ? '-' : ''}`, { kind: 'deferred', schema, negated });
  }

  number(set: NumberSet): Expression {
    const key = set.map(({ low, high, multipleOf, notMultipleOf }) =>
      [
        low && `${low.open ? '(' : '['}${numberKey(low.at)}`,
        high && `${numberKey(high.at)}${high.open ? ')' : ']'}`,
        multipleOf && numberKey(multipleOf),
        ...notMultipleOf.map(numberKey),
      ].join(),
    );
    return this.#intern(`n${key.join(';')}`, { kind: 'number', set });
  }

  words(words: Iterable<string>, negated = false): Expression {
    const sorted = [...new Set(words)].sort();
    if (sorted.length === 0 && negated) return ALL;
    const key = `w${negated ? '-' : ''}${JSON.stringify(sorted)}`;
    return this.#intern(key, { kind: 'words', words: sorted, negated });
  }

  text(language: Regular, negated = false): Expression {
    const key = `x${this.#idOf(language)}${negated ? '-' : ''}`;
    return this.#intern(key, { kind: 'text', language, negated });
  }

  length(min: number, max: number): Expression {
    if (min <= 0 && max === INFINITY) return ALL;
    if (min > max) return this.types(ALL_TYPES & ~ARRAY);
    return this.#intern(`l${min},${max}`, { kind: 'length', min, max });
  }

  item(index: number, value: Expression): Expression {
    if (value === ALL) return ALL;
    if (value === NONE) return this.length(0, index);
    return this.#intern(`i${index},${value}`, { kind: 'item', index, value });
  }

  items(from: number, value: Expression): Expression {
    if (value === ALL) return ALL;
    if (value === NONE) return this.length(0, from);
    return this.#intern(`I${from},${value}`, { kind: 'items', from, value });
  }

  contains(from: number, value: Expression, min: number, max: number): Expression {
    if (min <= 0 && max === INFINITY) return ALL;
    if (min > max || (value === NONE && min > 0)) return this.types(ALL_TYPES & ~ARRAY);
    if (value === NONE) return ALL;
    if (value === ALL) return this.length(min === 0 ? 0 : from + min, from + max);
    return this.#intern(`c${from},${value},${min},${max}`, { kind: 'contains', from, value, min, max });
  }

  unique(): Expression {
    return this.#intern('u', { kind: 'unique' });
  }

  size(min: number, max: number): Expression {
    if (min <= 0 && max === INFINITY) return ALL;
    if (min > max) return this.types(ALL_TYPES & ~OBJECT);
    return this.#intern(`s${min},${max}`, { kind: 'size', min, max });
  }

  required(name: string): Expression {
    return this.#intern(`r${name}`, { kind: 'required', name });
  }

  property(name: string, value: Expression): Expression {
    if (value === ALL) return ALL;
    return this.#intern(`p${value},${name}`, { kind: 'property', name, value });
  }

  properties(names: Expression, value: Expression): Expression {
    if (value === ALL || names === NONE) return ALL;
    if (names === ALL && value === NONE) return this.size(0, 0);
    return this.#intern(`P${names},${value}`, { kind: 'properties', names, value });
  }

  some(names: Expression, value: Expression): Expression {
    if (value === NONE || names === NONE) return this.types(ALL_TYPES & ~OBJECT);
    if (names === ALL && value === ALL) return this.size(1, INFINITY);
    return this.#intern(`S${names},${value}`, { kind: 'some', names, value });
  }

  order(names: readonly string[]): Expression {
    if (!this.#keepsOrder || names.length < 2) return ALL;
    return this.#intern(`o${JSON.stringify(names)}`, { kind: 'order', names });
  }

  needs(name: string, other: string): Expression {
    return name === other
      ? ALL
      : this.#intern(`N${JSON.stringify([name, other])}`, { kind: 'needs', name, other });
  }

  not(expression: Expression): Expression {
    const known = this.#negations.get(expression);
    if (known !== undefined) return known;
    const negation = this.#negate(this.#nodes[expression]);
    this.#negations.set(expression, negation);
    return negation;
  }

  #negate(node: Node): Expression {
    switch (node.kind) {
      case 'and':
        return this.or(...node.parts.map((part) => this.not(part)));
      case 'or':
        return this.and(...node.parts.map((part) => this.not(part)));
      case 'one':
        return this.one(node.parts, !node.negated);
      case 'deferred':
        return this.deferred(node.schema, !node.negated);
      case 'types':
        return this.types(ALL_TYPES & ~node.types);
      default:
        return this.and(this.types(typeOf(node.kind)), this.#dual(node));
    }
  }

  /** The opposite of a condition, for values of its type. */
  #dual(node: Node): Expression {
    switch (node.kind) {
      case 'number':
        return this.number(complementNumbers(node.set));
      case 'words':
        return this.words(node.words, !node.negated);
      case 'text':
        return this.text(node.language, !node.negated);
      case 'length':
        return this.or(
          node.min > 0 ? this.length(0, node.min - 1) : NONE,
          node.max < INFINITY ? this.length(node.max + 1, INFINITY) : NONE,
        );
      case 'item':
        return this.and(this.length(node.index + 1, INFINITY), this.item(node.index, this.not(node.value)));
      case 'items':
        return this.contains(node.from, this.not(node.value), 1, INFINITY);
      case 'contains':
        return this.or(
          node.min > 0 ? this.contains(node.from, node.value, 0, node.min - 1) : NONE,
          node.max < INFINITY ? this.contains(node.from, node.value, node.max + 1, INFINITY) : NONE,
        );
      case 'size':
        return this.or(
          node.min > 0 ? this.size(0, node.min - 1) : NONE,
          node.max < INFINITY ? this.size(node.max + 1, INFINITY) : NONE,
        );
      case 'required':
        return this.property(node.name, NONE);
      case 'property':
        return this.and(this.required(node.name), this.property(node.name, this.not(node.value)));
      case 'properties':
        return this.some(node.names, this.not(node.value));
      case 'some':
        return this.properties(node.names, this.not(node.value));
      case 'needs':
        return this.and(this.required(node.name), this.property(node.other, NONE));
      case 'order':
        return NONE;
      case 'unique':
        throw new CannotEnforce('it is asked for only where it is not negated', 'uniqueItems');
      default:
        throw new Error(`${node.kind} has no dual`);
    }
  }
}
