// marimba generate MODEL: continues a text or a list of tokens, streaming to stdout.
import {
  type GenerateResult,
  type Generation,
  type Model,
  type OutputOptions,
  type Prompt,
  UsageError,
} from '@marimba/engine';
import type { Command } from 'commander';
import { BUNDLED_PROMPT, isBundled, OPTIONAL_MODEL } from '../bundled.ts';
import { watchInterrupt } from '../interrupt.ts';
import { loadForCommand } from '../open.ts';
import { addModelOptions, loadOptions, type ModelFlags, tokenList } from '../options.ts';
import { showReading } from '../prompt-progress.ts';
import {
  addSamplingOptions,
  assertTokens,
  generateOptions,
  promptFrom,
  type SamplingFlags,
} from '../sampling.ts';
import { dim, duration, plural, printJson, threeDigits } from '../terminal.ts';
import { readTextFile } from '../text-input.ts';
import { createWrapper, lineWidth } from '../wrap.ts';
import { examples } from './examples.ts';
import { parseSchemaFile } from './grammar.ts';

interface GenerateFlags extends ModelFlags, SamplingFlags {
  readonly prompt?: string;
  readonly file?: string;
  readonly tokens?: number[];
  readonly chat?: boolean;
  readonly system?: string;
  readonly json?: boolean;
  readonly schema?: string;
  readonly regex?: string;
  readonly grammar?: string;
}

export function register(program: Command): void {
  const command = program
    .command('generate')
    .summary('continue a text')
    .description(
      'Continue a text. Streams to stdout; figures go to stderr. Without MODEL, the bundled one continues it.',
    )
    .argument(...OPTIONAL_MODEL)
    .option('--prompt <TEXT>', 'what to continue (default: standard input)')
    .option('--file <PATH>', 'the prompt from a file')
    .option('--tokens <IDS>', 'token ids instead of text, such as 1,2,3', tokenList)
    .option('--chat', 'treat the prompt as a message, laid out by the model’s chat template')
    .option('--system <TEXT>', 'system message, with --chat')
    .option('--json', 'print one object at the end instead of streaming')
    .optionsGroup('Guaranteed output:')
    .option('--schema <FILE>', 'write JSON that this JSON Schema allows')
    .option('--regex <RE>', 'write a text that this expression matches as a whole')
    .option('--grammar <FILE>', 'write a text of this grammar, in the notation of llama.cpp');
  addModelOptions(addSamplingOptions(command))
    .addHelpText(
      'after',
      examples(
        [
          ['marimba generate --prompt "Ronald Reagan, 1985"', 'the bundled model, offline'],
          ['marimba generate model.gguf --prompt "Once upon a time" --max-tokens 100', 'continue a text'],
          [
            'git diff | marimba generate ./model --chat --system "Write a commit message."',
            'a message from a pipe',
          ],
          [
            'marimba generate ./model --chat --prompt "Who wrote it?" --schema book.json',
            'JSON of a schema, and nothing else',
          ],
          [
            'marimba generate ./model --tokens 1,2,3 --max-tokens 32 --ignore-eos --json',
            'for parity checks',
          ],
        ],
        'Sampling: what the model’s generation_config.json recommends, else temperature 0.7 and top-p 0.95. With ' +
          '--tokens and no --temperature: greedy. A model without a tokenizer prints token ids. Ctrl-C stops and keeps ' +
          'what is there.',
      ),
    )
    .action(run);
}

async function run(source: string, flags: GenerateFlags): Promise<void> {
  if (flags.system !== undefined && !flags.chat)
    throw new UsageError('generate: --system: expected --chat with it');
  const silent = process.stdin.isTTY && !['prompt', 'file', 'tokens'].some((flag) => flag in flags);
  const text = silent && isBundled(source) ? BUNDLED_PROMPT : promptFrom(flags, 'generate');
  const output = outputOf(flags);
  const interrupt = watchInterrupt();
  const model = await loadForCommand(source, loadOptions(flags), interrupt);
  try {
    const prompt = layOut(text, flags);
    if (typeof prompt === 'string' && model.tokenizer) assertTokens(model.encode(prompt), 'generate');
    const greedy = flags.tokens !== undefined && flags.temperature === undefined;
    const options = { ...generateOptions(flags, model, greedy), output, signal: interrupt.signal };
    const generation = model.createSession().generate(prompt, options);
    await show(model, generation, flags.json !== true);
    const result = interrupt.signal.aborted ? soFar(generation) : await generation.result;
    if (flags.json) printJson({ ...result, model: model.name });
    else figures(result);
    interrupt.check();
  } finally {
    interrupt.release();
    await model.close();
  }
}

/** What the answer is held to, if anything. */
function outputOf({ schema, regex, grammar }: GenerateFlags): OutputOptions | undefined {
  const given = [schema, regex, grammar].filter((one) => one !== undefined);
  if (given.length > 1)
    throw new UsageError(`generate: expected one of --schema, --regex and --grammar, found ${given.length}`);
  if (schema !== undefined) return { schema: parseSchemaFile(schema, readTextFile(schema, '--schema')) };
  if (grammar !== undefined) return { grammar: readTextFile(grammar, '--grammar') };
  return regex === undefined ? undefined : { regex };
}

function layOut(text: string | number[], { chat, system }: GenerateFlags): Prompt {
  if (!chat) return text;
  if (typeof text !== 'string') throw new UsageError('generate: --chat: expected a text, found token ids');
  const messages = [{ role: 'user' as const, content: text }];
  return { messages: system === undefined ? messages : [{ role: 'system', content: system }, ...messages] };
}

/**
 * Prints an answer as it comes, in full or up to an abort. Token ids stand in for text where there is no
 * tokenizer.
 */
async function show(model: Model, generation: Generation, visible: boolean): Promise<void> {
  const reading = showReading(generation);
  const wrapper = model.tokenizer && process.stdout.isTTY ? createWrapper(lineWidth()) : null;
  let separator = '';
  try {
    for await (const { token, text } of generation) {
      reading();
      const shown = model.tokenizer ? text : `${separator}${token}`;
      if (visible) process.stdout.write(wrapper?.push(shown) ?? shown);
      separator = ' ';
      // Between tokens signals and pipes have their turn, also with a backend that never leaves this thread.
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    reading();
  }
  if (visible) process.stdout.write(`${wrapper?.end() ?? ''}\n`);
}

/** What there is after Ctrl-C. */
const soFar = ({ tokens, text, usage, seed, timings }: Generation) => ({
  tokens,
  text,
  finishReason: 'abort' as const,
  usage,
  seed,
  timings,
});

type Figures = Pick<GenerateResult, 'usage' | 'timings' | 'seed'> & { readonly finishReason: string };

function figures({ usage, finishReason, timings, seed }: Figures): void {
  if (!process.stderr.isTTY) return;
  const speed = timings.tokensPerSecond > 0 ? ` at ${threeDigits(timings.tokensPerSecond)}/s` : '';
  const parts = [
    `prompt ${plural(usage.promptTokens, 'token')} in ${duration(timings.promptMs)}`,
    plural(usage.generatedTokens, 'token') + speed,
    `ended by ${finishReason}`,
    `seed ${seed}`,
  ];
  process.stderr.write(`${dim(parts.join(' · '), process.stderr)}\n`);
}
