import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GrammarError } from '../../errors.ts';
import { contextFreeMachine } from '../context-free/machine.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import { acceptsWhole, DEAD, type Machine, run } from '../machine.ts';
import { parseEbnf } from './parse.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const compile = (source: string): Machine =>
  contextFreeMachine(parseEbnf(source, DEFAULT_LIMITS), DEFAULT_LIMITS);
const accepts = (machine: Machine, text: string): boolean => acceptsWhole(machine, bytes(text));

const JSON_GRAMMAR = `
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws

object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws

array  ::=
  "[" ws (
            value
    ("," ws value)*
  )? "]" ws

string ::=
  "\\"" (
    [^"\\\\\\x7F\\x00-\\x1F] |
    "\\\\" (["\\\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\\"" ws

number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws

# Optional space: by convention, applied in this grammar after literal chars when allowed
ws ::= | " " | "\\n" [ \\t]{0,20}
`;

test('a grammar of JSON in the notation of llama.cpp', () => {
  const machine = compile(JSON_GRAMMAR);
  for (const text of [
    '{}',
    '{"a": [1, -2.5e+1, "x\\n\\u00e9", {"b": null}]}',
    '{"é😀": true,\n  "x": [[[]]]}',
  ])
    assert.ok(accepts(machine, text), text);
  for (const text of ['', '[]', '{"a" 1}', '{"a": 01}', '{"a": "\n"}', '{"a": 1,}', '{"a": 1}}'])
    assert.ok(!accepts(machine, text), text);
});

test('states are shared by texts that go on alike', () => {
  const machine = compile(JSON_GRAMMAR);
  const after = (text: string) => run(machine, machine.start, bytes(text));
  assert.equal(after('{"a": [1, 2'), after('{"a": [1, 2, 3, 2'));
  assert.equal(after('{"a": 1, "b'), after('{"xyz": [1], "c": {}, "d'));
  assert.notEqual(after('{"a": [1'), after('{"a": 1'));
});

test('recursion from the left, the right and the middle', () => {
  const left = compile('root ::= root "+" term | term\nterm ::= [0-9]+ | "(" root ")"');
  for (const text of ['1', '1+2', '(1+2)+30', '((((1))))']) assert.ok(accepts(left, text), text);
  for (const text of ['', '+', '1+', '(1', '1+2)']) assert.ok(!accepts(left, text), text);
  const right = compile('root ::= "a" root | "b"');
  assert.ok(accepts(right, `${'a'.repeat(10_000)}b`));
  assert.equal(run(right, right.start, bytes('aaa')), run(right, right.start, bytes('a'.repeat(5000))));
  const middle = compile('root ::= "a" root "b" | ""');
  assert.ok(accepts(middle, 'a'.repeat(500) + 'b'.repeat(500)));
  assert.ok(!accepts(middle, 'a'.repeat(500) + 'b'.repeat(499)));
  const hidden = compile('root ::= nothing root "x" | "y"\nnothing ::= "" | nothing nothing');
  assert.ok(accepts(hidden, 'yxxx') && !accepts(hidden, 'x'));
  const indirect = compile('root ::= a\na ::= b "1" | "0"\nb ::= a "2" | root "3"');
  assert.ok(accepts(indirect, '02131') && !accepts(indirect, '0213'));
});

test('what leads nowhere is dropped, so that no state is a dead end', () => {
  const machine = compile('root ::= "a" (endless | "b")\nendless ::= "a" endless | lost\nlost ::= "x" []');
  assert.equal(run(machine, machine.start, bytes('aa')), DEAD);
  assert.ok(accepts(machine, 'ab'));
});

test('the notation: escapes, classes, counts, comments, lines', () => {
  for (const [grammar, good, bad] of [
    ['root ::= "\\x41\\u00e9\\U0001F600\\n\\t\\"\\\\"', ['Aé😀\n\t"\\'], ['A']],
    ['root ::= [^\\n\\]a-c-]', ['d', '\t', 'é'], ['a', '-', ']', '\n', '']],
    ['root ::= [a\\-z]', ['a', '-', 'z'], ['b']],
    ['root ::= [-a]', ['-', 'a'], ['b']],
    ['root ::= "ab"{2} # twice\n# and no more', ['abab'], ['ab', 'abb', 'ababab']],
    ['root ::= [ab]{2,} "c"{0,1}', ['ab', 'abac'], ['a', 'abcc']],
    ['root ::= ( "a"{ 1 , 2 } | . )', ['a', 'aa', '\n', '😀'], ['', 'bb']],
    ['root ::= "a" |\n  "b"\n  | "c"\n\nother-rule ::= "d"', ['a', 'b', 'c'], ['d']],
    ['root ::=\r\n  one_1 "-"\r\n  one_1\r\none_1 ::= [ぁ-ゟ]', ['あ-い'], ['a-b']],
    ['root ::= x* "y"\nx ::= "" | "z"', ['y', 'zzy'], ['z']],
  ] as const) {
    const machine = compile(grammar);
    for (const text of good) assert.ok(accepts(machine, text), `${grammar}: ${text}`);
    for (const text of bad) assert.ok(!accepts(machine, text), `${grammar}: ${text}`);
  }
});

test('what is broken says where; what is not supported is refused by name', () => {
  const message = (source: string): string => {
    try {
      compile(source);
      return 'accepted';
    } catch (error) {
      assert.ok(error instanceof GrammarError, String(error));
      return error.message;
    }
  };
  assert.match(message('a ::= "b"'), /expected a rule root, found none/);
  assert.match(
    message('root ::= "a"\n  missing "b"'),
    /expected a rule missing, called at line 2, column 3, found none/,
  );
  assert.match(message('root ::= "a\n'), /closing quote/);
  assert.match(message('root ::= [a'), /closing bracket/);
  assert.match(message('root ::= ("a"'), /closing parenthesis at line 1/);
  assert.match(message('root ::= "a" )'), /line 1, column 14/);
  assert.match(message('root = "a"'), /::=/);
  assert.match(message('root ::= "\\q"'), /known escape/);
  assert.match(message('root ::= [z-a]'), /range in order/);
  assert.match(message('root ::= "a"{3,2}'), /smaller count/);
  assert.match(message('root ::= "a"\nroot ::= "b"'), /each rule once at line 2/);
  assert.match(message('root ::= <think> "a"'), /token reference .* not supported/);
  assert.match(message('root ::= root "a"'), /expected rule root to derive a text/);
  assert.match(message(`root ::= ${'('.repeat(5000)}`), /at most 200 levels/);
  const doubled = Array.from({ length: 60 }, (_, i) => `a${i} ::= a${i + 1} a${i + 1}`).join('\n');
  assert.match(message(`root ::= a0\n${doubled}\na60 ::= "x"`), /nested less deep|distinct parts/);
});

type Shape =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'rule'; readonly rule: number }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Shape[] }
  | { readonly kind: 'count'; readonly part: Shape; readonly min: number; readonly max: number };

const print = (shape: Shape): string => {
  switch (shape.kind) {
    case 'text':
      return `"${shape.text}"`;
    case 'rule':
      return shape.rule === 0 ? 'root' : `r${shape.rule}`;
    case 'sequence':
      return `(${shape.parts.map(print).join(' ')})`;
    case 'choice':
      return `(${shape.parts.map(print).join(' | ')})`;
    default:
      return `(${print(shape.part)}){${shape.min},${shape.max === Infinity ? '' : shape.max}}`;
  }
};

/**
 * Where each rule may end from each start, found by going round until nothing is new: slow, and plainly
 * right.
 */
function recognises(rules: readonly Shape[], text: string): boolean {
  const ends = rules.map(() => Array.from({ length: text.length + 1 }, () => new Set<number>()));
  const match = (shape: Shape, from: ReadonlySet<number>): Set<number> => {
    switch (shape.kind) {
      case 'text':
        return new Set(
          [...from].filter((i) => text.startsWith(shape.text, i)).map((i) => i + shape.text.length),
        );
      case 'rule':
        return new Set([...from].flatMap((i) => [...ends[shape.rule][i]]));
      case 'sequence':
        return shape.parts.reduce<Set<number>>((at, part) => match(part, at), new Set(from));
      case 'choice':
        return new Set(shape.parts.flatMap((part) => [...match(part, from)]));
      default: {
        const found = new Set<number>(shape.min === 0 ? from : []);
        let at: Set<number> = new Set(from);
        for (let i = 1; i <= Math.min(shape.max, shape.min + text.length + 1); i++) {
          at = match(shape.part, at);
          if (i >= shape.min) for (const end of at) found.add(end);
        }
        return found;
      }
    }
  };
  for (let grew = true; grew; ) {
    grew = false;
    rules.forEach((rule, number) => {
      for (let i = 0; i <= text.length; i++)
        for (const end of match(rule, new Set([i])))
          if (!ends[number][i].has(end)) {
            ends[number][i].add(end);
            grew = true;
          }
    });
  }
  return ends[0][0].has(text.length);
}

test('random grammars hold what a plain recogniser finds', () => {
  let seed = 5;
  const draw = (n: number): number => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return (seed >> 8) % n;
  };
  const make = (size: number, rules: number): Shape => {
    if (size <= 1)
      return draw(3) > 0
        ? { kind: 'text', text: ['a', 'b', 'ab', ''][draw(4)] }
        : { kind: 'rule', rule: draw(rules) };
    const left = 1 + draw(size - 1);
    if (draw(5) === 0) {
      const min = draw(3);
      return { kind: 'count', part: make(size - 1, rules), min, max: draw(2) ? Infinity : min + draw(3) };
    }
    return { kind: draw(2) ? 'choice' : 'sequence', parts: [make(left, rules), make(size - left, rules)] };
  };
  const texts = [''];
  for (const text of texts) if (text.length < 5) texts.push(`${text}a`, `${text}b`);
  let empty = 0;
  for (let round = 0; round < 200; round++) {
    const count = 1 + draw(3);
    const rules = Array.from({ length: count }, () => make(1 + draw(7), count));
    const source = rules.map((rule, i) => `${i === 0 ? 'root' : `r${i}`} ::= ${print(rule)}`).join('\n');
    let machine: Machine;
    try {
      machine = compile(source);
    } catch (error) {
      assert.match((error as Error).message, /to derive a text/, source);
      empty++;
      assert.ok(!texts.some((text) => recognises(rules, text)), source);
      continue;
    }
    for (const text of texts)
      assert.equal(accepts(machine, text), recognises(rules, text), `${source}\n${text}`);
    for (const text of texts) assertLive(machine, text, source);
  }
  assert.ok(empty < 100);
});

test('rules that double, and counts of what recurs, meet a bound', () => {
  const isLimit = { name: 'GrammarError', code: 'grammar-limit' };
  const limits = { ...DEFAULT_LIMITS, terms: 100_000 };
  const doubled = Array.from({ length: 30 }, (_, i) => `r${i} ::= r${i + 1} r${i + 1}`);
  const source = ['root ::= r0', ...doubled, 'r30 ::= "x"'].join('\n');
  assert.throws(() => contextFreeMachine(parseEbnf(source, limits), limits), isLimit);
  const machine = compile('root ::= a{0,50}\na ::= b{0,50}\nb ::= "x"{0,50} root?');
  assert.throws(() => accepts(machine, 'x'.repeat(300)), isLimit);
});

/** A state that is not DEAD has a text ahead: a breadth-first search finds one. */
function assertLive(machine: Machine, text: string, source: string): void {
  const state = run(machine, machine.start, bytes(text));
  if (state === DEAD) return;
  const seen = new Set([state]);
  for (const one of seen) {
    if (machine.accepts(one)) return;
    for (const byte of [97, 98]) {
      const next = machine.step(one, byte);
      if (next !== DEAD) seen.add(next);
    }
    assert.ok(seen.size < 5000, `${source}: no text after ${text}`);
  }
  assert.fail(`${source}: no text after ${text}`);
}
