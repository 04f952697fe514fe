// One byte further: what becomes of a thread.
import type { Lexeme } from '../machine.ts';
import { Dfa } from '../regular/dfa.ts';
import { either } from '../regular/regular.ts';
import { type ArrayFrame, type Frame, type Frames, type ObjectFrame, wantsValue } from './frames.ts';
import { NumberReader, type NumberSpelling } from './number-text.ts';
import type { KeyClass, ValueRule } from './rules.ts';
import { bytesAsText, spelledText, unspell } from './spellings.ts';
import { ANY_STRING_DFA, andTexts, regularOf, type TextLanguage, textsFrom } from './text-language.ts';
import { CONSTANTS, type KeyPlace, type Thread, type ThreadPool, UNTRACKED } from './threads.ts';
import { constantValue, numberValue, textValue } from './unique.ts';
import { WordList, type WordPlace } from './words.ts';

const encoder = new TextEncoder();

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/** Whitespace between the parts of a text: none, or any that JSON allows. */
export type Whitespace = 'compact' | 'flexible';

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
const NOWHERE: readonly Thread[] = [];

export class Stepper {
  readonly #frames: Frames;
  readonly #threads: ThreadPool;
  readonly #flexible: boolean;
  readonly #numbers: NumberSpelling;
  /** The keys that may come next in an object, by what it holds. */
  readonly #keys = new Map<string, Dfa>();
  /** The bytes of keys. */
  readonly #bytesOf = new Map<string, string>();

  constructor(frames: Frames, threads: ThreadPool, whitespace: Whitespace, numbers: NumberSpelling) {
    this.#frames = frames;
    this.#threads = threads;
    this.#flexible = whitespace === 'flexible';
    this.#numbers = numbers;
  }

  /** The threads that a thread becomes. */
  step(thread: Thread, byte: number): readonly Thread[] {
    switch (thread.kind) {
      case 'value':
        return this.#skips(byte) ? [thread] : this.#value(thread.rule, thread.frame, byte);
      case 'constant':
        return this.#constant(thread, byte);
      case 'number':
        return this.#number(thread, byte);
      case 'word':
        return this.#word(thread, byte);
      case 'text':
        return this.#text(thread, byte);
      case 'key':
        return this.#key(thread, byte);
      case 'colon':
        if (this.#skips(byte)) return [thread];
        return byte === COLON ? [this.#threads.intern({ ...thread, kind: 'value' })] : NOWHERE;
      case 'closed':
        if (this.#skips(byte)) return [thread];
        return byte === COLON ? this.#freeValues(thread) : NOWHERE;
      case 'end':
        return this.#skips(byte) ? [thread] : NOWHERE;
      default:
        if (this.#skips(byte)) return [thread];
        return thread.frame.kind === 'object'
          ? this.#inObject(thread.kind, thread.frame, byte)
          : this.#inArray(thread.kind, thread.frame, byte);
    }
  }

  #skips(byte: number): boolean {
    return this.#flexible && isSpace(byte);
  }

  /** The first byte of a value. */
  #value(rule: ValueRule, frame: Frame, byte: number): readonly Thread[] {
    const threads = this.#threads;
    if (byte === QUOTE) return this.#textStart(rule, frame);
    if (byte === OPEN_OBJECT) {
      return rule.objects.map((one) =>
        threads.intern({ kind: 'start', frame: this.#frames.object(one, frame) }),
      );
    }
    if (byte === OPEN_LIST)
      return rule.arrays.map((one) =>
        threads.intern({ kind: 'start', frame: this.#frames.array(one, frame) }),
      );
    const constant = CONSTANTS.get(byte);
    if (constant !== undefined) {
      const [type, rest] = constant;
      return (rule.constants & type) === 0
        ? NOWHERE
        : [threads.intern({ kind: 'constant', rest, type, frame })];
    }
    if (rule.numbers.length === 0 || !(byte === 0x2d || (byte >= 0x30 && byte <= 0x39))) return NOWHERE;
    rule.numberReader ??= new NumberReader(rule.numbers, this.#numbers);
    const reader = rule.numberReader;
    return this.#digit({ reader, place: reader.start, raw: '', frame }, byte);
  }

  #textStart(rule: ValueRule, frame: Frame): readonly Thread[] {
    const { texts } = rule;
    if (texts.kind === 'words') {
      rule.wordList ??= new WordList(texts.words);
      const list = rule.wordList;
      return list.words.length === 0
        ? NOWHERE
        : [this.#threads.intern({ kind: 'word', list, place: list.start, frame })];
    }
    const dfa = texts.kind === 'regular' ? texts.dfa : ANY_STRING_DFA;
    const except = texts.kind === 'others' && texts.except.size > 0 ? texts.except : null;
    if (dfa.start === 0) return NOWHERE;
    return [this.#threads.intern({ kind: 'text', dfa, state: dfa.start, except, raw: '', frame })];
  }

  #constant(thread: Extract<Thread, { kind: 'constant' }>, byte: number): readonly Thread[] {
    const { rest, type, frame } = thread;
    if (rest.charCodeAt(0) !== byte) return NOWHERE;
    if (rest.length > 1) return [this.#threads.intern({ ...thread, rest: rest.slice(1) })];
    return this.#afterValue(frame, constantValue(type));
  }

  #digit(
    {
      reader,
      place,
      raw,
      frame,
    }: Pick<Extract<Thread, { kind: 'number' }>, 'reader' | 'place' | 'raw' | 'frame'>,
    byte: number,
  ): readonly Thread[] {
    const next = reader.step(place, byte);
    if (next === null) return NOWHERE;
    const text = wantsValue(frame) ? raw + String.fromCharCode(byte) : '';
    return [this.#threads.intern({ kind: 'number', reader, place: next, raw: text, frame })];
  }

  /** A number ends where something follows that is none of it. */
  #number(thread: Extract<Thread, { kind: 'number' }>, byte: number): readonly Thread[] {
    const { place, raw, frame } = thread;
    const longer = this.#digit(thread, byte);
    if (longer.length > 0 || !place.ends) return longer;
    return this.#afterValue(frame, raw === '' ? '' : numberValue(raw)).flatMap((after) =>
      this.step(after, byte),
    );
  }

  #word({ list, place, frame }: Extract<Thread, { kind: 'word' }>, byte: number): readonly Thread[] {
    if (byte === QUOTE && place.pending === '') {
      const index = list.ends(place);
      return index < 0 ? NOWHERE : this.#afterValue(frame, textValue(list.words[index]));
    }
    const next = list.step(place, byte);
    return next === null ? NOWHERE : [this.#threads.intern({ kind: 'word', list, place: next, frame })];
  }

  #text(thread: Extract<Thread, { kind: 'text' }>, byte: number): readonly Thread[] {
    const { dfa, state, except, raw, frame } = thread;
    const next = dfa.step(state, byte);
    if (next !== 0) {
      const isKept = except !== null || wantsValue(frame);
      return [
        this.#threads.intern({ ...thread, state: next, raw: isKept ? raw + String.fromCharCode(byte) : '' }),
      ];
    }
    if (byte !== QUOTE || !dfa.accepts(state)) return NOWHERE;
    if (except === null && !wantsValue(frame)) return this.#afterValue(frame, '');
    const text = unspell(raw);
    return except?.has(text) ? NOWHERE : this.#afterValue(frame, textValue(text));
  }

  /** The thread after a whole value, which may be one that was there before and must not be. */
  #afterValue(frame: Frame, value: string): readonly Thread[] {
    if (frame === null) return [this.#threads.intern({ kind: 'end' })];
    const after = this.#frames.afterValue(frame, value);
    return after === null ? NOWHERE : [this.#threads.intern({ kind: 'after', frame: after })];
  }

  #inArray(kind: 'start' | 'after' | 'next', frame: ArrayFrame, byte: number): readonly Thread[] {
    if (byte === CLOSE_LIST)
      return this.#frames.arrayEnds(frame)
        ? this.#afterValue(frame.parent, this.#frames.valueOf(frame))
        : NOWHERE;
    if (kind === 'after' && byte !== COMMA) return NOWHERE;
    const values = this.#frames
      .nextItems(frame)
      .map((way) => this.#threads.intern({ kind: 'value', rule: way.rule, frame: way.frame }));
    return kind === 'after' ? values : values.flatMap((value) => this.step(value, byte));
  }

  #inObject(kind: 'start' | 'after' | 'next', frame: ObjectFrame, byte: number): readonly Thread[] {
    if (byte === CLOSE_OBJECT && kind !== 'next')
      return this.#frames.objectEnds(frame)
        ? this.#afterValue(frame.parent, this.#frames.valueOf(frame))
        : NOWHERE;
    if (kind === 'after')
      return byte === COMMA && this.#frames.hasNextKey(frame)
        ? [this.#threads.intern({ kind: 'next', frame })]
        : NOWHERE;
    return byte === QUOTE ? this.#keyStart(frame) : NOWHERE;
  }

  #keyStart(frame: ObjectFrame): readonly Thread[] {
    const { wordList, classes } = frame.rule;
    const states = classes.map((one) => (this.#frames.classIsAllowed(frame, one) ? dfaOf(one).start : 0));
    const key = this.#keyAt(frame, wordList.start, states, '');
    return key === null ? NOWHERE : [this.#threads.intern({ kind: 'key', key, frame })];
  }

  /** What can still become a key of the frame; null where nothing can. */
  #keyAt(
    frame: ObjectFrame,
    place: WordPlace | null,
    states: readonly number[],
    raw: string,
  ): KeyPlace | null {
    const named = place !== null && this.#hasAllowedWord(frame, place) ? place : null;
    const { classes } = frame.rule;
    const living = states.map((state, i) =>
      state !== 0 && this.#hasFreshKey(frame, classes[i], state, raw) ? state : 0,
    );
    if (living.some((state) => state !== 0)) return { place: named, states: living, raw, next: new Map() };
    return named === null ? null : { place: named, states: [], raw: '', next: null };
  }

  #hasAllowedWord(frame: ObjectFrame, place: WordPlace): boolean {
    const { words } = frame.rule.wordList;
    for (let i = place.from; i < place.to; i++) {
      // A word that ends here has no further character to be spelled.
      if (this.#frames.nameIsAllowed(frame, words[i])) return true;
    }
    return false;
  }

  /** Whether some key of the class that goes on so was not written yet. */
  #hasFreshKey(frame: ObjectFrame, one: KeyClass, state: number, raw: string): boolean {
    const written = frame.written.texts;
    if (one.language.kind !== 'regular' || written.size === 0) return true;
    const texts = textsFrom(one.language.dfa, state, raw, written.size + 1);
    return texts === null || texts.some((text) => !written.has(text));
  }

  #key({ key, frame }: Extract<Thread, { kind: 'key' }>, byte: number): readonly Thread[] {
    const { place, states, raw } = key;
    const { wordList, classes } = frame.rule;
    // Within an escape a quote is part of the key.
    const isEscaped =
      place !== null
        ? place.pending !== ''
        : states.some((state, i) => state !== 0 && dfaOf(classes[i]).step(state, QUOTE) !== 0);
    if (byte === QUOTE && !isEscaped) return this.#keyEnd(key, frame);
    if (raw === UNTRACKED) return this.#untracked(key, frame, byte);
    const known = key.next?.get(byte);
    if (known !== undefined) return [known];
    const next = this.#keyAt(
      frame,
      place === null ? null : wordList.step(place, byte),
      states.map((state, i) => (state === 0 ? 0 : dfaOf(classes[i]).step(state, byte))),
      raw + String.fromCharCode(byte),
    );
    if (next === null) return NOWHERE;
    if (next.next === null || key.next === null)
      return [this.#threads.intern({ kind: 'key', key: next, frame })];
    const thread = this.#threads.make({ kind: 'key', key: next, frame });
    key.next.set(byte, thread);
    return [thread];
  }

  #utf8(text: string): string {
    const bytes = this.#bytesOf.get(text) ?? bytesAsText(encoder.encode(text));
    this.#bytesOf.set(text, bytes);
    return bytes;
  }

  /** One byte further in a key that is not remembered. */
  #untracked(key: KeyPlace, frame: ObjectFrame, byte: number): readonly Thread[] {
    const { classes } = frame.rule;
    const states = key.states.map((state, i) => (state === 0 ? 0 : dfaOf(classes[i]).step(state, byte)));
    if (states.every((state) => state === 0)) return NOWHERE;
    return [this.#threads.intern({ kind: 'key', key: { ...key, states }, frame })];
  }

  /**
   * The thread without the key that it is inside of, where that key is like none that the object must not have: what
   * may follow for a while is the same. Otherwise the thread itself.
   */
  forget(thread: Thread): Thread {
    if (thread.kind !== 'key' || thread.key.next === null || thread.key.place !== null) return thread;
    const { key, frame } = thread;
    const { states, raw } = key;
    if (raw.includes('\\')) return thread;
    const isLikeIt = (text: string) => this.#utf8(text).startsWith(raw);
    for (const text of frame.written.texts) if (isLikeIt(text)) return thread;
    for (let i = 0; i < states.length; i++) {
      if (states[i] === 0) continue;
      const { language } = frame.rule.classes[i];
      if (language.kind !== 'others') return thread;
      for (const text of language.except) if (isLikeIt(text)) return thread;
    }
    return this.#threads.intern({
      kind: 'key',
      key: { place: null, states, raw: UNTRACKED, next: null },
      frame,
    });
  }

  /**
   * The place among all keys that may be written now, where patterns say which; null where none does. Its automaton is
   * exact: it holds neither keys that were written nor those that cannot be.
   */
  keyLexeme({ key, frame }: Extract<Thread, { kind: 'key' }>): Lexeme | null {
    if (!key.states.some((state) => state !== 0)) return null;
    const { rule, written, open, passed } = frame;
    const id = `${rule.id},${written.id},${open},${passed}`;
    let dfa = this.#keys.get(id);
    if (dfa === undefined) {
      const free: TextLanguage = { kind: 'others', except: written.texts };
      const classes = rule.classes.filter((one) => this.#frames.classIsAllowed(frame, one));
      const names = [...rule.names.keys()].filter((name) => this.#frames.nameIsAllowed(frame, name));
      dfa = new Dfa(
        either(
          ...classes.map((one) => regularOf(andTexts([one.language, free]))),
          ...names.map((name) => spelledText(name)),
        ),
      );
      this.#keys.set(id, dfa);
    }
    const state = dfa.run(
      dfa.start,
      Array.from(key.raw, (unit) => unit.charCodeAt(0)),
    );
    return { dfa, state, isQuoted: true };
  }

  #keyEnd({ place, states, raw }: KeyPlace, frame: ObjectFrame): readonly Thread[] {
    const { wordList, names, classes } = frame.rule;
    const index = place === null ? -1 : wordList.ends(place);
    if (index >= 0 && this.#frames.nameIsAllowed(frame, wordList.words[index])) {
      const name = wordList.words[index];
      return [this.#colon(names.get(name)!.rule, this.#frames.afterKey(frame, name, 0))];
    }
    const threads: Thread[] = [];
    let name: string | null = null;
    for (let i = 0; i < states.length; i++) {
      if (states[i] === 0 || !dfaOf(classes[i]).accepts(states[i])) continue;
      name ??= raw === UNTRACKED ? UNTRACKED : unspell(raw);
      const { language } = classes[i];
      if (frame.written.texts.has(name) || (language.kind === 'others' && language.except.has(name)))
        continue;
      if (this.#choices(frame, classes[i]).length === 0) continue;
      threads.push(this.#threads.intern({ kind: 'closed', name, keyClass: classes[i], frame }));
    }
    return threads;
  }

  /** Which rules a free key's value may follow, by the obligations that it meets. */
  #choices(frame: ObjectFrame, { choices }: KeyClass): KeyClass['choices'] {
    return choices.filter(
      ({ meets, rule }) =>
        rule.lives && (meets & ~frame.open) === 0 && this.#frames.fitsOpen(frame, frame.open & ~meets),
    );
  }

  #freeValues({ name, keyClass, frame }: Extract<Thread, { kind: 'closed' }>): readonly Thread[] {
    return this.#choices(frame, keyClass).map(({ meets, rule }) =>
      this.#threads.intern({ kind: 'value', rule, frame: this.#frames.afterKey(frame, name, meets) }),
    );
  }

  #colon(rule: ValueRule, frame: ObjectFrame): Thread {
    return this.#threads.intern({ kind: 'colon', rule, frame });
  }

  /** Whether a text may end with this thread. */
  ends(thread: Thread): boolean {
    return thread.kind === 'end' || (thread.kind === 'number' && thread.frame === null && thread.place.ends);
  }
}

/** What reads the spellings of a class; names that it must not be are looked at where they end. */
export const dfaOf = ({ language }: KeyClass): Dfa =>
  language.kind === 'regular' ? language.dfa : ANY_STRING_DFA;
