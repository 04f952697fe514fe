// marimba chat MODEL: a conversation in the terminal, or with lines from a pipe.
import type { Command } from 'commander';
import { bundledSettings, introduction, isBundled, OPTIONAL_MODEL } from '../bundled.ts';
import { banner } from '../chat/banner.ts';
import { chat } from '../chat/loop.ts';
import { watchInterrupt } from '../interrupt.ts';
import { loadForCommand } from '../open.ts';
import { addModelOptions, loadOptions, type ModelFlags } from '../options.ts';
import { addSamplingOptions, generateOptions, type SamplingFlags } from '../sampling.ts';
import { dim } from '../terminal.ts';
import { readTextFile } from '../text-input.ts';
import { wrapText } from '../wrap.ts';
import { examples } from './examples.ts';

interface ChatFlags extends ModelFlags, SamplingFlags {
  readonly system?: string;
  readonly systemFile?: string;
}

export function register(program: Command): void {
  const command = program
    .command('chat')
    .summary('talk to a model')
    .description(
      'Talk to a model. Its state is kept between turns, so only what is new is read. Without MODEL, the bundled one ' +
        'continues speeches: see how it feels before you download another.',
    )
    .argument(...OPTIONAL_MODEL)
    .option('--system <TEXT>', 'system message')
    .option('--system-file <PATH>', 'system message from a file');
  addModelOptions(addSamplingOptions(command))
    .addHelpText(
      'after',
      examples(
        [
          ['marimba chat', 'the bundled model, offline'],
          [
            'marimba chat ai21labs/AI21-Jamba2-3B --quantize q4_K',
            'a model from the hub (see marimba models)',
          ],
          ['marimba chat model.gguf --system "Answer in one sentence."', 'with a system message'],
          ['printf "Hello\\n/stats\\n" | marimba chat model.gguf', 'lines from a pipe'],
        ],
        'Inside: /regenerate, /rewind, /new, /system, /save, /load, /stats, /help, /exit; // begins a message with a ' +
          'slash. A backslash before Enter, or Alt-Enter, makes another line; a paste is one message. Ctrl-C stops an ' +
          'answer, clears a line, and leaves on an empty one.',
        'Without a chat template lines are continued as plain text; without a tokenizer they are token ids.',
        'Messages are remembered for the Up key in ~/.local/state/marimba/history (MARIMBA_HISTORY: another file, or ' +
          'nothing to remember none).',
      ),
    )
    .action(run);
}

async function run(source: string, flags: ChatFlags): Promise<void> {
  const system =
    flags.system ??
    (flags.systemFile === undefined ? undefined : readTextFile(flags.systemFile, '--system-file'));
  const bundled = isBundled(source);
  const interrupt = watchInterrupt();
  const model = await loadForCommand(source, loadOptions(flags), interrupt);
  interrupt.release();
  try {
    if (process.stdout.isTTY) {
      process.stdout.write(`${banner(model)}\n`);
      const help = bundled ? `${introduction()}\n` : wrapText(dim(hint(model)));
      process.stdout.write(`${help}\n${dim('/help lists commands.')}\n`);
    }
    const options = generateOptions(flags, model);
    process.exitCode = await chat(
      model,
      bundled ? { ...bundledSettings(options), system } : { options, system },
    );
  } finally {
    await model.close();
  }
}

function hint({ tokenizer, chatTemplate }: { tokenizer: unknown; chatTemplate: unknown }): string {
  if (!tokenizer) return 'This model has no tokenizer: write token ids, such as 1 2 3.';
  return chatTemplate ? 'Write a message.' : 'This model has no chat template: what you write is continued.';
}
