// Schemas as people send them: the forms that OpenAI's strict mode asks for, what pydantic and zod write, inputs of MCP
// tools, OpenAPI, and what is hard: overlapping alternatives, dependent and unevaluated keywords, recursion.
const object = (properties: object, more: object = {}): object => ({ type: 'object', properties, ...more });
const strict = (properties: object): object =>
  object(properties, { required: Object.keys(properties), additionalProperties: false });
const string = { type: 'string' };
const integer = { type: 'integer' };

/** Name → schema (draft 2020-12). */
export const CORPUS: Readonly<Record<string, object>> = {
  'openai: event': strict({
    name: string,
    date: { type: 'string', format: 'date' },
    participants: { type: 'array', items: string },
    priority: { type: ['string', 'null'], enum: ['low', 'high', null] },
  }),
  'openai: steps': {
    ...strict({
      steps: { type: 'array', items: { $ref: '#/$defs/step' }, minItems: 1, maxItems: 3 },
      final_answer: { type: 'string', maxLength: 20 },
    }),
    $defs: { step: strict({ explanation: string, output: { anyOf: [string, { type: 'number' }] } }) },
  },
  'openai: recursive interface': {
    ...strict({
      type: { enum: ['div', 'button', 'field'] },
      children: { type: 'array', items: { $ref: '#' } },
      attributes: { type: 'array', items: strict({ name: string, value: string }) },
    }),
  },
  'pydantic: discriminated pets': {
    $defs: {
      Cat: object(
        {
          kind: { const: 'cat', default: 'cat', title: 'Kind' },
          lives: { ...integer, maximum: 9, minimum: 1 },
        },
        { required: ['lives'], title: 'Cat' },
      ),
      Dog: object(
        { kind: { const: 'dog', title: 'Kind' }, weight: { type: 'number', exclusiveMinimum: 0 } },
        { required: ['kind', 'weight'], title: 'Dog' },
      ),
    },
    ...object(
      {
        pet: {
          discriminator: { mapping: { cat: '#/$defs/Cat', dog: '#/$defs/Dog' }, propertyName: 'kind' },
          oneOf: [{ $ref: '#/$defs/Cat' }, { $ref: '#/$defs/Dog' }],
        },
        tags: { type: 'array', items: string, uniqueItems: true },
        nickname: { anyOf: [{ type: 'string', maxLength: 8 }, { type: 'null' }], default: null },
      },
      { required: ['pet'], title: 'Owner' },
    ),
  },
  'pydantic: tree with maps': {
    $defs: {
      Node: object(
        {
          value: { type: 'number', minimum: -1.5, maximum: 1.5 },
          children: { type: 'object', additionalProperties: { $ref: '#/$defs/Node' } },
        },
        { required: ['value'], additionalProperties: false },
      ),
    },
    $ref: '#/$defs/Node',
  },
  'zod: record and tuple': {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    ...strict({
      id: { type: 'string', format: 'uuid' },
      scores: {
        type: 'object',
        propertyNames: { type: 'string', pattern: '^[a-z]{1,4}$' },
        additionalProperties: { type: 'number' },
      },
      pair: { type: 'array', prefixItems: [string, { type: 'boolean' }], items: false, minItems: 2 },
      count: { ...integer, minimum: 0, maximum: 9007199254740991 },
    }),
  },
  'zod: union of literals': {
    anyOf: [
      { const: 'on' },
      { const: 1 },
      { const: { deep: [true, null] } },
      { type: 'array', items: { enum: ['a', 2] }, maxItems: 2 },
    ],
  },
  'mcp: search tool': object(
    {
      query: { ...string, minLength: 1, maxLength: 30, description: 'What to look for' },
      limit: { ...integer, minimum: 1, maximum: 100, default: 10 },
      cursor: { ...string, pattern: '^[A-Za-z0-9_-]*$' },
      kinds: { type: 'array', items: { enum: ['file', 'issue', 'user'] }, uniqueItems: true },
    },
    { required: ['query'], $schema: 'http://json-schema.org/draft-07/schema#' },
  ),
  'mcp: file edits': object(
    {
      path: string,
      edits: {
        type: 'array',
        items: object(
          { oldText: string, newText: string },
          { required: ['oldText', 'newText'], additionalProperties: false },
        ),
      },
      dryRun: { type: 'boolean' },
    },
    { required: ['path', 'edits'], additionalProperties: false },
  ),
  'openapi: nullable pet': object(
    {
      id: { ...integer, format: 'int64' },
      name: { ...string, nullable: true },
      status: { ...string, enum: ['available', 'sold'] },
      price: { type: 'number', multipleOf: 0.25, minimum: 0, maximum: 10 },
    },
    { required: ['name'], maxProperties: 3 },
  ),
  'allOf: base and extension': {
    $defs: { base: object({ id: integer }, { required: ['id'] }) },
    allOf: [
      { $ref: '#/$defs/base' },
      object({ label: { ...string, maxLength: 5 } }, { required: ['label'] }),
    ],
    unevaluatedProperties: false,
  },
  'if: card or invoice': {
    ...object(
      { kind: { enum: ['card', 'invoice'] }, number: { ...string, pattern: '^\\d{4}$' }, days: integer },
      { required: ['kind'] },
    ),
    if: { properties: { kind: { const: 'card' } } },
    // biome-ignore lint/suspicious/noThenProperty: the keyword's name
    then: { required: ['number'] },
    else: { required: ['days'], properties: { number: false } },
  },
  'overlapping oneOf': {
    oneOf: [
      object({ a: integer }, { required: ['a'] }),
      object({ b: integer }, { required: ['b'] }),
      { type: 'integer', multipleOf: 3, minimum: -1e6, maximum: 1e6 },
      { type: 'integer', multipleOf: 5, minimum: -1e6, maximum: 1e6 },
    ],
  },
  dependent: object(
    { card: string, address: string, zip: string },
    {
      dependentRequired: { card: ['address'], address: ['zip'] },
      dependentSchemas: { zip: { properties: { zip: { maxLength: 3 } } } },
      minProperties: 1,
    },
  ),
  contains: {
    type: 'array',
    items: { enum: [1, 'two', 3, null] },
    contains: { type: 'string' },
    minContains: 1,
    maxContains: 2,
    maxItems: 5,
  },
  not: {
    type: ['string', 'integer', 'object'],
    not: {
      anyOf: [
        { type: 'string', pattern: '^a' },
        { type: 'integer', minimum: 10 },
        { type: 'object', required: ['x'] },
      ],
    },
  },
  'pattern and lengths': strict({
    code: { ...string, pattern: '^[A-Z]+-\\d+$', minLength: 4, maxLength: 6 },
    word: { ...string, pattern: 'b.d', maxLength: 5 },
    quoted: { ...string, pattern: '^[^a-z]*$', minLength: 2 },
  }),
  'pattern properties': {
    type: 'object',
    patternProperties: { '^x-': integer, id$: string },
    additionalProperties: { type: 'boolean' },
    properties: { name: string },
    maxProperties: 4,
  },
  'unevaluated in branches': {
    type: 'object',
    anyOf: [
      { properties: { a: integer }, required: ['a'] },
      { properties: { b: string }, required: ['b'] },
    ],
    unevaluatedProperties: { type: 'null' },
  },
  'any value': {},
  numbers: {
    type: 'array',
    items: {
      anyOf: [
        { type: 'number', exclusiveMinimum: 0.1, maximum: 12.5 },
        { type: 'integer', minimum: -1e9, maximum: -100, multipleOf: 7 },
      ],
    },
    minItems: 1,
  },
  ...Object.fromEntries(
    ['date', 'time', 'date-time', 'duration', 'uuid', 'ipv4', 'ipv6', 'hostname'].map((format) => [
      `format ${format}`,
      { type: 'string', format },
    ]),
  ),
};
