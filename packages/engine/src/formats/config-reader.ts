// Typed, bounded access to a model's configuration, whether it came from config.json or from GGUF metadata. A
// wrong value is an error that names the file, the field, what was expected and what was found.
import { ModelError } from '../errors.ts';
import type { MetadataValue } from './gguf-values.ts';
import type { JsonObject } from './types.ts';

/** Larger than any size of any model; keeps products of two sizes exact. */
const MAX_SIZE = 2 ** 24;

/** A value as messages quote it: JSON, cut short; whole numbers of 64 bits as digits, also in lists. */
export function shownValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  const digits = (_: string, inner: unknown) => (typeof inner === 'bigint' ? Number(inner) : inner);
  return typeof value === 'bigint' ? `${value}` : (JSON.stringify(value, digits)?.slice(0, 120) ?? 'nothing');
}

export class ConfigReader {
  readonly file: string;
  /** What the file says that its model is, for messages about missing fields: "model_type mamba". */
  kind: string | null = null;
  readonly #value: (field: string) => unknown;
  readonly #read = new Set<string>();
  readonly #objects = new Map<string, ConfigReader>();
  /** Fields that were asked for and are absent, and the value that was taken instead. */
  readonly defaults = new Map<string, string | number | boolean>();
  /** What was taken for values that mean nothing, for the user. */
  notes: string[] = [];

  constructor(file: string, get: (field: string) => unknown) {
    this.file = file;
    this.#value = get;
  }

  #get(field: string): unknown {
    this.#read.add(field);
    return this.#value(field);
  }

  static ofJson(file: string, config: JsonObject): ConfigReader {
    return new ConfigReader(file, (field) => (Object.hasOwn(config, field) ? config[field] : undefined));
  }

  static ofMetadata(file: string, metadata: ReadonlyMap<string, MetadataValue>): ConfigReader {
    return new ConfigReader(file, (field) => metadata.get(field));
  }

  fail(
    field: string,
    expected: string,
    found: unknown,
    remedy = found === undefined
      ? `The field is missing: add it, or check that the file is whole${this.kind ? ` and ${this.kind} right` : ''}.`
      : 'The value is wrong, or of a variant that is not supported.',
  ): never {
    throw new ModelError(
      `${this.file}: ${field}: expected ${expected}, found ${shownValue(found)}. ${remedy}`,
    );
  }

  #default<T extends string | number | boolean>(field: string, value: T): T {
    this.defaults.set(field, value);
    return value;
  }

  has(field: string): boolean {
    const value = this.#get(field);
    return value !== undefined && value !== null;
  }

  raw(field: string): unknown {
    return this.#get(field);
  }

  /** A whole number from 1 to `max`; with a fallback, an absent or null field is the fallback. */
  size(field: string, fallback?: number, max = MAX_SIZE): number {
    return this.integer(field, 1, max, fallback);
  }

  integer(field: string, min: number, max: number, fallback?: number): number {
    const value = this.#get(field);
    if ((value === undefined || value === null) && fallback !== undefined)
      return this.#default(field, fallback);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
      this.fail(field, `a whole number from ${min} to ${max}`, value);
    return value;
  }

  number(field: string, min: number, max: number, fallback?: number): number {
    const value = this.#get(field);
    if ((value === undefined || value === null) && fallback !== undefined)
      return this.#default(field, fallback);
    if (typeof value !== 'number' || !(value >= min && value <= max))
      this.fail(field, `a number from ${min} to ${max}`, value);
    return value;
  }

  flag(field: string, fallback: boolean): boolean {
    const value = this.#get(field);
    if (value === undefined || value === null) return this.#default(field, fallback);
    if (typeof value !== 'boolean') this.fail(field, 'true or false', value);
    return value;
  }

  text<T extends string>(field: string, allowed: readonly T[], fallback?: T): T {
    const value = this.#get(field);
    if ((value === undefined || value === null) && fallback !== undefined)
      return this.#default(field, fallback);
    const known = allowed.find((a) => a === value);
    if (known === undefined) this.fail(field, `one of ${allowed.join(', ')}`, value);
    return known;
  }

  /**
   * Refuses fields that change numbers and that nothing here computes: each may be absent, null, or one of
   * the values with which it changes nothing.
   */
  refuse(fields: Readonly<Record<string, readonly (string | number | boolean)[]>>): void {
    for (const [field, harmless] of Object.entries(fields)) {
      const value = this.#get(field);
      if (value === undefined || value === null || harmless.some((one) => one === value)) continue;
      const expected = ['nothing', ...harmless.map((one) => JSON.stringify(one))].join(' or ');
      this.fail(
        field,
        expected,
        value,
        'It changes what the model computes, in a way that is not supported.',
      );
    }
  }

  /** The same for fields that nothing has read, here and in the objects that were read. */
  refuseUnread(fields: Parameters<ConfigReader['refuse']>[0]): void {
    this.refuse(Object.fromEntries(Object.entries(fields).filter(([field]) => !this.#read.has(field))));
    for (const inner of this.#objects.values()) inner.refuseUnread(fields);
  }

  hasRead(field: string): boolean {
    return this.#read.has(field) || [...this.#objects.values()].some((inner) => inner.hasRead(field));
  }

  /** A number, or a list of `length` of them: GGUF gives per-layer values as a list. */
  perLayer(field: string, length: number, min: number, max: number, fallback?: number): number[] {
    const value = this.#get(field);
    if (!Array.isArray(value)) return new Array<number>(length).fill(this.integer(field, min, max, fallback));
    if (value.length !== length)
      this.fail(field, `${length} values, one per layer`, `${value.length} values`);
    return value.map((v: unknown) => {
      if (typeof v !== 'number' || !Number.isInteger(v) || v < min || v > max)
        this.fail(field, `whole numbers from ${min} to ${max}`, v);
      return v;
    });
  }

  /** A size of one layer, where GGUF may give a list with one value per layer (0 for those without the part). */
  layerSize(field: string, layer: number, layers: number, fallback?: number): number {
    const value = this.#get(field);
    if (!Array.isArray(value)) return this.size(field, fallback);
    const size = this.perLayer(field, layers, 0, MAX_SIZE)[layer]!;
    return size || this.fail(field, `a size of layer ${layer} from 1 to ${MAX_SIZE}`, size);
  }

  /** The same where all layers that have the part must have one size. */
  sharedSize(field: string, layers: number): number {
    const value = this.#get(field);
    if (!Array.isArray(value)) return this.size(field);
    const sizes = new Set(this.perLayer(field, layers, 0, MAX_SIZE).filter((size) => size > 0));
    const [size] = sizes;
    if (size === undefined || sizes.size > 1)
      return this.fail(field, 'one size in all layers (others are not supported)', value);
    return size;
  }

  /**
   * A token id, a list of them, or nothing. Ids outside the vocabulary mean none, with a note; −1 and its
   * unsigned forms (GGUF) without.
   */
  tokens(field: string, vocabularySize: number): number[] {
    const value = this.#get(field);
    if (value === undefined || value === null) return [];
    const numbers = (Array.isArray(value) ? value : [value]).map((v: unknown) =>
      typeof v === 'bigint' ? Number(BigInt.asIntN(64, v)) : v,
    );
    return numbers.filter((v): v is number => {
      if (typeof v !== 'number' || !Number.isInteger(v))
        this.fail(field, `token ids below the vocabulary size ${vocabularySize}`, v);
      if (v >= 0 && v < vocabularySize) return true;
      if (v !== -1 && v !== 0xffffffff)
        this.notes.push(`${field} is ${v}, of a vocabulary of ${vocabularySize}: taken as none`);
      return false;
    });
  }

  object(field: string): ConfigReader | null {
    const value = this.#get(field);
    if (value === undefined || value === null) return null;
    if (typeof value !== 'object' || Array.isArray(value)) this.fail(field, 'an object', value);
    const reader =
      this.#objects.get(field) ?? ConfigReader.ofJson(`${this.file}: ${field}`, value as JsonObject);
    this.#objects.set(field, reader);
    reader.notes = this.notes;
    return reader;
  }
}
