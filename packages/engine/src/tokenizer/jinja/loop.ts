// `loop` inside {% for %}.

import { fail } from './errors.ts';
import { iterable, sizeOf } from './iterate.ts';
import type { Budget } from './limits.ts';
import { equal } from './operators.ts';
import { Attributes, Callable, type Native, orElse, Tuple, Undefined, type Value } from './values.ts';

/** Renders the loop's body over other items, one level deeper. */
export type Recurse = (items: Value, depth: number) => Value;

export class LoopContext extends Attributes {
  readonly typeName = 'LoopContext';
  readonly #budget: Budget;
  readonly #recurse: Recurse | null;
  readonly #depth: number;
  #iterator: Iterator<Value>;
  #length: number | null;
  #index = -1;
  #before: Value | undefined;
  #current: Value | undefined;
  /** The next item, where it was looked at; null: there is none. */
  #after: { item: Value } | null | undefined;
  #lastChanged: readonly Value[] | null = null;

  constructor(items: Value, recurse: Recurse | null, depth: number, budget: Budget) {
    super();
    this.#budget = budget;
    this.#recurse = recurse;
    this.#depth = depth;
    this.#length = sizeOf(items, budget);
    this.#iterator = iterable(items, budget)[Symbol.iterator]();
  }

  #take(): { item: Value } | null {
    this.#budget.spend(1);
    const { done, value } = this.#iterator.next();
    return done ? null : { item: value };
  }

  /** Goes to the next item; null behind the last. */
  next(): { item: Value } | null {
    const next = this.#after === undefined ? this.#take() : this.#after;
    this.#after = undefined;
    if (next === null) return null;
    this.#index++;
    this.#before = this.#current;
    this.#current = next.item;
    return next;
  }

  #peek(): { item: Value } | null {
    if (this.#after === undefined) this.#after = this.#take();
    return this.#after;
  }

  #size(): number {
    if (this.#length === null) {
      const rest: Value[] = [];
      for (let next = this.#take(); next !== null; next = this.#take()) rest.push(next.item);
      this.#length = rest.length + this.#index + 1 + (this.#after ? 1 : 0);
      this.#iterator = rest[Symbol.iterator]();
    }
    return this.#length;
  }

  attribute(name: string): Value | undefined {
    switch (name) {
      case 'index':
        return BigInt(this.#index + 1);
      case 'index0':
        return BigInt(this.#index);
      case 'revindex':
        return BigInt(this.#size() - this.#index);
      case 'revindex0':
        return BigInt(this.#size() - this.#index - 1);
      case 'first':
        return this.#index === 0;
      case 'last':
        return this.#peek() === null;
      case 'length':
        return BigInt(this.#size());
      case 'depth':
        return BigInt(this.#depth + 1);
      case 'depth0':
        return BigInt(this.#depth);
      case 'previtem':
        return this.#index === 0 ? new Undefined('there is no previous item') : this.#before;
      case 'nextitem':
        return orElse(this.#peek()?.item, () => new Undefined('there is no next item'));
      case 'cycle':
        return new Callable(name, this.#cycle, 'method');
      case 'changed':
        return new Callable(name, this.#changed, 'method');
      default:
        return undefined;
    }
  }

  readonly #cycle: Native = (args) => {
    if (args.length === 0) fail('TypeError', 'no items for cycling given');
    return args[this.#index % args.length]!;
  };

  readonly #changed: Native = (args) => {
    const same =
      this.#lastChanged !== null && equal(new Tuple(this.#lastChanged), new Tuple(args), this.#budget);
    this.#lastChanged = [...args];
    return !same;
  };

  override readonly run: Native = ([items = null]) => {
    if (this.#recurse === null)
      return fail('TypeError', "The loop must have the 'recursive' marker to be called recursively.");
    return this.#recurse(items, this.#depth + 1);
  };

  printed(): string {
    return `<LoopContext ${this.#index + 1}/${this.#size()}>`;
  }
}
