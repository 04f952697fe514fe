// A schema as a tree of places with addresses: which URI each subschema is resolved against, what $id and $anchor name,
// where a $ref leads. Nothing is fetched: a reference to another document is refused by name.
import { GrammarError } from '../../errors.ts';

export type JsonObject = { readonly [key: string]: Json };
/** Whole numbers that no double holds are bigints. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;

/** Which reading of keywords `$schema` asks for. */
export type Dialect =
  /** Drafts 4 to 7: $ref hides its siblings, $id may be an anchor. */
  | 'draft-7'
  /** Draft 2019-09, 2020-12, and what names none. */
  | '2020-12';

/** A subschema and where it stands. */
export interface Site {
  readonly schema: Json;
  /** Its JSON pointer in the document. */
  readonly pointer: string;
  /** The URI that its references are resolved against, without fragment. */
  readonly base: string;
  readonly dialect: Dialect;
}

/** Levels of objects and arrays in a schema. */
const DEEPEST = 400;
/** Values in a schema. */
const MOST_VALUES = 500_000;

const ROOT = 'schema:///';

const SINGLE = [
  'additionalItems',
  'additionalProperties',
  'contains',
  'contentSchema',
  'else',
  'if',
  'items',
  'not',
  'propertyNames',
  'then',
  'unevaluatedItems',
  'unevaluatedProperties',
];
const LISTS = ['allOf', 'anyOf', 'items', 'oneOf', 'prefixItems'];
const MAPS = ['$defs', 'definitions', 'dependencies', 'dependentSchemas', 'patternProperties', 'properties'];

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A copy that holds plain JSON and nothing else, within bounds. Throws GrammarError. */
export function parseSchema(schema: unknown): Json {
  let count = 0;
  const copy = (value: unknown, depth: number): Json => {
    if (depth > DEEPEST) throw tooLarge(`levels of nesting`, DEEPEST);
    if (++count > MOST_VALUES) throw tooLarge('values', MOST_VALUES);
    if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
    if (typeof value === 'bigint' || (typeof value === 'number' && Number.isFinite(value))) return value;
    if (Array.isArray(value)) return Array.from(value, (item) => copy(item, depth + 1));
    if (typeof value !== 'object') {
      throw new GrammarError(
        `schema: expected JSON, found a ${typeof value} in it. Pass what JSON.parse returns.`,
      );
    }
    const result: Record<string, Json> = Object.create(null) as Record<string, Json>;
    for (const [key, item] of Object.entries(value))
      if (item !== undefined) result[key] = copy(item, depth + 1);
    return result;
  };
  return copy(schema, 0);
}

function tooLarge(what: string, bound: number): GrammarError {
  return new GrammarError(`schema: expected at most ${bound} ${what}, found more. Simplify it.`, {
    code: 'grammar-limit',
  });
}

export const escapePointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');

/** Why a reference leads nowhere. */
export class BadReference extends Error {}

export class SchemaDocument {
  readonly root: Site;
  readonly #sites = new Map<Json, Site>();
  /** URI without fragment → the schema that has it. */
  readonly #resources = new Map<string, Site>();
  /** URI with an anchor as fragment → the schema that has it. */
  readonly #anchors = new Map<string, Site>();
  /** Names of $dynamicAnchor, with how many places have each. */
  readonly dynamicAnchors = new Map<string, number>();

  constructor(schema: Json) {
    this.root = this.#visit(schema, '', ROOT, '2020-12', true);
    if (!this.#resources.has(ROOT)) this.#resources.set(ROOT, this.root);
  }

  /** The subschema under these keys of a site. */
  at({ schema, pointer, base, dialect }: Site, ...keys: readonly string[]): Site {
    let value = schema;
    for (const key of keys) value = (value as JsonObject)[key];
    return this.#siteOf(value, pointer + keys.map((key) => `/${escapePointer(key)}`).join(''), base, dialect);
  }

  /** Booleans are not told apart by identity, and need no address. */
  #siteOf(schema: Json, pointer: string, base: string, dialect: Dialect): Site {
    return (isObject(schema) ? this.#sites.get(schema) : undefined) ?? { schema, pointer, base, dialect };
  }

  /** Where a reference leads. Throws BadReference. */
  resolve(site: Site, reference: string): Site {
    const uri = parseUri(reference, site.base);
    if (uri === null) throw new BadReference(`expected a URI reference, found ${JSON.stringify(reference)}`);
    const hash = uri.indexOf('#');
    const [address, fragment] = hash < 0 ? [uri, ''] : [uri.slice(0, hash), uri.slice(hash + 1)];
    const resource = this.#resources.get(address);
    if (resource === undefined) {
      throw new BadReference(
        `${JSON.stringify(reference)} is in another document, and nothing is fetched; put it into $defs`,
      );
    }
    if (fragment === '') return resource;
    if (!fragment.startsWith('/')) {
      const anchored = this.#anchors.get(`${address}#${fragment}`);
      if (anchored !== undefined) return anchored;
      throw new BadReference(`there is no anchor ${JSON.stringify(fragment)}`);
    }
    return this.#follow(resource, fragment, reference);
  }

  #follow(resource: Site, fragment: string, reference: string): Site {
    let site = resource;
    let value: Json | undefined = resource.schema;
    for (const token of decode(fragment).split('/').slice(1)) {
      const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
      if (Array.isArray(value)) value = /^\d+$/.test(key) ? value[Number(key)] : undefined;
      else value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
      if (value === undefined) break;
      const pointer = `${site.pointer}/${escapePointer(key)}`;
      site = this.#siteOf(value, pointer, site.base, site.dialect);
    }
    if (!isObject(value) && typeof value !== 'boolean')
      throw new BadReference(`there is no schema at ${JSON.stringify(reference)}`);
    // Places that no keyword leads to hold schemas all the same when a reference says so.
    return isObject(value) && !this.#sites.has(value)
      ? this.#visit(value, site.pointer, site.base, site.dialect, false)
      : site;
  }

  #visit(schema: Json, pointer: string, base: string, dialect: Dialect, isRoot: boolean): Site {
    if (!isObject(schema)) return { schema, pointer, base, dialect };
    if (typeof schema.$schema === 'string') dialect = dialectOf(schema.$schema);
    const hidden = dialect === 'draft-7' && typeof schema.$ref === 'string';
    const id = dialect === 'draft-7' ? (schema.$id ?? schema.id) : schema.$id;
    const uri = typeof id === 'string' && !hidden ? parseUri(id, base) : null;
    if (uri !== null && !(id as string).startsWith('#')) base = uri.replace(/#.*$/, '');
    const site: Site = { schema, pointer, base, dialect };
    this.#sites.set(schema, site);
    if (uri !== null || isRoot) this.#register(site, uri, id);
    for (const keyword of ['$anchor', '$dynamicAnchor']) {
      const anchor = schema[keyword];
      if (typeof anchor === 'string' && !this.#anchors.has(`${base}#${anchor}`))
        this.#anchors.set(`${base}#${anchor}`, site);
    }
    const dynamic = schema.$dynamicAnchor;
    if (typeof dynamic === 'string')
      this.dynamicAnchors.set(dynamic, (this.dynamicAnchors.get(dynamic) ?? 0) + 1);
    this.#visitParts(schema, pointer, base, dialect);
    return site;
  }

  #register(site: Site, uri: string | null, id: Json | undefined): void {
    if (typeof id === 'string' && id.startsWith('#')) this.#anchors.set(uri!, site);
    else if (!this.#resources.has(site.base)) this.#resources.set(site.base, site);
  }

  #visitParts(schema: JsonObject, pointer: string, base: string, dialect: Dialect): void {
    for (const [keyword, value] of Object.entries(schema)) {
      const at = `${pointer}/${escapePointer(keyword)}`;
      if (SINGLE.includes(keyword) && isObject(value)) this.#visit(value, at, base, dialect, false);
      if (LISTS.includes(keyword) && Array.isArray(value))
        value.forEach((item, i) => this.#visit(item, `${at}/${i}`, base, dialect, false));
      if (MAPS.includes(keyword) && isObject(value)) {
        for (const [key, item] of Object.entries(value))
          this.#visit(item, `${at}/${escapePointer(key)}`, base, dialect, false);
      }
    }
  }
}

/** The dialect of a `$schema`; unknown ones are refused where it is translated. */
export const dialectOf = (uri: string): Dialect => (/draft-0[4-7]\//.test(uri) ? 'draft-7' : '2020-12');

/** Whether a `$schema` is one whose keywords are known. */
export const isKnownDialect = (uri: string): boolean =>
  /^https?:\/\/json-schema\.org\/(schema|draft-0[4-7]\/(hyper-)?schema|draft\/20(19-09|20-12)\/schema)#?$/.test(
    uri,
  ) || /^https?:\/\/spec\.openapis\.org\/oas\/3\.1\//.test(uri);

function parseUri(reference: string, base: string): string | null {
  try {
    return new URL(reference, base).href;
  } catch {
    return null;
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
