// Reads values of unknown JSON with the path of the field in every message, so that a broken tokenizer file
// is refused with "tokenizer.json: model.merges[7]: expected …, found …".

import { FormatError } from '../errors.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** A place in a file: its name and the path of a field in it. */
export class Place {
  readonly file: string;
  readonly path: string;

  constructor(file: string, path = '') {
    this.file = file;
    this.path = path;
  }

  at(key: string | number): Place {
    if (typeof key === 'number') return new Place(this.file, `${this.path}[${key}]`);
    return new Place(this.file, this.path === '' ? key : `${this.path}.${key}`);
  }

  error(message: string): FormatError {
    return new FormatError(`${this.file}: ${this.path === '' ? 'document' : this.path}: ${message}`);
  }

  expected(what: string, found: unknown): FormatError {
    return this.error(`expected ${what}, found ${describe(found)}. Use the file that came with the model.`);
  }
}

/** A short picture of any value for a message: never long, never throwing. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  return String(value);
}

export function asObject(value: unknown, place: Place): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw place.expected('an object', value);
  return value as Fields;
}

export function asList(value: unknown, place: Place): readonly unknown[] {
  if (!Array.isArray(value)) throw place.expected('a list', value);
  return value;
}

export function asString(value: unknown, place: Place): string {
  if (typeof value !== 'string') throw place.expected('a text', value);
  return value;
}

/** An integer from 0 to `highest`. */
export function asCount(value: unknown, highest: number, place: Place): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > highest) {
    throw place.expected(`a whole number from 0 to ${highest}`, value);
  }
  return value;
}

/** Own property only, so that a field called `constructor` is not found in a plain object. */
export function field(object: Fields, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

export function optionalString(object: Fields, key: string, place: Place): string | null {
  const value = field(object, key);
  return value === undefined || value === null ? null : asString(value, place.at(key));
}

export function flag(object: Fields, key: string, fallback: boolean, place: Place): boolean {
  const value = field(object, key);
  if (value === undefined || value === null) return fallback;
  if (typeof value !== 'boolean') throw place.at(key).expected('true or false', value);
  return value;
}

/** The `type` of a tokenizer component. */
export function typeOf(component: Fields, place: Place): string {
  return asString(field(component, 'type'), place.at('type'));
}
