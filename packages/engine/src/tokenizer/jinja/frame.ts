// Names while a template runs: one frame for each part that has names of its own.

import type { FrameSymbols } from './nodes.ts';
import type { Value } from './values.ts';

/** What was passed to the template, the functions that it has, and what it has set at its top. */
export type Context = Map<string, Value>;

export class Frame {
  readonly parent: Frame | null;
  readonly context: Context;
  /** Sets at the top are seen by {% block %}. */
  readonly isTop: boolean;
  /** Undefined: a name of this part that has no value yet. */
  readonly #values = new Map<string, Value | undefined>();

  constructor(parent: Frame | null, context: Context, symbols: FrameSymbols | null, isTop = false) {
    this.parent = parent;
    this.context = context;
    this.isTop = isTop;
    for (const [name, load] of symbols ?? []) {
      if (load === 'resolve') this.#values.set(name, context.get(name));
      else this.#values.set(name, load === 'alias' ? parent?.lookup(name) : undefined);
    }
  }

  /** Undefined where the name has no value. */
  lookup(name: string): Value | undefined {
    for (let frame: Frame | null = this; frame !== null; frame = frame.parent) {
      const value = frame.#values.get(name);
      if (value !== undefined || frame.#values.has(name)) return value;
    }
    return undefined;
  }

  set(name: string, value: Value | undefined): void {
    this.#values.set(name, value);
    if (this.isTop && value !== undefined) this.context.set(name, value);
  }

  /** The variables of a scoped block: the context, and what the parts around it have set. */
  scopedContext(): Context {
    const context: Context = new Map(this.parent?.scopedContext() ?? this.context);
    for (const [name, value] of this.#values) if (value !== undefined) context.set(name, value);
    return context;
  }
}
