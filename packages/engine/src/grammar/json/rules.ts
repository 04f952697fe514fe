// The compiled form of a schema: for each demand on a value a rule with what it leaves of every type. Rules refer to each
// other, also in circles. `lives` says that some value keeps the rule; the machine only ever follows rules that live.
import type { Expression, Expressions } from './expression.ts';
import type { NumberSet } from './number-set.ts';
import type { NumberReader } from './number-text.ts';
import type { Shapes } from './shapes.ts';
import type { TextLanguage } from './text-language.ts';
import type { WordList } from './words.ts';

/** What a value must be. */
export interface ValueRule {
  readonly id: number;
  readonly expression: Expression;
  lives: boolean;
  /** Which of null, false and true belong, as type bits. */
  readonly constants: number;
  readonly numbers: NumberSet;
  readonly texts: TextLanguage;
  /** Readers are made when a text first comes to them. */
  numberReader: NumberReader | null;
  wordList: WordList | null;
  arrays: readonly ArrayRule[];
  objects: readonly ObjectRule[];
}

/** One choice for an item: its rule, and the counters that it moves. */
export interface ItemChoice {
  readonly rule: ValueRule;
  readonly counts: readonly boolean[];
}

/** How many items of a kind an array must have. */
export interface Counter {
  readonly min: number;
  readonly max: number;
}

export interface ArrayRule {
  readonly id: number;
  readonly min: number;
  readonly max: number;
  /** The choices for the first items, and, last, for all others. */
  readonly items: readonly (readonly ItemChoice[])[];
  readonly counters: readonly Counter[];
  readonly unique: boolean;
  /** Where counters matter: whether an array can be finished after so many items with these counts. */
  readonly finishes: Map<string, boolean>;
}

/** A key that the schema knows by name. */
export interface NamedKey {
  readonly name: string;
  /** Its place in the declared order. */
  readonly index: number;
  readonly rule: ValueRule;
  /** Names that are required once this one is there, itself included. */
  closure: readonly string[];
}

/** Keys that are not known by name and whose values have one rule. */
export interface KeyClass {
  readonly language: TextLanguage;
  /** Rules by the obligations that the property meets, as bits; none is the first. */
  readonly choices: readonly { readonly meets: number; readonly rule: ValueRule }[];
}

export interface ObjectRule {
  readonly id: number;
  readonly names: ReadonlyMap<string, NamedKey>;
  readonly wordList: WordList;
  readonly classes: readonly KeyClass[];
  readonly required: readonly string[];
  readonly min: number;
  readonly max: number;
  /** For each property of any free name that has to be there: which names will do. */
  readonly obligations: readonly TextLanguage[];
}

/** What making the rules of arrays and objects has at hand. */
export interface RuleMaker {
  readonly x: Expressions;
  readonly shapes: Shapes;
  /** A number that no other rule has. */
  nextId(): number;
  /** The rule of an expression; its parts are made later. */
  rule(expression: Expression): ValueRule;
}
