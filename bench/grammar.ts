// `npm run bench:grammar -- MODEL`: how long masks take, and the way from a schema to the first one, here and
// in web-xgrammar, in turns in one process and on one thread. Each schema is followed with a text that fits
// it, as the model's tokenizer cuts it. Both sides are warmed up with all of them, and start anew in every
// round; of each time the least of the rounds counts.
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { compileOutput, GrammarVocabulary, Masks, readTokenizer } from '@marimba/engine/grammar';
import { openSource } from '@marimba/engine/node';
import { CASES, type GrammarCase } from './grammar-corpus.ts';
import { describeMachine } from './machine.ts';
import { installPeers } from './peer-installation.ts';

type Tokenizer = NonNullable<Awaited<ReturnType<typeof readTokenizer>>>;

/** What one side took, in microseconds. */
interface Times {
  /** From the schema to the first mask, of each schema. */
  readonly first: number[];
  /** Of every further token. */
  readonly masks: number[];
  /** Schemas that were refused, or whose text was. */
  readonly failed: string[];
}

type Side = (
  one: GrammarCase,
  whitespace: 'compact' | 'flexible',
  tokens: readonly number[],
  into: Times,
) => unknown;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    repeat: { type: 'string', default: '5' },
    peer: { type: 'boolean', default: true },
    help: { type: 'boolean', short: 'h' },
  },
  allowNegative: true,
});
const [model] = positionals;
if (values.help || model === undefined) {
  process.stderr.write(
    'Usage: npm run bench:grammar -- MODEL [--repeat 5] [--no-peer]\nMODEL gives the vocabulary.\n',
  );
  process.exit(values.help ? 0 : 2);
}
const checkpoint = await openSource(model, {});
const tokenizer = await readTokenizer(checkpoint);
await checkpoint.close();
if (tokenizer === null) throw new Error(`${model}: expected a tokenizer, found none`);

const sides = new Map<string, Side>([['marimba', ours(tokenizer)]]);
if (values.peer) {
  installPeers(['@mlc-ai/web-xgrammar']);
  sides.set('web-xgrammar', await peers(tokenizer));
}
await report();

function ours(of: Tokenizer): Side {
  const vocabulary = new GrammarVocabulary(of, of.vocabularySize, of.special.eos);
  let masks = new Masks(vocabulary);
  return ({ name, schema }, whitespace, tokens, into) => {
    if (name === CASES[0]!.name) masks = new Masks(vocabulary);
    const began = performance.now();
    const { machine } = compileOutput({ schema, whitespace });
    let state = machine.start;
    masks.of(machine, state);
    into.first.push((performance.now() - began) * 1000);
    for (const [i, token] of tokens.entries()) {
      const before = performance.now();
      const mask = masks.of(machine, state);
      if (i > 0) into.masks.push((performance.now() - before) * 1000);
      if (((mask[token >> 5]! >>> (token & 31)) & 1) === 0) return into.failed.push(name);
      for (const byte of vocabulary.bytesOf(token)!) state = machine.step(state, byte);
    }
    return machine.accepts(state) || into.failed.push(name);
  };
}

async function peers(of: Tokenizer): Promise<Side> {
  // It is built for pages, and in Node asks for what only CommonJS has.
  Object.assign(globalThis, { require: createRequire(import.meta.url), __filename: '/', __dirname: '/' });
  await import('@mlc-ai/web-xgrammar');
  const { GrammarCompiler, GrammarMatcher, TokenizerInfo } = xgrammar;
  const texts = Array.from({ length: of.vocabularySize }, (_, token) => of.tokenText(token));
  const kind = texts.some((text) => text.startsWith('Ġ')) ? 'byte_level' : 'byte_fallback';
  const info = await TokenizerInfo.createTokenizerInfo(texts, kind, false, texts.length, [...of.special.eos]);
  return async ({ name, schema }, whitespace, tokens, into) => {
    const compiler = await GrammarCompiler.createGrammarCompiler(info, false);
    const began = performance.now();
    const compact: [string, string] | undefined = whitespace === 'compact' ? [',', ':'] : undefined;
    // Not its strict mode, which reads an object without additionalProperties as closed.
    const grammar = await compiler.compileJSONSchema(
      JSON.stringify(schema),
      compact === undefined,
      compact === undefined ? undefined : -1,
      compact,
      false,
    );
    const matcher = await GrammarMatcher.createGrammarMatcher(grammar);
    await matcher.getNextTokenBitmask();
    into.first.push((performance.now() - began) * 1000);
    for (const [i, token] of tokens.entries()) {
      const before = performance.now();
      await matcher.getNextTokenBitmask();
      if (i > 0) into.masks.push((performance.now() - before) * 1000);
      if (!matcher.acceptToken(token)) {
        into.failed.push(name);
        break;
      }
    }
    matcher.dispose();
    grammar.dispose();
    compiler.dispose();
  };
}

async function report(): Promise<void> {
  const least = new Map<string, Times>();
  for (let round = -1; round < Number(values.repeat); round++) {
    const times = new Map(
      Array.from(sides.keys(), (side) => [side, { first: [], masks: [], failed: [] } as Times]),
    );
    for (const one of CASES)
      for (const whitespace of ['compact', 'flexible'] as const) {
        const text = JSON.stringify(one.value, null, whitespace === 'compact' ? 0 : 2);
        const tokens = tokenizer!.encode(text, { addBos: false });
        for (const [side, run] of sides) await run(one, whitespace, tokens, times.get(side)!);
      }
    if (round < 0) continue;
    for (const [side, now] of times) least.set(side, leastOf(least.get(side) ?? now, now));
  }
  const { processor, loadBefore } = describeMachine();
  const lines = [
    `${processor}, one thread, load ${loadBefore.toFixed(1)}; vocabulary of ${tokenizer!.vocabularySize}, ${CASES.length} schemas, compact and flexible`,
    '',
    '| | masks | mean µs | p50 | p99 | worst | first mask ms: p50 | p99 | worst | refused |',
    '|---|--:|--:|--:|--:|--:|--:|--:|--:|---|',
    ...Array.from(least, ([side, { first, masks, failed }]) => {
      const [mask, start] = [figures(masks), figures(first)];
      const ms = (us: number) => (us / 1000).toFixed(2);
      return (
        `| ${side} | ${masks.length} | ${mask.mean.toFixed(1)} | ${mask.p50.toFixed(1)} | ${mask.p99.toFixed(0)} ` +
        `| ${mask.max.toFixed(0)} | ${ms(start.p50)} | ${ms(start.p99)} | ${ms(start.max)} | ${[...new Set(failed)].join(', ')} |`
      );
    }),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** The same masks in two rounds, the shorter time of each: what else the machine does only adds. */
function leastOf(a: Times, b: Times): Times {
  const shorter = (one: readonly number[], other: readonly number[]) =>
    one.map((time, i) => Math.min(time, other[i] ?? time));
  return { first: shorter(a.first, b.first), masks: shorter(a.masks, b.masks), failed: b.failed };
}

function figures(list: readonly number[]): { mean: number; p50: number; p99: number; max: number } {
  const sorted = [...list].sort((a, b) => a - b);
  const at = (fraction: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] ?? 0;
  const mean = sorted.reduce((sum, one) => sum + one, 0) / Math.max(1, sorted.length);
  return { mean, p50: at(0.5), p99: at(0.99), max: at(1) };
}
