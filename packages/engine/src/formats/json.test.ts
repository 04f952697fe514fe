import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FormatError } from '../errors.ts';
import { bytesSource } from './byte-source.ts';
import { parseJsonObject, readJsonObject } from './json.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);

test('parses what JSON.parse parses', () => {
  const texts = [
    '{}',
    ' { "a" : [ 1 , -0.5e+3 , true , false , null , "x\\n\\u00e9\\"" ] , "b" : { } }\r\n\t',
    '{"__proto__": 1, "": [[]], "é😀": "\u007f"}',
  ];
  for (const text of texts) assert.deepEqual(parseJsonObject('c.json', bytesOf(text)), JSON.parse(text));
  assert.deepEqual(parseJsonObject('c.json', bytesOf('\ufeff{"a":1}')), { a: 1 });
});

test('reads Infinity and NaN, as Python writes them, in the spelling that JSON has for them', () => {
  const infinity = { __float__: 'Infinity' };
  const text = '{"a": [0.0, Infinity], "Infinity": "Infinity", "b": -Infinity, "c": [Infinity,NaN]}';
  assert.deepEqual(parseJsonObject('c.json', bytesOf(text)), {
    a: [0, infinity],
    Infinity: 'Infinity',
    b: { __float__: '-Infinity' },
    c: [infinity, { __float__: 'NaN' }],
  });
});

const broken: [string, RegExp][] = [
  ['{"a": Infinity1}', /column 15 .*expected ',' or '}', found "1}"/],
  ['{"a": Infinit}', /expected a JSON value/],
  ['{Infinity: 1}', /a key in quotes/],
  ['', /expected a JSON file, found an empty file/],
  [' ', /line 1, column 2 \(position 1\): expected a JSON value, found the end of the file/],
  ['{"a": 1,\n "b" 2}', /line 2, column 6 \(position 14\): expected ':', found "2}"/],
  ['{"a": 1,}', /column 9 .*expected a key in quotes/],
  ['{"a": 1', /expected ',' or '}', found the end/],
  ['{"a": [1 2]}', /expected ',' or ']'/],
  ['{"a": -NaN}', /expected a JSON value, found "-NaN}"/],
  ['{"a": NaNa}', /expected ',' or '}', found "a}"/],
  ['{"a": 01}', /expected ',' or '}'/],
  ['{"a": +1}', /expected a JSON value/],
  ['{"a": "x\ny"}', /control characters/],
  ['{"a": "\\x"}', /an escape that JSON knows/],
  ['{"a": "\\u12g4"}', /four hex digits/],
  ['{"a": "x', /text that ends in quotes/],
  ['{"a": "\\', /an escape that JSON knows/],
  ['{} {}', /nothing after the value/],
  ['{"a": 1, "a": 2}', /column 10 .*every key once/],
  ['{"a": 1, "\\u0061": 2}', /every key once/],
  ['[1]', /expected a JSON object, found another value/],
  [`{"a": ${'['.repeat(100_000)}`, /nested at most 64 deep/],
];
for (const [text, message] of broken) {
  test(`refuses ${JSON.stringify(text.slice(0, 30))}`, () => {
    assert.throws(
      () => parseJsonObject('c.json', bytesOf(text)),
      (error: unknown) => {
        assert(error instanceof FormatError);
        assert.match(error.message, /^c\.json: /);
        assert.match(error.message, message);
        return true;
      },
    );

    const beyondJson = /deep|once|object/.test(message.source);
    if (!beyondJson) assert.throws(() => JSON.parse(text), 'only what JSON refuses is refused as bad JSON');
  });
}

test('the last of two equal keys counts where Python reads the file too', () => {
  const text = bytesOf('{"a": 1, "\\u0061": 2, "b": 3}');
  assert.deepEqual(parseJsonObject('config.json', text, { repeatedKeys: 'last' }), { a: 2, b: 3 });
});

test('refuses bytes that are not UTF-8 and files that are too large', async () => {
  assert.throws(
    () => parseJsonObject('c.json', Uint8Array.of(0x7b, 0xff, 0x7d)),
    /c\.json: expected text in UTF-8/,
  );
  await assert.rejects(
    readJsonObject(bytesSource('c.json', bytesOf('{ }')), { maxBytes: 2 }),
    /at most 2 bytes/,
  );
});
