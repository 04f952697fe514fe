// Schemas as people send them, each with a value that a model might write: the forms of OpenAI's strict mode
// and of pydantic, inputs of tools, open objects, formats, patterns, recursion.
const strict = (properties: object, more: object = {}): object => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
  ...more,
});
const string = { type: 'string' };
const number = { type: 'number' };

export interface GrammarCase {
  readonly name: string;
  readonly schema: object;
  readonly value: unknown;
}

export const CASES: readonly GrammarCase[] = [
  {
    name: 'person',
    schema: strict({
      name: string,
      age: { type: 'integer', minimum: 0, maximum: 150 },
      email: { type: 'string', format: 'email' },
    }),
    value: { name: 'Ada Lovelace', age: 36, email: 'ada@example.com' },
  },
  {
    name: 'weather tool',
    schema: strict({ city: string, unit: { enum: ['celsius', 'fahrenheit'] }, days: { type: 'integer' } }),
    value: { city: 'San Francisco, CA', unit: 'celsius', days: 3 },
  },
  {
    name: 'open object',
    schema: { type: 'object', properties: { a: string, b: number }, required: ['a'] },
    value: { a: 'free form text with some words in it', b: -1500, more: [1, 2, { deep: null }] },
  },
  {
    name: 'steps',
    schema: strict({
      steps: { type: 'array', items: strict({ explanation: string, output: string }) },
      final_answer: string,
    }),
    value: {
      steps: [
        { explanation: 'Start with 8x + 7 = -23', output: '8x = -30' },
        { explanation: 'Divide both sides by 8', output: 'x = -3.75' },
      ],
      final_answer: 'x = -3.75',
    },
  },
  {
    name: 'tree',
    schema: strict({ value: string, children: { type: 'array', items: { $ref: '#' } } }),
    value: {
      value: 'root',
      children: [
        { value: 'a', children: [] },
        { value: 'b', children: [{ value: 'c', children: [] }] },
      ],
    },
  },
  {
    name: 'ticket',
    schema: strict({
      id: { type: 'string', format: 'uuid' },
      created: { type: 'string', format: 'date-time' },
      status: { enum: ['open', 'closed', 'pending'] },
      tags: { type: 'array', items: { type: 'string', minLength: 1, maxLength: 20 }, maxItems: 5 },
    }),
    value: {
      id: '123e4567-e89b-12d3-a456-426614174000',
      created: '2026-11-29T14:00:00Z',
      status: 'open',
      tags: ['alpha', 'beta gamma'],
    },
  },
  {
    name: 'book',
    schema: strict({
      title: { type: 'string', maxLength: 80 },
      isbn: { type: 'string', pattern: '^(97(8|9))?\\d{9}(\\d|X)$' },
      pages: { type: 'integer', minimum: 1 },
      price: { anyOf: [{ type: 'number', exclusiveMinimum: 0 }, { type: 'null' }] },
    }),
    value: {
      title: 'The Art of Computer Programming, Volume 1',
      isbn: '9780201896831',
      pages: 672,
      price: 79.99,
    },
  },
  {
    name: 'shapes',
    schema: {
      anyOf: [
        strict({ type: { const: 'circle' }, radius: number }),
        strict({ type: { const: 'rect' }, w: number, h: number }),
      ],
    },
    value: { type: 'rect', w: 10.5, h: 3 },
  },
  {
    name: 'place',
    schema: strict({
      location: strict({
        lat: { type: 'number', minimum: -90, maximum: 90 },
        lon: { type: 'number', minimum: -180, maximum: 180 },
      }),
      query: { type: ['string', 'null'] },
    }),
    value: { location: { lat: 37.77, lon: -122.41 }, query: null },
  },
  {
    name: 'pairs',
    schema: {
      type: 'array',
      items: { type: 'object', properties: { k: string, v: {} }, required: ['k', 'v'] },
      minItems: 1,
    },
    value: [
      { k: 'one', v: 1 },
      { k: 'two', v: { deep: ['x'] } },
    ],
  },
  {
    name: 'file',
    schema: strict({
      path: { type: 'string', pattern: '^/[a-z0-9/_.-]*$' },
      content: string,
      mode: { type: 'integer', multipleOf: 8 },
    }),
    value: {
      path: '/usr/local/lib/node.js',
      content: 'function main() {\n  return "hi";\n}\n',
      mode: 64,
    },
  },
  {
    name: 'counts',
    schema: { type: 'object', additionalProperties: { type: 'integer' } },
    value: { one: 1, two: 2, three: 3, 'a longer key': 44444 },
  },
];
