// From a schema document to one expression. Everything that cannot be enforced is collected with its keyword and place;
// what only describes is skipped, what is unknown is reported.
import type { Refusal } from '../../errors.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import {
  BadReference,
  escapePointer,
  isKnownDialect,
  isObject,
  type Json,
  type SchemaDocument,
  type Site,
} from './document.ts';
import { withUnevaluated } from './evaluated.ts';
import { ALL, CannotEnforce, type Deferred, type Expression, Expressions, NONE } from './expression.ts';
import { type Context, describe, type FormatMode, type Keyword, type SchemaReader } from './keyword.ts';
import { COMPOSITE_KEYWORDS } from './keywords-composite.ts';
import { LOGIC_KEYWORDS } from './keywords-logic.ts';
import { SCALAR_KEYWORDS } from './keywords-scalar.ts';
import { TooManyPieces } from './number-set.ts';

/** Keywords that place other schemas, name something or describe: they demand nothing by themselves. */
const SILENT = new Set([
  ...['$schema', '$id', 'id', '$anchor', '$dynamicAnchor', '$defs', 'definitions', '$comment', '$vocabulary'],
  ...['title', 'description', 'default', 'examples', 'example', 'deprecated', 'readOnly', 'writeOnly'],
  ...['contentSchema', 'discriminator', 'externalDocs', 'xml'],
  ...['then', 'else', 'minContains', 'maxContains', 'unevaluatedItems', 'unevaluatedProperties'],
  ...['$ref', '$dynamicRef', '$recursiveAnchor'],
]);

const KEYWORDS: ReadonlyMap<string, Keyword> = new Map(
  Object.entries({ ...SCALAR_KEYWORDS, ...COMPOSITE_KEYWORDS, ...LOGIC_KEYWORDS }),
);

/** What is ignored, where, and why it may matter. */
export interface SchemaWarning {
  readonly keyword: string;
  readonly pointer: string;
  readonly reason: string;
}

export class Translator implements SchemaReader {
  readonly x: Expressions;
  readonly refused: Refusal[] = [];
  readonly warnings: SchemaWarning[] = [];
  readonly #document: SchemaDocument;
  readonly #formats: FormatMode;
  /** Subschema → expression; null while it is made. */
  readonly #known = new Map<Json, Expression | null>();
  /** Subschemas whose branches are being made. */
  readonly #open = new Set<Json>();
  readonly #deferred = new Map<Json, Deferred>();

  constructor(document: SchemaDocument, formats: FormatMode, keepsOrder: boolean) {
    this.x = new Expressions(keepsOrder);
    this.#document = document;
    this.#formats = formats;
  }

  /** The whole document. */
  root(): Expression {
    return this.expression(this.#document.root);
  }

  expression(site: Site): Expression {
    const { schema } = site;
    if (schema === true) return ALL;
    if (schema === false) return NONE;
    const known = this.#known.get(schema);
    if (known !== undefined && known !== null) return known;
    if (known === null) {
      this.#refuse(site, '$ref', 'it leads back to itself without a value in between');
      return ALL;
    }
    this.#known.set(schema, null);
    const expression = this.#translate(site);
    this.#known.set(schema, expression);
    return expression;
  }

  /** What a subschema demands of a value inside; translated when somebody asks. */
  defer(site: Site): Expression {
    const { schema } = site;
    if (schema === true || (isObject(schema) && Object.keys(schema).length === 0)) return ALL;
    if (schema === false) return NONE;
    let deferred = this.#deferred.get(schema);
    if (deferred === undefined) {
      deferred = { resolve: () => this.expression(site) };
      this.#deferred.set(schema, deferred);
    }
    return this.x.deferred(deferred);
  }

  #translate(site: Site): Expression {
    const context = this.contextOf(site);
    if (context === null) return ALL;
    const { schema } = context;
    if ('unevaluatedProperties' in schema || 'unevaluatedItems' in schema)
      return this.#guarded(context, 'unevaluatedProperties', () => withUnevaluated(this, context));
    if (site.dialect === 'draft-7' && '$ref' in schema) return this.reference(context, '$ref');
    const parts = Object.entries(schema).map(([keyword, value]) => this.keyword(keyword, value, context));
    return this.x.and(...parts, ...this.references(context));
  }

  /** What the references of a schema lead to. */
  references(context: Context): readonly Expression[] {
    return ['$ref', '$dynamicRef'].map((keyword) =>
      keyword in context.schema ? this.reference(context, keyword) : ALL,
    );
  }

  reference(context: Context, keyword: string): Expression {
    const target = this.target(context, keyword);
    return target === null ? ALL : this.expression(target);
  }

  target({ site, schema }: Context, keyword: string): Site | null {
    const reference = schema[keyword];
    if (typeof reference !== 'string') {
      this.#refuse(site, keyword, `expected a URI reference, found ${describe(reference)}`, keyword);
      return null;
    }
    try {
      const target = this.#document.resolve(site, reference);
      if (keyword === '$dynamicRef' && this.#isDynamic(target)) {
        this.#refuse(site, keyword, 'several places have this $dynamicAnchor', keyword);
        return null;
      }
      return target;
    } catch (error) {
      if (!(error instanceof BadReference)) throw error;
      this.#refuse(site, keyword, error.message, keyword);
      return null;
    }
  }

  /** Whether which schema is meant depends on the way there. */
  #isDynamic({ schema }: Site): boolean {
    const anchor = isObject(schema) ? schema.$dynamicAnchor : undefined;
    return typeof anchor === 'string' && this.#document.dynamicAnchors.get(anchor) !== 1;
  }

  /** What one keyword demands; ALL for those that demand nothing or are refused. */
  keyword(keyword: string, value: Json, context: Context): Expression {
    const translate = KEYWORDS.get(keyword);
    if (translate !== undefined) return this.#guarded(context, keyword, () => translate(value, context));
    if (SILENT.has(keyword) || keyword.startsWith('x-')) return ALL;
    if (keyword.startsWith('$')) context.refuse(keyword, 'it is not supported', keyword);
    else context.warn(keyword, 'it is no keyword of JSON Schema, and is ignored');
    return ALL;
  }

  #guarded({ refuse }: Context, keyword: string, translate: () => Expression): Expression {
    try {
      return translate();
    } catch (error) {
      if (!(error instanceof CannotEnforce) && !(error instanceof TooManyPieces)) throw error;
      const named = error instanceof CannotEnforce ? (error.keyword ?? keyword) : keyword;
      refuse(named, error.message, keyword);
      return ALL;
    }
  }

  contextOf(site: Site): Context | null {
    const { schema } = site;
    if (!isObject(schema)) {
      this.#refuse(site, 'schema', `expected a schema, found ${describe(schema)}`);
      return null;
    }
    if (typeof schema.$schema === 'string' && !isKnownDialect(schema.$schema))
      this.#refuse(
        site,
        '$schema',
        `expected a published draft, found ${describe(schema.$schema)}`,
        '$schema',
      );
    const at = (keys: readonly string[]): Site => this.#document.at(site, ...keys);
    return {
      x: this.x,
      site,
      schema,
      formats: this.#formats,
      limits: DEFAULT_LIMITS,
      here: (...keys) => this.expression(at(keys)),
      inside: (...keys) => this.defer(at(keys)),
      refuse: (keyword, reason, ...keys) =>
        this.#refuse(site, keyword, reason, ...(keys.length ? keys : [keyword])),
      warn: (keyword, reason) =>
        this.warnings.push({ keyword, pointer: `${site.pointer}/${escapePointer(keyword)}`, reason }),
    };
  }

  enter({ schema }: Site): void {
    if (this.#open.has(schema))
      throw new CannotEnforce('it leads back to itself without a value in between', '$ref');
    this.#open.add(schema);
  }

  leave({ schema }: Site): void {
    this.#open.delete(schema);
  }

  siteAt(site: Site, ...keys: readonly string[]): Site {
    return this.#document.at(site, ...keys);
  }

  #refuse(site: Site, keyword: string, reason: string, ...keys: readonly string[]): void {
    const pointer = site.pointer + keys.map((key) => `/${escapePointer(key)}`).join('');
    if (
      !this.refused.some((one) => one.pointer === pointer && one.keyword === keyword && one.reason === reason)
    )
      this.refused.push({ keyword, pointer, reason });
  }
}
