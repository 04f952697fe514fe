// Random walks through the machines of schemas: what they finish with is valid for two validators that share no code, and
// no walk ends where nothing may follow.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registerSchema, unregisterSchema, validate } from '@hyperjump/json-schema/draft-2020-12';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { compileSchema, type SchemaOptions } from '../src/grammar/json/compile-schema.ts';
import { DEAD, type Machine } from '../src/grammar/machine.ts';
import { CORPUS } from './schema-corpus.ts';

/** A generator of numbers below n, the same in every run. */
function generator(seed: number): (n: number) => number {
  return (n) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >> 8) % n;
  };
}

/** Steps after which a walk goes for its end. */
const FREE = 100;
/** Steps of a walk. In any order, one among free keys may never come to write a required one. */
const MOST = 500;
const CLOSERS = [0x22, 0x5d, 0x7d];
const ALL = Array.from({ length: 256 }, (_, byte) => byte);
const ASCII = [0x0a, ...ALL.slice(0x20, 0x7f)];

/** A whole text; null where no end was found in time. */
function walk(machine: Machine, draw: (n: number) => number): Uint8Array | null {
  const bytes: number[] = [];
  let state = machine.start;
  for (let steps = 0; steps < MOST; steps++) {
    const lives = (byte: number): boolean => machine.step(state, byte) !== DEAD;
    const ascii = draw(16) === 0 ? [] : ASCII.filter(lives);
    const live = ascii.length > 0 ? ascii : ALL.filter(lives);
    const ends = machine.accepts(state);
    if (steps % 4 === 0) checkLexeme(machine, state);
    assert.ok(
      live.length > 0 || ends,
      `a dead end after ${new TextDecoder().decode(Uint8Array.from(bytes))}`,
    );
    if (ends && (live.length === 0 || steps > FREE || draw(4) === 0)) return Uint8Array.from(bytes);
    const closers = live.filter((byte) => CLOSERS.includes(byte));
    // One of sixteen groups of bytes first: otherwise no string would ever be left.
    const groups = [...new Set(live.map((byte) => byte >> 4))];
    const group = groups[draw(groups.length)];
    const members = live.filter((byte) => byte >> 4 === group);
    const wantsEnd = closers.length > 0 && (steps > FREE ? draw(8) > 0 : draw(6) === 0);
    const byte = wantsEnd ? closers[draw(closers.length)] : members[draw(members.length)];
    bytes.push(byte);
    state = machine.step(state, byte);
  }
  return null;
}

/** What masks rely on: inside of a lexeme its automaton and the machine live and die together, up to its exits. */
function checkLexeme(machine: Machine, state: number): void {
  const lexeme = machine.lexeme(state);
  if (lexeme === null) return;
  for (let byte = 0; byte < 256; byte++) {
    const inside = lexeme.dfa.step(lexeme.state, byte) !== DEAD;
    const lives = machine.step(state, byte) !== DEAD;
    assert.ok(lives || !inside, `the lexeme lives where the machine dies, byte ${byte}`);
    if (lives && !inside) assert.ok(lexeme.dfa.exits(lexeme.state), `no exit before byte ${byte}`);
  }
}

const ajv = new Ajv2020({ strict: false, validateFormats: true });
// With the types of CommonJS the function is its own namespace.
(addFormats as unknown as (ajv: Ajv2020) => void)(ajv);

const OPTIONS: readonly SchemaOptions[] = [
  { whitespace: 'compact', order: 'declared', numbers: 'plain' },
  { whitespace: 'flexible', order: 'any', numbers: 'any' },
];
const WALKS = 10;

for (const [name, schema] of Object.entries(CORPUS)) {
  test(`${name}: every text that is finished is valid`, async () => {
    const { $schema: _, ...rest } = schema as { $schema?: string };
    const isValid = ajv.compile(rest);
    const uri = `https://example.org/${encodeURIComponent(name)}`;
    registerSchema({ ...rest, $schema: 'https://json-schema.org/draft/2020-12/schema' }, uri);
    const check = await validate(uri);
    const draw = generator(name.length * 7919 + 1);
    let finished = 0;
    for (const options of OPTIONS) {
      const { machine } = compileSchema(schema, options);
      for (let i = 0; i < WALKS; i++) {
        const bytes = walk(machine, draw);
        if (bytes === null) continue;
        finished++;
        const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
        const value = JSON.parse(text) as never;
        assert.ok(isValid(value), `ajv: ${text}: ${ajv.errorsText(isValid.errors)}`);
        assert.ok(check(value).valid, `hyperjump: ${text}`);
      }
    }
    unregisterSchema(uri);
    assert.ok(finished >= WALKS / 2, `expected many walks to end, found ${finished} of ${2 * WALKS}`);
  });
}
