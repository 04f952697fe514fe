// marimba logits MODEL: the numbers themselves, for comparing with other implementations.
import { open } from 'node:fs/promises';
import { type Model, type Session, UsageError } from '@marimba/engine';
import type { Command } from 'commander';
import { OPTIONAL_MODEL } from '../bundled.ts';
import { type Interrupt, watchInterrupt } from '../interrupt.ts';
import { loadForCommand } from '../open.ts';
import { addModelOptions, loadOptions, type ModelFlags, tokenList } from '../options.ts';
import { assertTokens } from '../sampling.ts';
import { dim, printJson, table } from '../terminal.ts';
import { examples } from './examples.ts';

interface LogitsFlags extends ModelFlags {
  readonly tokens?: number[];
  readonly prompt?: string;
  readonly all?: boolean;
  readonly output?: string;
  readonly json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('logits')
    .summary('next-token logits, for parity checks')
    .description('Compute next-token logits, to a file of float32 or as the ten most likely tokens.')
    .argument(...OPTIONAL_MODEL)
    .option('--tokens <IDS>', 'token ids, such as 1,2,3', tokenList)
    .option('--prompt <TEXT>', 'text instead of token ids')
    .option('--all', 'the logits after every token, not only after the last (needs --output)')
    .option('--output <FILE>', 'write raw little-endian float32, one row of the vocabulary per token')
    .option('--json', 'print an object instead');
  addModelOptions(command, { cacheType: 'f32', activations: 'f32' })
    .addHelpText(
      'after',
      examples(
        [
          ['marimba logits model.gguf --tokens 1,2,3', 'the most likely next tokens'],
          [
            'marimba logits ./model --tokens 1,2,3 --all --output logits.f32',
            'three rows for a parity check',
          ],
        ],
        'Exact by default: f32 activations and an f32 cache, unlike generate and chat.',
      ),
    )
    .action(run);
}

async function run(source: string, flags: LogitsFlags): Promise<void> {
  if ((flags.tokens === undefined) === (flags.prompt === undefined))
    throw new UsageError('logits: expected --tokens or --prompt (one of them)');
  if (flags.all && !flags.output)
    throw new UsageError('logits: --all: expected --output FILE to write the rows to');
  const interrupt = watchInterrupt();
  const exact = {
    ...loadOptions(flags),
    cacheType: flags.cacheType ?? 'f32',
    activations: flags.activations ?? 'f32',
  };
  const model = await loadForCommand(source, exact, interrupt);
  try {
    const tokens = flags.tokens ?? model.encode(flags.prompt ?? '');
    assertTokens(tokens, 'logits');
    const session = model.createSession();
    if (flags.output) await writeLogits(model, session, tokens, flags.output, flags.all === true, interrupt);
    const last = flags.output ? null : await session.prefill(tokens, { signal: interrupt.signal });
    report(model, tokens, last, flags);
  } catch (error) {
    interrupt.check();
    throw error;
  } finally {
    interrupt.release();
    await model.close();
  }
}

/** Rows of this many tokens are in memory at a time. */
const CHUNK_TOKENS = 64;

async function writeLogits(
  model: Model,
  session: Session,
  tokens: readonly number[],
  path: string,
  all: boolean,
  interrupt: Interrupt,
): Promise<void> {
  const { signal } = interrupt;
  const file = await open(path, 'w');
  try {
    if (!all) return void (await file.write(littleEndian(await session.prefill(tokens, { signal }))));
    for (let from = 0; from < tokens.length; from += CHUNK_TOKENS) {
      const chunk = tokens.slice(from, from + CHUNK_TOKENS);
      const [result] = await model.step([{ session, tokens: chunk, logits: 'all' }], { signal });
      await file.write(littleEndian(result!.logits!));
    }
  } finally {
    await file.close();
  }
}

function littleEndian(values: Float32Array): Uint8Array {
  const raw = new Uint8Array(values.length * 4);
  const view = new DataView(raw.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat32(i * 4, values[i]!, true);
  return raw;
}

const TOP = 10;

function report(
  model: Model,
  tokens: readonly number[],
  last: Float32Array | null,
  flags: LogitsFlags,
): void {
  const shape = [flags.all ? tokens.length : 1, model.vocabularySize];
  const top = last ? mostLikely(model, last) : null;
  if (flags.json) {
    const data = {
      tokens,
      shape,
      ...(flags.output ? { output: flags.output } : {}),
      ...(top ? { top } : {}),
    };
    printJson(data);
  } else if (top) {
    const rows = top.map(({ token, text, logit, probability }) => [
      `${token}`,
      ...(text === null ? [] : [JSON.stringify(text)]),
      logit.toFixed(4),
      `${(probability * 100).toFixed(2)}%`,
    ]);
    const heading = ['token', ...(model.tokenizer ? ['text'] : []), 'logit', 'probability'].map((title) =>
      dim(title),
    );
    process.stdout.write(`${table([heading, ...rows])}\n`);
  } else {
    process.stderr.write(`Wrote ${shape.join(' × ')} float32 to ${flags.output}\n`);
  }
}

function mostLikely(model: Model, logits: Float32Array) {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
  return order.slice(0, TOP).map((token) => ({
    token,
    text: model.tokenizer ? model.tokenizer.decode([token]) : null,
    logit: logits[token]!,
    probability: Math.exp(logits[token]! - largest) / sum,
  }));
}
