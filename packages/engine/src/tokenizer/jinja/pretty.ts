// Values over several lines, as Python's `pprint.pformat` at its width of 80.

import { lengthOf, linesOf } from './characters.ts';
import type { Budget } from './limits.ts';
import { order } from './operators.ts';
import { quoted, repr } from './print.ts';
import { Dict, Tuple, type Value } from './values.ts';

const WIDTH = 80;

export function prettyPrinted(value: Value, budget: Budget): string {
  return new PrettyPrinter(budget).format(value, 0, 0, 0);
}

class PrettyPrinter {
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** `allowance`: characters that follow on the last line. */
  format(value: Value, indent: number, allowance: number, level: number): string {
    const line = this.#oneLine(value);
    if (lengthOf(line) <= WIDTH - indent - allowance) return line;
    if (typeof value === 'string') return this.#text(value, indent, allowance, level + 1);
    if (Array.isArray(value)) return `[${this.#items(value, indent, allowance + 1, level + 1)}]`;
    if (value instanceof Tuple) {
      const end = value.items.length === 1 ? ',)' : ')';
      return `(${this.#items(value.items, indent, allowance + end.length, level + 1)}${end}`;
    }
    return value instanceof Dict ? this.#dict(value, indent, allowance + 1, level + 1) : line;
  }

  #entries(dict: Dict): (readonly [Value, Value])[] {
    const entries = [...dict.entries()];
    try {
      return entries.sort(([a], [b]) => order(a, b, '<', this.#budget));
    } catch {
      return entries;
    }
  }

  /** repr, with the keys of dicts in order. */
  #oneLine(value: Value): string {
    const listed = (items: readonly Value[]) => items.map((item) => this.#oneLine(item)).join(', ');
    this.#budget.spend(1);
    if (Array.isArray(value)) return `[${listed(value)}]`;
    if (value instanceof Tuple) return `(${listed(value.items)}${value.items.length === 1 ? ',' : ''})`;
    if (!(value instanceof Dict)) return repr(value, this.#budget);
    return `{${this.#entries(value)
      .map(([key, item]) => `${this.#oneLine(key)}: ${this.#oneLine(item)}`)
      .join(', ')}}`;
  }

  #items(items: readonly Value[], indent: number, allowance: number, level: number): string {
    const line = `,\n${' '.repeat(indent + 1)}`;
    const last = items.length - 1;
    return items
      .map((item, i) => this.format(item, indent + 1, i === last ? allowance : 1, level))
      .join(line);
  }

  #dict(dict: Dict, indent: number, allowance: number, level: number): string {
    const entries = this.#entries(dict);
    const last = entries.length - 1;
    const parts = entries.map(([key, item], i) => {
      const name = this.#oneLine(key);
      return `${name}: ${this.format(item, indent + lengthOf(name) + 3, i === last ? allowance : 1, level)}`;
    });
    return `{${parts.join(`,\n${' '.repeat(indent + 1)}`)}}`;
  }

  #text(text: string, indent: number, allowance: number, level: number): string {
    if (level === 1) [indent, allowance] = [indent + 1, allowance + 1];
    const width = WIDTH - indent;
    const lines = linesOf(text, true);
    const chunks = lines.flatMap((line, i) => {
      const isLast = i === lines.length - 1;
      const whole = quoted(line, this.#budget);
      if (lengthOf(whole) <= width - (isLast ? allowance : 0)) return [whole];
      return this.#broken(line, width, isLast ? allowance : 0);
    });
    if (chunks.length === 1) return chunks[0]!;
    const joined = chunks.join(`\n${' '.repeat(indent)}`);
    return level === 1 ? `(${joined})` : joined;
  }

  /** A line in pieces of whole words. */
  #broken(line: string, width: number, allowance: number): string[] {
    const chunks: string[] = [];
    const words = line.match(/\S+\s*|\s+/g) ?? [];
    let current = '';
    for (const [i, word] of words.entries()) {
      const room = width - (i === words.length - 1 ? allowance : 0);
      if (lengthOf(quoted(current + word, this.#budget)) > room) {
        if (current !== '') chunks.push(quoted(current, this.#budget));
        current = word;
      } else current += word;
    }
    if (current !== '') chunks.push(quoted(current, this.#budget));
    return chunks;
  }
}
