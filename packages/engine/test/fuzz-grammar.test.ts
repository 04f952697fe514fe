// Expressions and grammars, mutated: each is an error of its own kind or an automaton within its bounds, and texts
// that come of it are of its language by other means. GRAMMAR_FUZZ sets how many (default 5,000 of each).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GrammarError } from '../src/errors.ts';
import { createRandom } from '../src/generate/random.ts';
import { DEAD, type Machine } from '../src/grammar/machine.ts';
import { compileOutput, type OutputFormat } from '../src/grammar/output.ts';

const ROUNDS = Number(process.env.GRAMMAR_FUZZ ?? 5000);
/** No single one may take longer: bounds are of states and terms, and these are seconds at the worst. */
const WORST_MS = 20_000;

const REGEXES = [
  '^(?:[a-z0-9]+(?:-[a-z0-9]+)*)$',
  '(?=.*\\d)(?=.*[a-z]).{8,16}',
  '\\p{Lu}\\w{0,20}(?<!x)\\b.*',
  '(a|b)*a(a|b){6}',
  '[^"\\\\\\x00-\\x1f]{1,40}|\\u{1F600}+',
  '(?:(?!end)[^])*end',
  '(?i:straße)[-+]?\\d{1,3}(?:\\.\\d+)?$',
];
const GRAMMARS = [
  'root ::= expr ("," expr)*\nexpr ::= term (("+" | "-") term)*\nterm ::= [0-9]+ | "(" expr ")"\n',
  'root ::= "{" pair{1,3} "}" # object\npair ::= [a-z]{1,8} ":" value ";"\nvalue ::= root | "\\x41" | [^\\n;{}]+\n',
  'root ::= root "a" | ws "b"\nws ::= (" " | "\\t" | "\\u00a0")*\n',
];
const PIECES = [
  ...'()[]{}|*+?^$\\.-,:\'"<>=! \n',
  '::=',
  '{2,',
  '(?=',
  '(?!',
  '(?<=',
  '\\p{',
  '\\b',
  '[^',
  'root',
  'x',
  'é',
  '0',
  '9',
  '999999999',
  '\\u',
  '\ud800',
  '{0,100}',
  '*)*',
];

function mutate(source: string, random: () => number, others: readonly string[], most: number): string {
  const at = () => Math.floor(random() * (source.length + 1));
  for (let count = 1 + Math.floor(random() * most); count > 0; count--) {
    const [from, to] = [at(), at()].sort((a, b) => a - b) as [number, number];
    const piece = PIECES[Math.floor(random() * PIECES.length)]!;
    const other = others[Math.floor(random() * others.length)]!;
    switch (Math.floor(random() * 5)) {
      case 0:
        source = source.slice(0, from) + piece + source.slice(from);
        break;
      case 1:
        source = source.slice(0, from) + source.slice(Math.min(to, from + 3));
        break;
      case 2:
        source = source.slice(0, to) + source.slice(from, to) + source.slice(to);
        break;
      case 3:
        source =
          source.slice(0, from) + other.slice(0, Math.floor(random() * other.length)) + source.slice(from);
        break;
      default:
        source = source.slice(0, from) + piece + source.slice(from + 1);
    }
    source = source.slice(0, 2000);
  }
  return source;
}

/** A text of a machine, if the walk comes to an end: any byte that lives, ASCII first. */
function walk(machine: Machine, random: () => number): Uint8Array | null {
  const bytes: number[] = [];
  let state = machine.start;
  while (bytes.length < 60) {
    if (machine.accepts(state) && random() < 0.3) return Uint8Array.from(bytes);
    const first = Math.floor(random() * 95);
    let next = DEAD;
    for (let i = 0; i < 256 && next === DEAD; i++) {
      const byte = i < 95 ? 0x20 + ((first + i) % 95) : (i + 0x20) % 256;
      next = machine.step(state, byte);
      if (next !== DEAD) bytes.push(byte);
    }
    if (next === DEAD) break;
    state = next;
  }
  assert.ok(machine.accepts(state) || bytes.length === 60, 'a live state without a way on');
  return machine.accepts(state) ? Uint8Array.from(bytes) : null;
}

function fuzz(
  seeds: readonly string[],
  format: (source: string) => OutputFormat,
  check: (source: string, text: string) => void,
  most: number,
) {
  const random = createRandom(7);
  const outcomes = { texts: 0, broken: 0, refused: 0, limited: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const source = mutate(seeds[round % seeds.length]!, random, seeds, most);
    const began = performance.now();
    try {
      const { machine } = compileOutput(format(source));
      for (let i = 0; i < 3; i++) {
        const bytes = walk(machine, random);
        if (bytes === null) continue;
        check(source, new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
        outcomes.texts++;
      }
    } catch (error) {
      assert.ok(
        error instanceof GrammarError,
        `${JSON.stringify(source)}: ${String((error as Error).stack)}`,
      );
      if (error.code === 'grammar-limit') outcomes.limited++;
      else if (error.code === 'unsupported-grammar') outcomes.refused++;
      else outcomes.broken++;
    }
    assert.ok(performance.now() - began < WORST_MS, `${JSON.stringify(source)} took too long`);
  }
  return outcomes;
}

test('mutated expressions: an error, or texts that JavaScript finds in them', () => {
  const { texts, broken } = fuzz(
    REGEXES,
    (regex) => ({ regex }),
    (source, text) => {
      let expression: RegExp;
      try {
        expression = new RegExp(`^(?:${source})$`, 'u');
      } catch {
        return; // what is read more freely than with flag u
      }
      assert.ok(expression.test(text), `/${source}/ and ${JSON.stringify(text)}`);
    },
    4,
  );
  assert.ok(texts > ROUNDS / 4 && broken > ROUNDS / 10, JSON.stringify({ texts, broken }));
});

test('mutated grammars: an error, or a machine without dead ends', () => {
  const { texts, broken } = fuzz(
    GRAMMARS,
    (grammar) => ({ grammar }),
    () => {},
    1,
  );
  assert.ok(texts > ROUNDS / 4 && broken > ROUNDS / 10, JSON.stringify({ texts, broken }));
});
