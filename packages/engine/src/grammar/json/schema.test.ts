// Schemas against texts, byte by byte: what suites of values cannot show, since a value has many texts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GrammarError } from '../../errors.ts';
import { acceptsWhole } from '../machine.ts';
import { compileSchema, type SchemaOptions } from './compile-schema.ts';

const utf8 = new TextEncoder();

function check(
  schema: unknown,
  accepted: readonly string[],
  rejected: readonly string[],
  options?: SchemaOptions,
): void {
  const { machine } = compileSchema(schema, options);
  for (const text of accepted) assert.ok(acceptsWhole(machine, utf8.encode(text)), `should accept ${text}`);
  for (const text of rejected) assert.ok(!acceptsWhole(machine, utf8.encode(text)), `should reject ${text}`);
}

function refusals(schema: unknown): readonly { keyword: string; pointer: string }[] {
  try {
    compileSchema(schema);
  } catch (error) {
    assert.ok(error instanceof GrammarError, String(error));
    return error.refused.map(({ keyword, pointer }) => ({ keyword, pointer }));
  }
  return [];
}

test('a key is written once, however it is spelled', () => {
  const named = { properties: { a: { type: 'integer' }, '☃/': {} } };
  check(
    named,
    ['{"a":1}', '{"\\u0061":1}', '{"b":1,"c":2}', '{"\\u2603\\/":1}', '{"a":1,"A":2}'],
    [
      '{"a":1,"a":2}',
      '{"a":1,"\\u0061":2}',
      '{"\\u0061":"x"}',
      '{"b":1,"b":1}',
      '{"b":1,"\\u0062":1}',
      '{"é":1,"\\u00E9":2}',
    ],
  );
  check(
    { additionalProperties: { type: 'null' }, properties: { k: { type: 'integer' } } },
    ['{"k":1,"l":null}'],
    ['{"k":null}', '{"\\u006b":null}', '{"l":null,"l":null}'],
  );
  check(
    { patternProperties: { '^x': {} }, additionalProperties: false },
    ['{"x":1,"x1":2}', '{"\\u0078":1}'],
    ['{"x":1,"\\u0078":2}', '{"y":1}'],
  );
  // A hash's names are few, and one by one they are used up.
  check(
    { patternProperties: { '^[ab]$': {} }, additionalProperties: false, minProperties: 2 },
    ['{"b":1,"a":2}'],
    ['{"a":1}', '{"a":1,"a":2}', '{"a":1,"b":2,"c":3}'],
  );
});

test('strings are compared by their text, not by their spelling', () => {
  check(
    { enum: ['a"b', '\u00e9', '\n', '😀'] },
    ['"a\\"b"', '"a\\u0022b"', '"é"', '"\\u00E9"', '"\\n"', '"\\u000a"', '"😀"', '"\\ud83d\\uDE00"'],
    ['"a"b"', '"\n"', '"\\ud83d"', '"\\xe9"', '"e\u0301"'],
  );
  check(
    { type: 'string', maxLength: 1 },
    ['"😀"', '"\\uD83D\\uDE00"', '"\\u0000"', '""'],
    ['"ab"', '"\\u0061b"', '"\\uDE00"', '"\t"'],
  );
  check(
    { pattern: '^[^a]$' },
    ['"\\n"', '"\\""', '"\\\\"', '"b"', '"😀"', '7'],
    ['"a"', '"\\u0061"', '""', '"bb"'],
  );
  check({ pattern: '^.$' }, ['"\\""', '"\\t"', '"\\/"'], ['"\\n"', '"\\u2028"', '"\\r"']);
  check({ pattern: '\\d\\s\\w' }, ['"x1 _y"', '"1\\t2"', '"1\\u00a0a"'], ['"١ a"', '"1 é"', '"1a"']);
});

test('a pattern and lengths hold together', () => {
  const schema = { type: 'string', pattern: '^(ab)+$', minLength: 3, maxLength: 5 };
  check(schema, ['"abab"', '"\\u0061bab"'], ['"ab"', '"ababab"', '"aba"']);
  assert.deepEqual(refusals({ ...schema, minLength: 5 }), [{ keyword: 'schema', pointer: '' }]);
});

test('numbers are what they are worth', () => {
  check(
    { type: 'integer', minimum: 1, maximum: 120 },
    ['1', '120', '1e2', '1.0', '12.0e1', '1200e-1', '0.1e1'],
    ['0', '121', '1e3', '1.5', '-1', '01'],
  );
  check(
    { minimum: 0.5, exclusiveMaximum: 1.5 },
    ['0.5', '5e-1', '1', '1.4999', '0.15e1 '.trim() && '14e-1'],
    ['0.49', '1.5', '15e-1', '0.15e1', '1e1'],
  );
  check({ multipleOf: 0.01 }, ['19.99', '0', '1999e-2', '1'], ['19.999', '1e-3']);
  check({ enum: [1, 2.5] }, ['1', '1.0', '10e-1', '2.50', '25E-1'], ['2', '2.51', '11e-1']);
  check({ const: 0 }, ['0', '-0', '0.0', '0e9'], ['1', 'false', '-1']);
  check({ type: 'number' }, ['1e99', '-1.5E+3'], ['1e999', '.5', '5.', 'NaN', '+1']);
});

test('siblings of references and combinators count', () => {
  const $defs = { short: { maxLength: 2 } };
  check({ $defs, $ref: '#/$defs/short', minLength: 2 }, ['"ab"'], ['"a"', '"abc"']);
  check({ anyOf: [{ minimum: 5 }, { maximum: -5 }], multipleOf: 5 }, ['5', '-10'], ['0', '6']);
  check({ oneOf: [{ multipleOf: 3 }, { multipleOf: 5 }], maximum: 20 }, ['3', '10'], ['15', '0', '21', '7']);
  check(
    {
      $schema: 'http://json-schema.org/draft-07/schema#',
      definitions: $defs,
      $ref: '#/definitions/short',
      minLength: 2,
    },
    ['"a"'],
    ['"abc"'],
  );
});

test('whitespace and order are options', () => {
  const schema = { properties: { b: {}, a: {} }, required: ['a'], additionalProperties: false };
  const spaced = '\n{ "b" :\t1 ,\r\n "a" : [ ] } ';
  check(schema, [spaced, '{"a":1,"b":2}'], ['{"b":1}']);
  check(schema, ['{"b":1,"a":[]}'], [spaced, '{"b":1, "a":2}'], { whitespace: 'compact' });
  check(schema, ['{"b":1,"a":2}', '{"a":2}'], ['{"a":1,"b":2}', '{"b":1}'], { order: 'declared' });
  check({ type: 'number', maximum: 120 }, ['1.5', '120'], ['1e1', '121'], { numbers: 'plain' });
  check({ format: 'date' }, ['"2024-02-29"', '1'], ['"2023-02-29"', '"2024-04-31"']);
  check({ format: 'date' }, ['"2023-02-29"'], [], { formats: 'annotate' });
});

test('what is not enforced is refused by keyword and place', () => {
  assert.deepEqual(refusals({ properties: { 'a/b': { format: 'idn-hostname' } } }), [
    { keyword: 'format', pointer: '/properties/a~1b/format' },
  ]);
  assert.deepEqual(refusals({ items: { pattern: '(a)\\1' } }), [
    { keyword: 'pattern', pointer: '/items/pattern' },
  ]);
  assert.deepEqual(refusals({ anyOf: [{ $ref: 'https://example.org/x' }, { minLength: -1 }] }), [
    { keyword: '$ref', pointer: '/anyOf/0/$ref' },
    { keyword: 'minLength', pointer: '/anyOf/1/minLength' },
  ]);
  assert.deepEqual(refusals({ $ref: '#' }), [{ keyword: '$ref', pointer: '' }]);
  assert.deepEqual(refusals({ required: ['a'], properties: { a: { $ref: '#' } }, type: 'object' }), [
    { keyword: 'schema', pointer: '' },
  ]);
  assert.deepEqual(refusals({ $recursiveRef: '#' }), [
    { keyword: '$recursiveRef', pointer: '/$recursiveRef' },
  ]);
});

test('unknown keywords and formats are reported', () => {
  const { warnings } = compileSchema({
    minLenght: 3,
    nullable: true,
    type: 'string',
    format: 'colour',
    'x-note': 1,
  });
  assert.deepEqual(
    warnings.map(({ keyword, pointer }) => `${keyword} ${pointer}`),
    ['minLenght /minLenght', 'nullable /nullable', 'format /format'],
  );
});

/** What must be an error, and soon. */
const HOSTILE: Readonly<Record<string, () => unknown>> = {
  'sixty thousand levels': () => {
    let schema: unknown = {};
    for (let i = 0; i < 60_000; i++) schema = { not: schema };
    return schema;
  },
  'a value that holds itself': () => {
    const schema: Record<string, unknown> = {};
    schema.items = schema;
    return schema;
  },
  'alternatives that multiply': () => ({
    allOf: Array.from({ length: 24 }, (_, i) => ({
      anyOf: [{ required: [`a${i}`] }, { required: [`b${i}`] }],
    })),
  }),
  'classes of keys that multiply': () => ({
    patternProperties: Object.fromEntries(
      Array.from({ length: 24 }, (_, i) => [String.fromCharCode(97 + i), { minimum: i }]),
    ),
  }),
  'counts that multiply': () => ({
    allOf: Array.from({ length: 4 }, (_, i) => ({ contains: { multipleOf: i + 2 }, minContains: 200 })),
  }),
  'references in circles': () => ({
    $defs: { a: { allOf: [{ $ref: '#/$defs/b' }] }, b: { anyOf: [{ $ref: '#/$defs/a' }] } },
    $ref: '#/$defs/a',
  }),
  'no JSON': () => ({ items: { default: () => 1 } }),
};

for (const [name, make] of Object.entries(HOSTILE)) {
  test(`hostile: ${name}`, () => {
    const schema = make();
    assert.throws(() => compileSchema(schema), GrammarError);
  });
}

test('texts that must be remembered are bounded', () => {
  const { machine } = compileSchema({ additionalProperties: { type: 'integer' } });
  const keys = (count: number) =>
    utf8.encode(`{${Array.from({ length: count }, (_, i) => `"k${i}":1`).join()}}`);
  assert.ok(acceptsWhole(machine, keys(1000)));
  assert.throws(() => acceptsWhole(machine, keys(3000)), { name: 'GrammarError', code: 'grammar-limit' });
});

test('what is large, but plain, compiles', () => {
  const words = Array.from({ length: 20_000 }, (_, i) => `word ${i} of many`);
  check({ enum: words }, ['"word 777 of many"', '"\\u0077ord 0 of many"'], ['"word 20000 of many"']);
  const names = Object.fromEntries(words.slice(0, 2000).map((word) => [word, { type: 'string' }]));
  check(
    { properties: names, required: Object.keys(names).slice(0, 2), additionalProperties: false },
    ['{"word 1 of many":"","word 0 of many":""}'],
    ['{"word 1 of many":""}'],
  );
  check(
    { type: 'string', pattern: '^(a+)+$', maxLength: 50_000 },
    [`"${'a'.repeat(3000)}"`],
    [`"${'a'.repeat(3000)}b"`],
  );
});
