// What a machine remembers of the objects and arrays that it is inside of. Frames are interned: equal ones are one
// object, so that ways that come to the same place become one.

import { DEFAULT_LIMITS, tooLarge } from '../limits.ts';
import type { ArrayRule, KeyClass, NamedKey, ObjectRule, ValueRule } from './rules.ts';
import { type ArrayState, advance, choicesAt, countValues, finishes, mayEnd } from './rules-array.ts';
import { classLives, nameLives } from './rules-object.ts';
import { countTexts } from './text-language.ts';
import { arrayValue, objectValue, withoutValues } from './unique.ts';

/** A set of texts; equal sets are one object. */
export interface TextSet {
  readonly id: number;
  readonly texts: ReadonlySet<string>;
  readonly larger: Map<string, TextSet>;
}

export interface ObjectFrame {
  readonly kind: 'object';
  readonly id: number;
  readonly rule: ObjectRule;
  /** The keys that were written. */
  readonly written: TextSet;
  /** Obligations that are still to be met, as bits. */
  readonly open: number;
  /** The place in the declared order up to which keys have been passed; 0 where the order is free. */
  readonly passed: number;
  readonly parent: Frame;
  /** What was written, where the whole value must be told from others; else null. */
  readonly content: ObjectContent | null;
  /** Answers about keys by name. */
  readonly allowed: Map<string, boolean>;
}

export interface ArrayFrame {
  readonly kind: 'array';
  readonly id: number;
  readonly rule: ArrayRule;
  readonly state: ArrayState;
  /** Values that were written, where they must differ. */
  readonly seen: TextSet;
  readonly parent: Frame;
  /** Keys of the items, where the whole value must be told from others; else null. */
  readonly content: readonly string[] | null;
}

/** Properties with the keys of their values; the last one's value is still to come while it is null. */
type ObjectContent = readonly (readonly [name: string, value: string | null])[];

type WholeContent = readonly (readonly [name: string, value: string])[];

/** Whether the key of a value at this place is asked for. */
export const wantsValue = (frame: Frame): boolean =>
  frame !== null && (frame.content !== null || (frame.kind === 'array' && frame.rule.unique));

/** Null outside of the outermost value. */
export type Frame = ObjectFrame | ArrayFrame | null;

/** Keys in the order in which the schema lists them, the free ones last; or in any order. */
export type PropertyOrder = 'declared' | 'any';

/** Keys of one object; each takes a copy of those before it. */
const MOST_KEYS = 2000;
/** Values of one array that must differ: each is read beside an exception for every other. */
const MOST_DIFFERENT = 1000;
/** Texts in all sets together, some 50 bytes each. */
const MOST_REMEMBERED = 4_000_000;
const SUBJECT = { ...DEFAULT_LIMITS, subject: 'text' };

export class Frames {
  readonly #order: PropertyOrder;
  readonly #known = new Map<string, ObjectFrame | ArrayFrame>();
  readonly #sets = new Map<string, TextSet>();
  readonly #empty: TextSet;
  readonly #fresh = new Map<string, ValueRule>();
  #ids = 1;
  #freshIds = 0;
  /** Texts of all sets. */
  #remembered = 0;

  constructor(order: PropertyOrder) {
    this.#order = order;
    this.#empty = this.#set([]);
  }

  #set(texts: readonly string[]): TextSet {
    const key = JSON.stringify(texts);
    let set = this.#sets.get(key);
    if (set === undefined) {
      set = { id: this.#sets.size, texts: new Set(texts), larger: new Map() };
      this.#sets.set(key, set);
    }
    return set;
  }

  #with(set: TextSet, text: string, most: number): TextSet {
    let larger = set.larger.get(text);
    if (larger === undefined) {
      this.#remembered += set.texts.size + 1;
      if (set.texts.size >= most) throw tooLarge(SUBJECT, 'keys or different values in one place', most);
      if (this.#remembered > MOST_REMEMBERED)
        throw tooLarge(SUBJECT, 'keys and different values to remember', MOST_REMEMBERED);
      larger = this.#set([...set.texts, text].sort());
      set.larger.set(text, larger);
    }
    return larger;
  }

  object(rule: ObjectRule, parent: Frame): ObjectFrame {
    const content = wantsValue(parent) ? [] : null;
    return this.#object({
      rule,
      written: this.#empty,
      open: (1 << rule.obligations.length) - 1,
      passed: 0,
      parent,
      content,
    });
  }

  #object(parts: Omit<ObjectFrame, 'kind' | 'id' | 'allowed'>): ObjectFrame {
    const { rule, written, open, passed, parent, content } = parts;
    const key = `o${rule.id},${written.id},${open},${passed},${parent?.id ?? 0},${content === null ? '' : JSON.stringify(content)}`;
    const known = this.#known.get(key);
    if (known?.kind === 'object') return known;
    const id = this.#ids++;
    const frame: ObjectFrame = { ...parts, kind: 'object', id, allowed: new Map() };
    this.#known.set(key, frame);
    return frame;
  }

  array(rule: ArrayRule, parent: Frame): ArrayFrame {
    const state = { index: 0, counts: rule.counters.map(() => 0) };
    return this.#array({ rule, state, seen: this.#empty, parent, content: wantsValue(parent) ? [] : null });
  }

  #array(parts: Omit<ArrayFrame, 'kind' | 'id'>): ArrayFrame {
    const { rule, state, seen, parent, content } = parts;
    const key = `a${rule.id},${state.index}:${state.counts.join()},${seen.id},${parent?.id ?? 0},${content === null ? '' : JSON.stringify(content)}`;
    const known = this.#known.get(key);
    if (known?.kind === 'array') return known;
    const frame: ArrayFrame = { ...parts, kind: 'array', id: this.#ids++ };
    this.#known.set(key, frame);
    return frame;
  }

  /** The frame after a key was written; `meets` are obligations that its value meets. */
  afterKey(frame: ObjectFrame, key: string, meets: number): ObjectFrame {
    const { rule } = frame;
    const passed = this.#order === 'any' ? 0 : (rule.names.get(key)?.index ?? rule.names.size) + 1;
    const content = frame.content && [...frame.content, [key, null] as const];
    return this.#object({
      ...frame,
      written: this.#with(frame.written, key, MOST_KEYS),
      open: frame.open & ~meets,
      passed,
      content,
    });
  }

  /** The ways to go on with another item, each with the frame that it leads to. */
  nextItems(frame: ArrayFrame): readonly { readonly rule: ValueRule; readonly frame: ArrayFrame }[] {
    const { rule, state, seen } = frame;
    if (state.index >= rule.max) return [];
    const ways: { rule: ValueRule; frame: ArrayFrame }[] = [];
    for (const choice of choicesAt(rule, state.index)) {
      const next = choice.rule.lives ? advance(rule, state, choice) : null;
      if (next === null || !finishes(rule, next)) continue;
      if (rule.unique && !this.#hasFresh(choice.rule, seen)) continue;
      ways.push({
        rule: rule.unique ? this.fresh(choice.rule, seen) : choice.rule,
        frame: this.#array({ ...frame, state: next }),
      });
    }
    return ways;
  }

  /** Whether some value of the rule is not among those that were seen. */
  #hasFresh(rule: ValueRule, seen: TextSet): boolean {
    return countValues(rule, seen.texts.size) > seen.texts.size || this.fresh(rule, seen).lives;
  }

  /** The rule without the values that were seen. */
  fresh(rule: ValueRule, seen: TextSet): ValueRule {
    if (seen.texts.size === 0) return rule;
    const key = `${rule.id},${seen.id}`;
    let fresh = this.#fresh.get(key);
    if (fresh === undefined) {
      fresh = withoutValues(rule, seen.texts, --this.#freshIds);
      this.#fresh.set(key, fresh);
    }
    return fresh;
  }

  /** The frame after a value with this key; null where the value was there before and must not be. */
  afterValue(frame: ObjectFrame | ArrayFrame, value: string): ObjectFrame | ArrayFrame | null {
    if (frame.kind === 'object') {
      if (frame.content === null) return frame;
      const [name] = frame.content[frame.content.length - 1];
      return this.#object({ ...frame, content: [...frame.content.slice(0, -1), [name, value]] });
    }
    const { rule, seen, content } = frame;
    if (!rule.unique && content === null) return frame;
    if (rule.unique && seen.texts.has(value)) return null;
    return this.#array({
      ...frame,
      seen: rule.unique ? this.#with(seen, value, MOST_DIFFERENT) : seen,
      content: content && [...content, value],
    });
  }

  /** The key of a whole object or array; anything where nobody asks for it. */
  valueOf(frame: ObjectFrame | ArrayFrame): string {
    if (frame.content === null) return '';
    return frame.kind === 'array' ? arrayValue(frame.content) : objectValue(frame.content as WholeContent);
  }

  /** Whether an object may end here. */
  objectEnds({ rule, written, open }: ObjectFrame): boolean {
    return (
      open === 0 &&
      written.texts.size >= rule.min &&
      rule.required.every((name) => written.texts.has(name)) &&
      [...written.texts].every((name) => hasAll(rule.names.get(name)?.closure ?? [], written))
    );
  }

  arrayEnds({ rule, state }: ArrayFrame): boolean {
    return mayEnd(rule, state);
  }

  /** Whether another key may be written. */
  hasNextKey(frame: ObjectFrame): boolean {
    for (const name of frame.rule.names.keys()) if (this.nameIsAllowed(frame, name)) return true;
    return frame.rule.classes.some((one) => this.classIsAllowed(frame, one));
  }

  /** Whether a known name may come next, so that the object can still be finished. */
  nameIsAllowed(frame: ObjectFrame, name: string): boolean {
    let allowed = frame.allowed.get(name);
    if (allowed === undefined) {
      allowed = this.#nameIsAllowed(frame, frame.rule.names.get(name)!);
      frame.allowed.set(name, allowed);
    }
    return allowed;
  }

  #nameIsAllowed(frame: ObjectFrame, key: NamedKey): boolean {
    const { rule, written, passed } = frame;
    if (written.texts.has(key.name) || !nameLives(rule, key)) return false;
    const needed = this.#needed(frame);
    for (const name of key.closure) if (!written.texts.has(name)) needed.add(name);
    needed.delete(key.name);
    if (this.#order === 'declared') {
      if (key.index < passed) return false;
      for (const name of needed) if (rule.names.get(name)!.index < key.index) return false;
    }
    return this.#fits(frame, needed.size, key.index + 1);
  }

  /** Names that are still to be written. */
  #needed({ rule, written }: ObjectFrame): Set<string> {
    const needed = new Set(rule.required);
    for (const name of written.texts)
      for (const other of rule.names.get(name)?.closure ?? []) needed.add(other);
    for (const name of written.texts) needed.delete(name);
    return needed;
  }

  /** Whether the upper bound can be kept after another free key, with these obligations left. */
  fitsOpen(frame: ObjectFrame, open: number): boolean {
    const { rule, written } = frame;
    if (rule.max === Number.POSITIVE_INFINITY) return true;
    return written.texts.size + 1 + this.#needed(frame).size + (open === 0 ? 0 : 1) <= rule.max;
  }

  /** Whether the bounds can be kept after one more key, with so many others to come after it. */
  #fits({ rule, written, open }: ObjectFrame, needed: number, passed: number): boolean {
    const count = written.texts.size + 1;
    if (count + needed + (open === 0 ? 0 : 1) > rule.max) return false;
    if (this.#order === 'any' || count + needed >= rule.min) return true;
    // Keys that were passed over are lost.
    let left = 0;
    for (const key of rule.names.values()) if (key.index >= passed && nameLives(rule, key)) left++;
    if (count + left >= rule.min) return true;
    const free = [...written.texts].filter((name) => !rule.names.has(name)).length;
    const most = rule.min + free;
    for (const one of rule.classes) if (classLives(one)) left += countTexts(one.language, most);
    return count + left - free >= rule.min;
  }

  /** Whether a key of the class may come next; that it differs from those written is the reader's care. */
  classIsAllowed(frame: ObjectFrame, one: KeyClass): boolean {
    const { rule, open } = frame;
    if (!classLives(one)) return false;
    const needed = this.#needed(frame).size;
    if (this.#order === 'declared' && needed > 0) return false;
    const meets = one.choices.reduce((all, choice) => (choice.rule.lives ? all | choice.meets : all), 0);
    return this.#fits({ ...frame, open: open & ~meets }, needed, rule.names.size);
  }
}

function hasAll(names: readonly string[], set: TextSet): boolean {
  return names.every((name) => set.texts.has(name));
}
