// JSON as Python's json module writes and reads it: 1.0 stays 1.0, integers keep their digits.

import { isDigit } from './characters.ts';
import { fail, LimitError } from './errors.ts';
import type { Budget } from './limits.ts';
import { floatText } from './numbers.ts';
import { order } from './operators.ts';
import { Dict, Tuple, textOf, typeName, type Value } from './values.ts';

export interface DumpOptions {
  readonly ensureAscii: boolean;
  /** Null: all on one line. */
  readonly indent: string | null;
  readonly itemSeparator: string;
  readonly keySeparator: string;
  readonly sortKeys: boolean;
}

/** json.dumps(value) */
export function dumps(value: Value, options: DumpOptions, budget: Budget): string {
  return new Writer(options, budget).write(value, 0);
}

class Writer {
  readonly #options: DumpOptions;
  readonly #budget: Budget;

  constructor(options: DumpOptions, budget: Budget) {
    this.#options = options;
    this.#budget = budget;
  }

  write(value: Value, level: number): string {
    this.#budget.spend(1);
    const text = textOf(value);
    if (text !== null) return jsonString(text, this.#options.ensureAscii, this.#budget);
    if (value === null) return 'null';
    if (typeof value === 'boolean') return value ? 'true' : 'false';
    if (typeof value === 'bigint') return value.toString();
    if (typeof value === 'number') return jsonFloat(value);
    if (Array.isArray(value)) return this.#list(value, level);
    if (value instanceof Tuple) return this.#list(value.items, level);
    if (value instanceof Dict) return this.#object(value, level);
    return fail('TypeError', `Object of type ${typeName(value)} is not JSON serializable`);
  }

  #list(items: readonly Value[], level: number): string {
    return this.#joined(
      '[',
      ']',
      items.map((item) => this.write(item, level + 1)),
      level,
    );
  }

  #object(dict: Dict, level: number): string {
    const entries = [...dict.entries()];
    if (this.#options.sortKeys) entries.sort(([a], [b]) => order(a, b, '<', this.#budget));
    const parts = entries.map(([key, value]) => {
      const name = jsonString(keyText(key), this.#options.ensureAscii, this.#budget);
      return name + this.#options.keySeparator + this.write(value, level + 1);
    });
    return this.#joined('{', '}', parts, level);
  }

  #joined(open: string, close: string, parts: readonly string[], level: number): string {
    if (parts.length === 0) return open + close;
    const { indent, itemSeparator } = this.#options;
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    this.#budget.text(length + parts.length * (itemSeparator.length + (indent?.length ?? 0) * (level + 1)));
    if (indent === null) return open + parts.join(itemSeparator) + close;
    const line = `\n${indent.repeat(level + 1)}`;
    return `${open}${line}${parts.join(itemSeparator + line)}\n${indent.repeat(level)}${close}`;
  }
}

function jsonFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (Number.isFinite(value)) return floatText(value);
  return value > 0 ? 'Infinity' : '-Infinity';
}

function keyText(key: Value): string {
  const text = textOf(key);
  if (text !== null) return text;
  if (key === null) return 'null';
  if (typeof key === 'boolean') return key ? 'true' : 'false';
  if (typeof key === 'bigint') return key.toString();
  if (typeof key === 'number') return jsonFloat(key);
  return fail('TypeError', `keys must be str, int, float, bool or None, not ${typeName(key)}`);
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\f': '\\f',
  '\b': '\\b',
};

const unit = (letter: string): string => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;

function jsonString(text: string, ensureAscii: boolean, budget: Budget): string {
  budget.text(text.length);
  const escaped = text.replace(
    ensureAscii ? /["\\]|[^ -~]/g : /["\\\p{Cc}]/gu,
    (letter) => ESCAPES[letter] ?? (ensureAscii || letter < ' ' ? unit(letter) : letter),
  );
  return `"${escaped}"`;
}

const DEEPEST = 64;

/**
 * The object that `text` holds, with JSON's integers as int and its fractions as float; null where it is none.
 * `rewrite` gets every text in it, keys included.
 */
export function loadsObject(text: string, rewrite: (text: string) => string): Dict | null {
  try {
    const value = new Reader(text, rewrite).document();
    return value instanceof Dict ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof LimitError) return null;
    throw error;
  }
}

class Reader {
  readonly #text: string;
  readonly #rewrite: (text: string) => string;
  #at = 0;

  constructor(text: string, rewrite: (text: string) => string) {
    this.#text = text;
    this.#rewrite = rewrite;
  }

  document(): Value {
    const value = this.#value(0);
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#refuse();
    return value;
  }

  #refuse(): never {
    throw new SyntaxError(`not JSON at ${this.#at}`);
  }

  #skipSpace(): void {
    while (' \t\n\r'.includes(this.#text[this.#at] ?? 'x')) this.#at++;
  }

  #take(word: string): boolean {
    const found = this.#text.startsWith(word, this.#at);
    if (found) this.#at += word.length;
    return found;
  }

  #value(depth: number): Value {
    if (depth > DEEPEST) throw new LimitError(`JSON nested more than ${DEEPEST} deep`);
    this.#skipSpace();
    if (this.#text[this.#at] === '"') return this.#rewrite(this.#string());
    if (this.#take('{')) return this.#object(depth);
    if (this.#take('[')) return this.#list(depth);
    if (this.#take('true')) return true;
    if (this.#take('false')) return false;
    return this.#take('null') ? null : this.#number();
  }

  #object(depth: number): Dict {
    const dict = new Dict();
    this.#skipSpace();
    if (this.#take('}')) return dict;
    do {
      this.#skipSpace();
      const key = this.#string();
      this.#skipSpace();
      if (!this.#take(':')) this.#refuse();
      dict.set(this.#rewrite(key), this.#value(depth + 1));
      this.#skipSpace();
    } while (this.#take(','));
    if (!this.#take('}')) this.#refuse();
    return dict;
  }

  #list(depth: number): Value[] {
    const items: Value[] = [];
    this.#skipSpace();
    if (this.#take(']')) return items;
    do {
      items.push(this.#value(depth + 1));
      this.#skipSpace();
    } while (this.#take(','));
    if (!this.#take(']')) this.#refuse();
    return items;
  }

  /** JSON.parse knows the escapes. */
  #string(): string {
    const start = this.#at;
    if (this.#text[start] !== '"') this.#refuse();
    for (this.#at++; this.#text[this.#at] !== '"'; this.#at++) {
      if (this.#at >= this.#text.length) this.#refuse();
      if (this.#text[this.#at] === '\\') this.#at++;
    }
    this.#at++;
    return JSON.parse(this.#text.slice(start, this.#at)) as string;
  }

  #digits(): number {
    const start = this.#at;
    while (isDigit(this.#text.charCodeAt(this.#at))) this.#at++;
    return this.#at - start;
  }

  #number(): Value {
    const start = this.#at;
    this.#take('-');
    const leading = this.#text[this.#at];
    const whole = this.#digits();
    if (whole === 0 || (leading === '0' && whole > 1)) this.#refuse();
    let isFloat = false;
    if (this.#take('.')) {
      isFloat = true;
      if (this.#digits() === 0) this.#refuse();
    }
    if (this.#take('e') || this.#take('E')) {
      isFloat = true;
      if (!this.#take('+')) this.#take('-');
      if (this.#digits() === 0) this.#refuse();
    }
    const text = this.#text.slice(start, this.#at);
    // Python refuses integers of more than 4,300 digits.
    if (!isFloat && text.length > 4300) this.#refuse();
    return isFloat ? Number(text) : BigInt(text);
  }
}
