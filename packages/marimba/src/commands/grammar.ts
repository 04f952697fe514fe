// marimba grammar check: whether a schema, an expression or a grammar can be enforced, which texts it
// accepts, and what texts come of it. Reads the tokenizer of a model, never its weights.
import { readFile } from 'node:fs/promises';
import { GrammarError, type Refusal, UsageError } from '@marimba/engine';
import {
  type CompiledOutput,
  checkText,
  compileOutput,
  GrammarVocabulary,
  Masks,
  type OutputFormat,
  readTokenizer,
  sampleText,
  type TextVerdict,
} from '@marimba/engine/grammar';
import { createRandom } from '@marimba/engine/measure';
import { type Command, Option } from 'commander';
import { BUNDLED } from '../bundled.ts';
import { EXIT } from '../exit.ts';
import { watchInterrupt } from '../interrupt.ts';
import { openModelFiles } from '../open.ts';
import { collect, wholeNumber } from '../options.ts';
import { bold, dim, green, printJson, red } from '../terminal.ts';
import { examples } from './examples.ts';

interface CheckFlags {
  readonly schema?: string;
  readonly regex?: string;
  readonly ebnf?: string;
  readonly model: string;
  readonly accepts?: string[];
  readonly sample?: number;
  readonly seed: number;
  readonly whitespace?: 'compact' | 'flexible';
  readonly order?: 'declared' | 'any';
  readonly json?: boolean;
}

/** What is printed with --json. */
interface Report {
  readonly supported: boolean;
  readonly refused: readonly Refusal[];
  /** From the source to the first mask; null where it is refused. */
  readonly compileMs: number | null;
  /** One for each --accepts, in order. */
  readonly results: readonly TextVerdict[];
  /** Whole texts. */
  readonly samples: readonly string[];
  /** How many of the wanted samples found no end in time; absent where all did. */
  readonly unfinished?: number;
  /** Of the first mask and of all tokens of the texts and samples; null where it is refused. */
  readonly mask: MaskTimes | null;
}

interface MaskTimes {
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

export function register(program: Command): void {
  const command = program
    .command('grammar')
    .summary('check what output is held to')
    .description('Check a JSON Schema, a regular expression or a grammar that output is to be held to.')
    .addHelpText(
      'after',
      examples([['marimba grammar check --schema order.json', 'can it be enforced, and what is refused?']]),
    );
  command
    .command('check')
    .description('Say whether it can be enforced, which texts it accepts, and draw texts from it.')
    .option('--schema <FILE>', 'a JSON Schema (draft 2020-12 or 7)')
    .option('--regex <RE>', 'a regular expression in ECMAScript’s syntax, matched whole')
    .option('--ebnf <FILE>', 'a grammar in the notation of llama.cpp (GBNF)')
    .option('--model <MODEL>', 'whose tokenizer cuts the texts', BUNDLED)
    .option('--accepts <TEXTFILE>', 'test the text of a file, every byte of it; may be repeated', collect)
    .option('--sample <N>', 'draw texts with random logits', wholeNumber(1, 100_000))
    .option('--seed <S>', 'of the samples', wholeNumber(0), 1)
    .addOption(
      new Option('--whitespace <KIND>', 'between the parts of JSON: none, or any').choices([
        'compact',
        'flexible',
      ]),
    )
    .addOption(new Option('--order <KIND>', 'of the properties of an object').choices(['declared', 'any']))
    .option('--json', 'print one object')
    .addHelpText(
      'after',
      examples(
        [
          ['marimba grammar check --regex "[0-9]{4}-[0-9]{2}" --sample 3', 'texts that it allows'],
          [
            'marimba grammar check --ebnf list.gbnf --accepts answer.txt',
            'does it accept this text, and where not?',
          ],
        ],
        'Exit codes: 0 it is supported and accepts every text, 1 it is refused or rejects a text (the report says ' +
          'why), 2 wrong usage.',
      ),
    )
    .action(check);
}

async function check(flags: CheckFlags): Promise<void> {
  const { format, texts } = await readInputs(flags);
  const masks = await masksOf(flags.model);
  const report = makeReport(format, texts, flags, masks);
  if (flags.json) printJson(report);
  else print(report, flags.accepts ?? []);
  if (!report.supported || report.results.some(({ accepted }) => !accepted)) process.exitCode = EXIT.failed;
}

async function readInputs(flags: CheckFlags): Promise<{ format: () => OutputFormat; texts: string[] }> {
  const { schema, regex, ebnf } = flags;
  const given = [schema, regex, ebnf].filter((one) => one !== undefined);
  if (given.length !== 1)
    throw new UsageError(
      `grammar check: expected one of --schema, --regex and --ebnf, found ${given.length}`,
    );
  // A mark of byte order is none of a schema's or grammar's characters. In a text it is one.
  const source = regex ?? (await readText((schema ?? ebnf)!)).replace(/^\ufeff/, '');
  const texts: string[] = [];
  for (const path of flags.accepts ?? []) texts.push(await readText(path));
  const format = (): OutputFormat => {
    if (schema !== undefined)
      return { schema: parseSchemaFile(schema, source), whitespace: flags.whitespace, order: flags.order };
    return regex === undefined ? { grammar: source } : { regex };
  };
  return { format, texts };
}

/** What a file holds as JSON; what is none is refused as a schema, not as wrong usage. */
export function parseSchemaFile(path: string, text: string): unknown {
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch (cause) {
    throw new GrammarError(`${path}: expected a JSON Schema, found no JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
  return /\d{16}/.test(text) ? withWholeNumbers(text, schema) : schema;
}

/** The value of a JSON text in which whole numbers that no double holds, such as bounds of 64 bits, are bigints. */
function withWholeNumbers(text: string, parsed: unknown): unknown {
  const revive = (_: string, value: unknown, { source }: { source?: string } = {}): unknown => {
    if (typeof value !== 'number' || Number.isSafeInteger(value) || !Number.isFinite(value)) return value;
    return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
  };
  try {
    return JSON.parse(text, revive);
  } catch {
    // Nested too deep to be looked through, so beyond the bounds of a schema.
    return parsed;
  }
}

/** A file as text. Bytes that are no UTF-8 become lone surrogates, which no grammar accepts. */
async function readText(path: string): Promise<string> {
  const bytes = await readFile(path);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes).replaceAll('\ufffd', '\ud800');
  }
}

interface TextTools {
  readonly masks: Masks;
  readonly encode: (text: string) => readonly number[];
}

async function masksOf(model: string): Promise<TextTools> {
  const interrupt = watchInterrupt();
  const checkpoint = await openModelFiles(model, {}, interrupt);
  try {
    const tokenizer = await readTokenizer(checkpoint);
    if (tokenizer === null) throw new UsageError(`${model}: expected a model with a tokenizer, found none`);
    const vocabulary = new GrammarVocabulary(tokenizer, tokenizer.vocabularySize, tokenizer.special.eos);
    return {
      masks: new Masks(vocabulary),
      encode: (text) => tokenizer.encode(text, { addBos: false }),
    };
  } finally {
    await checkpoint.close();
    interrupt.release();
  }
}

function makeReport(
  format: () => OutputFormat,
  texts: readonly string[],
  { sample = 0, seed }: CheckFlags,
  { masks, encode }: TextTools,
): Report {
  const began = performance.now();
  const times: number[] = [];
  const onMask = (microseconds: number) => void times.push(microseconds);
  let compiled: CompiledOutput;
  let words: readonly string[];
  try {
    const output = format();
    compiled = compileOutput(output);
    words = 'schema' in output ? stringsIn(output.schema) : [];
    const compiledAt = performance.now();
    masks.of(compiled.machine, compiled.machine.start);
    onMask((performance.now() - compiledAt) * 1000);
  } catch (error) {
    if (!(error instanceof GrammarError)) throw error;
    const refused =
      error.refused.length > 0
        ? error.refused
        : [{ keyword: error.code, pointer: '', reason: error.message }];
    return {
      supported: false,
      refused,
      compileMs: null,
      results: [],
      samples: [],
      unfinished: 0,
      mask: null,
    };
  }
  const compileMs = performance.now() - began;
  const { machine } = compiled;
  const results = texts.map((text) => checkText(masks, machine, text, encode, onMask));
  const samples = drawSamples(sample, seed, (random) =>
    sampleText(masks, machine, random, { words, onMask }),
  );
  const unfinished = sample - samples.length;
  const missing = unfinished > 0 ? { unfinished } : {};
  return { supported: true, refused: [], compileMs, results, samples, ...missing, mask: summary(times) };
}

/** Names and other strings of a schema that was compiled, so is not deep. */
function stringsIn(schema: unknown): string[] {
  const strings = new Set<string>();
  const visit = (value: unknown): void => {
    if (strings.size >= MOST_WORDS) return;
    if (typeof value === 'string') strings.add(value);
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (!Array.isArray(value)) strings.add(key);
      visit(inner);
    }
  };
  visit(schema);
  return [...strings];
}

const MOST_WORDS = 2000;

/** As many whole texts as are wanted; fewer where the tries for them run out. */
function drawSamples(count: number, seed: number, draw: (random: () => number) => string | null): string[] {
  const samples: string[] = [];
  for (let i = 0; i < 4 * count && samples.length < count; i++) {
    try {
      const text = draw(createRandom(seed + i));
      if (text !== null) samples.push(text);
    } catch (error) {
      // A text beyond the bounds is one without an end.
      if (!(error instanceof GrammarError)) throw error;
    }
  }
  return samples;
}

function summary(times: number[]): MaskTimes {
  times.sort((a, b) => a - b);
  const at = (fraction: number) => times[Math.min(times.length - 1, Math.floor(fraction * times.length))]!;
  const meanUs = times.reduce((sum, time) => sum + time, 0) / times.length;
  return { meanUs, p50Us: at(0.5), p99Us: at(0.99), maxUs: at(1) };
}

function print(
  { supported, refused, compileMs, results, samples, unfinished = 0, mask }: Report,
  files: readonly string[],
): void {
  const lines: string[] = [];
  if (supported) lines.push(`${green('supported')} ${dim(`compiled in ${compileMs!.toFixed(1)} ms`)}`);
  for (const { keyword, pointer, reason } of refused)
    lines.push(`${red('refused')} ${bold(keyword)}${pointer === '' ? '' : ` at ${pointer}`}: ${reason}`);
  results.forEach(({ accepted, rejectedAt, why }, i) => {
    const verdict = accepted ? green('accepted') : `${red('rejected')} at character ${rejectedAt}: ${why}`;
    lines.push(`${files[i]}: ${verdict}`);
  });
  lines.push(...samples);
  if (unfinished > 0) lines.push(dim(`${unfinished} more samples found no end in time`));
  if (mask)
    lines.push(
      dim(
        `mask: mean ${mask.meanUs.toFixed(0)} µs, half below ${mask.p50Us.toFixed(0)}, 99 % below ${mask.p99Us.toFixed(0)}`,
      ),
    );
  process.stdout.write(`${lines.join('\n')}\n`);
}
