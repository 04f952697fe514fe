// JSON from files that are not trusted. JSON.parse alone is not enough: its messages do not always say where
// the fault is, it keeps the last of two equal keys silently, and it accepts any depth, on which later
// recursion would fail. So the text is checked first, in one pass, by the grammar of RFC 8259.
//
// Three words beyond it are read: Python writes bare Infinity, -Infinity and NaN (config.json of Nemotron-H and
// Mamba-2). Each becomes what transformers 5 writes instead, {"__float__": "Infinity"}, so that it means nothing
// where a number is expected, and JSON.stringify keeps it.

import { FormatError } from '../errors.ts';
import { readAll } from './byte-source.ts';
import { impostor } from './impostors.ts';
import type { ByteSource, JsonObject, JsonValue } from './types.ts';

export interface JsonRules {
  /** Objects and arrays within each other. Default: 64. */
  readonly maxDepth?: number;
  /**
   * A key that an object has twice: refused (default), or its last value counts, as in Python, for files that
   * people write.
   */
  readonly repeatedKeys?: 'refused' | 'last';
}

const DEFAULT_DEPTH = 64;

/** Reads and parses a whole file that must hold one JSON object. Throws FormatError with line and column. */
export async function readJsonObject(
  source: ByteSource,
  { maxBytes, ...rules }: JsonRules & { readonly maxBytes: number },
): Promise<JsonObject> {
  return parseJsonObject(source.name, await readAll(source, maxBytes), rules);
}

/** Reads and parses a whole file that holds JSON of any kind. Throws FormatError with line and column. */
export async function readJsonValue(
  source: ByteSource,
  { maxBytes, ...rules }: JsonRules & { readonly maxBytes: number },
): Promise<JsonValue> {
  return parseJson(source.name, await readAll(source, maxBytes), rules);
}

/** Throws FormatError: where the text breaks the grammar, or what the file is instead. */
export function parseJsonObject(name: string, bytes: Uint8Array, rules: JsonRules = {}): JsonObject {
  const value = parseJson(name, bytes, rules);
  if (isJsonObject(value)) return value;
  throw new FormatError(
    `${name}: expected a JSON object, found another value. This is not a file of the expected kind.`,
  );
}

function parseJson(name: string, bytes: Uint8Array, rules: JsonRules): JsonValue {
  const text = decodeUtf8(name, bytes);
  const check = new JsonCheck(text, rules);
  const problem = check.run();
  if (problem !== null) {
    const other = impostor(name, 'a JSON file', bytes, bytes.byteLength);
    if (other) throw other;
    throw new FormatError(
      `${name}: ${describePosition(text, problem.at)}: expected ${problem.expected}, ` +
        `found ${describeFound(text, problem.at)}. Mend the text there, or fetch the file again.`,
    );
  }
  return JSON.parse(withWords(text, check.words)) as JsonValue;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Throws FormatError for bytes that are not UTF-8. A byte order mark is dropped. */
export function decodeUtf8(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw (
      impostor(name, 'text in UTF-8', bytes, bytes.byteLength) ??
      new FormatError(
        `${name}: expected text in UTF-8, found other bytes. Save it in UTF-8, or fetch it again.`,
        { cause },
      )
    );
  }
}

const WORD = /-?Infinity|NaN/y;

function withWords(text: string, words: readonly number[]): string {
  let [result, end] = ['', 0];
  for (const at of words) {
    WORD.lastIndex = at;
    const [word] = WORD.exec(text)!;
    result += `${text.slice(end, at)}{"__float__":"${word}"}`;
    end = at + word.length;
  }
  return result + text.slice(end);
}

function describePosition(text: string, at: number): string {
  let line = 1;
  let lineStart = 0;
  for (let i = text.indexOf('\n'); i !== -1 && i < at; i = text.indexOf('\n', i + 1)) {
    line++;
    lineStart = i + 1;
  }
  return `line ${line}, column ${at - lineStart + 1} (position ${at})`;
}

function describeFound(text: string, at: number): string {
  return at >= text.length ? 'the end of the file' : JSON.stringify(text.slice(at, at + 16));
}

interface JsonProblem {
  readonly at: number;
  readonly expected: string;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** A validating pass over JSON text; recursion is bounded by maxDepth. */
class JsonCheck {
  /** Where the words of Python stand. */
  readonly words: number[] = [];
  readonly #text: string;
  readonly #maxDepth: number;
  readonly #once: boolean;
  #at = 0;
  #problem: JsonProblem | null = null;

  constructor(text: string, { maxDepth = DEFAULT_DEPTH, repeatedKeys = 'refused' }: JsonRules) {
    this.#text = text;
    this.#maxDepth = maxDepth;
    this.#once = repeatedKeys === 'refused';
  }

  run(): JsonProblem | null {
    if (this.#value(0)) {
      this.#space();
      if (this.#at < this.#text.length) this.#fail('nothing after the value');
    }
    return this.#problem;
  }

  #fail(expected: string, at = this.#at): false {
    this.#problem = { at, expected };
    return false;
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  /** Skips space, then takes the character when it comes next. */
  #take(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #value(depth: number): boolean {
    this.#space();
    const character = this.#text[this.#at];
    if (character === '"') return this.#string();
    if (character !== '{' && character !== '[') return this.#literal();
    if (depth === this.#maxDepth) return this.#fail(`values nested at most ${this.#maxDepth} deep`);
    this.#at++;
    return character === '{' ? this.#members(depth + 1) : this.#elements(depth + 1);
  }

  #members(depth: number): boolean {
    if (this.#take('}')) return true;
    const keys = new Set<string>();
    for (;;) {
      this.#space();
      const start = this.#at;
      if (this.#text[start] !== '"') return this.#fail('a key in quotes');
      if (!this.#string()) return false;
      const key = this.#text.slice(start, this.#at);
      // Escapes can spell one key in two ways.
      const name = key.includes('\\') ? (JSON.parse(key) as string) : key.slice(1, -1);
      if (this.#once && keys.has(name)) return this.#fail('every key once', start);
      keys.add(name);
      if (!this.#take(':')) return this.#fail("':'");
      if (!this.#value(depth)) return false;
      if (this.#take('}')) return true;
      if (!this.#take(',')) return this.#fail("',' or '}'");
    }
  }

  #elements(depth: number): boolean {
    if (this.#take(']')) return true;
    for (;;) {
      if (!this.#value(depth)) return false;
      if (this.#take(']')) return true;
      if (!this.#take(',')) return this.#fail("',' or ']'");
    }
  }

  #string(): boolean {
    const text = this.#text;
    const start = this.#at;
    for (let at = start + 1; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        this.#at = at + 1;
        return true;
      }
      if (code < 0x20) return this.#fail('control characters in text to be escaped', at);
      if (code !== BACKSLASH) continue;
      const next = text[at + 1] ?? '';
      if (next === 'u') {
        if (!/^[0-9a-fA-F]{4}$/.test(text.slice(at + 2, at + 6)))
          return this.#fail('four hex digits after \\u', at);
        at += 5;
      } else {
        if (next === '' || !'"\\/bfnrt'.includes(next)) return this.#fail('an escape that JSON knows', at);
        at++;
      }
    }
    return this.#fail('text that ends in quotes', start);
  }

  #literal(): boolean {
    WORD.lastIndex = this.#at;
    if (WORD.test(this.#text)) {
      this.words.push(this.#at);
      this.#at = WORD.lastIndex;
      return true;
    }
    const pattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null/y;
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return this.#fail('a JSON value');
    this.#at = pattern.lastIndex;
    return true;
  }
}
