// How templates print values, as Python's str and repr do: `None`, `True`, lists and objects with their
// quotes. @huggingface/jinja prints them as JavaScript does, or not at all.

/** A value of the interpreter: its kind, and what it holds. */
export interface TemplateValue {
  readonly type: string;
  readonly value: unknown;
}

/** str(value); an undefined one is no text, as in Jinja. */
export function printed(value: TemplateValue): string {
  return typeof value.value === 'string' ? value.value : quoted(value);
}

/** repr(value) */
function quoted({ type, value }: TemplateValue): string {
  if (typeof value === 'string') return quotedText(value);
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return number(value, type === 'FloatValue');
  if (value instanceof Map) {
    const entries = [...(value as Map<string, TemplateValue>)];
    return `{${entries.map(([key, held]) => `${quotedText(key)}: ${quoted(held)}`).join(', ')}}`;
  }
  if (Array.isArray(value)) {
    const items = (value as TemplateValue[]).map(quoted);
    if (type !== 'TupleValue') return `[${items.join(', ')}]`;
    return items.length === 1 ? `(${items[0]},)` : `(${items.join(', ')})`;
  }
  return type === 'NullValue' ? 'None' : '';
}

/** Python writes exponents from 1e16 up and below 1e-4, with two digits at least. */
function number(value: number, isFloat: boolean): string {
  if (!isFloat || !Number.isFinite(value)) return `${value}`;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16))
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  return Number.isInteger(value) ? value.toFixed(1) : `${value}`;
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Single quotes, unless only those are inside. */
function quotedText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inside = text
    .replace(/[\\\n\r\t]/g, (character) => ESCAPES[character]!)
    .replaceAll(quote, () => `\\${quote}`);
  return quote + inside + quote;
}

/** `text` without the characters of `set` at its ends. */
export function stripped(text: string, method: 'strip' | 'lstrip' | 'rstrip', set: string): string {
  const characters = [...text];
  let start = 0;
  let end = characters.length;
  if (method !== 'rstrip') while (start < end && set.includes(characters[start]!)) start++;
  if (method !== 'lstrip') while (end > start && set.includes(characters[end - 1]!)) end--;
  return characters.slice(start, end).join('');
}
