// The ways in which a text that has begun may go on: each is one alternative at every level of the values that are open,
// a place in the text and the frames around it. A machine follows all that are possible side by side. Every thread can be
// finished: nothing is entered that could not.
import type { Dfa } from '../regular/dfa.ts';
import { FALSE, NULL, TRUE } from './expression.ts';
import type { ArrayFrame, Frame, ObjectFrame } from './frames.ts';
import type { NumberPlace, NumberReader } from './number-text.ts';
import type { KeyClass, ValueRule } from './rules.ts';
import type { WordList, WordPlace } from './words.ts';

export type Thread =
  /** Before a value. */
  | { readonly kind: 'value'; readonly id: number; readonly rule: ValueRule; readonly frame: Frame }
  /** Inside of null, true or false: what is left of it. */
  | {
      readonly kind: 'constant';
      readonly id: number;
      readonly rest: string;
      readonly type: number;
      readonly frame: Frame;
    }
  | {
      readonly kind: 'number';
      readonly id: number;
      readonly reader: NumberReader;
      readonly place: NumberPlace;
      /** The whole text, where values must differ. */
      readonly raw: string;
      readonly frame: Frame;
    }
  /** Inside of a text that is one of a few. */
  | {
      readonly kind: 'word';
      readonly id: number;
      readonly list: WordList;
      readonly place: WordPlace;
      readonly frame: Frame;
    }
  /** Inside of a text of a language. */
  | {
      readonly kind: 'text';
      readonly id: number;
      readonly dfa: Dfa;
      readonly state: number;
      /** Texts that it must not be, where the automaton does not know. */
      readonly except: ReadonlySet<string> | null;
      /** The spelling so far, where it matters. */
      readonly raw: string;
      readonly frame: Frame;
    }
  | { readonly kind: 'key'; readonly id: number; readonly key: KeyPlace; readonly frame: ObjectFrame }
  /** After a key that is of no known name: before its colon. What it means for the object is only looked at there. */
  | {
      readonly kind: 'closed';
      readonly id: number;
      readonly name: string;
      readonly keyClass: KeyClass;
      readonly frame: ObjectFrame;
    }
  /** After a key of a known name: before the colon and the value. */
  | { readonly kind: 'colon'; readonly id: number; readonly rule: ValueRule; readonly frame: ObjectFrame }
  /** After { or [, after a value, after a comma in an object. */
  | {
      readonly kind: 'start' | 'after' | 'next';
      readonly id: number;
      readonly frame: ObjectFrame | ArrayFrame;
    }
  /** After the outermost value. */
  | { readonly kind: 'end'; readonly id: number };

/**
 * Stands for the spelling of a free key that is like no other, in states that only live for a token's length: no text
 * holds half a surrogate pair.
 */
export const UNTRACKED = '\ud800';

/** A place inside of a key. */
export interface KeyPlace {
  /** Among the known names; null where none of them goes on so. */
  readonly place: WordPlace | null;
  /** The state in the automaton of each class of free keys; 0 where none goes on so. */
  readonly states: readonly number[];
  /** The spelling so far, where free keys are possible: it must be remembered. Or UNTRACKED. */
  readonly raw: string;
  /** Where free keys are possible, the places after one more byte: their texts are too many to be looked up. */
  readonly next: Map<number, Thread> | null;
}

/** The words of JSON, by their first letter's byte. */
export const CONSTANTS: ReadonlyMap<number, readonly [type: number, rest: string]> = new Map([
  [0x6e, [NULL, 'ull']],
  [0x66, [FALSE, 'alse']],
  [0x74, [TRUE, 'rue']],
]);

/** A thread without its number. */
type Unnumbered<T> = T extends unknown ? Omit<T, 'id'> : never;
export type ThreadParts = Unnumbered<Thread>;

/** Gives equal threads one object. */
export class ThreadPool {
  readonly #byKey = new Map<string, Thread>();
  #ids = 1;

  intern(parts: ThreadParts): Thread {
    const key = this.#keyOf(parts);
    let thread = this.#byKey.get(key);
    if (thread === undefined) {
      thread = this.make(parts);
      this.#byKey.set(key, thread);
    }
    return thread;
  }

  /** A thread that its maker keeps, and makes only once. */
  make(parts: ThreadParts): Thread {
    return { ...parts, id: this.#ids++ } as Thread;
  }

  readonly #objects = new Map<object, number>();

  #idOf(object: object): number {
    let id = this.#objects.get(object);
    if (id === undefined) {
      id = this.#objects.size;
      this.#objects.set(object, id);
    }
    return id;
  }

  #keyOf(parts: ThreadParts): string {
    switch (parts.kind) {
      case 'value':
      case 'colon':
        return `${parts.kind}${parts.rule.id},${parts.frame?.id ?? 0}`;
      case 'constant':
        return `c${parts.rest}${parts.type},${parts.frame?.id ?? 0}`;
      case 'number':
        return `n${this.#idOf(parts.place)},${parts.frame?.id ?? 0},${parts.raw}`;
      case 'word':
        return `w${this.#idOf(parts.place)},${parts.frame?.id ?? 0}`;
      case 'text': {
        const except = parts.except === null ? '' : this.#idOf(parts.except);
        return `t${this.#idOf(parts.dfa)},${parts.state},${except},${parts.frame?.id ?? 0},${parts.raw}`;
      }
      case 'key': {
        const { place, states, raw } = parts.key;
        return `k${parts.frame.id},${place === null ? '' : this.#idOf(place)},${states.join()},${raw}`;
      }
      case 'start':
      case 'after':
      case 'next':
        return `${parts.kind}${parts.frame.id}`;
      case 'closed':
        return `x${parts.frame.id},${this.#idOf(parts.keyClass)},${parts.name}`;
      case 'end':
        return 'end';
    }
  }
}
