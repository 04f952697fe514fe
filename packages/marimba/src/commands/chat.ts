// marimba chat MODEL: a conversation in the terminal, or with lines from a pipe.
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { boxIntroduction, boxSettings, isBox, OPTIONAL_MODEL } from '../box.ts';
import { banner } from '../chat/banner.ts';
import { chat } from '../chat/loop.ts';
import { watchInterrupt } from '../interrupt.ts';
import { loadForCommand } from '../open.ts';
import { addModelOptions, loadOptions, type ModelFlags } from '../options.ts';
import { examples } from '../program.ts';
import { addSamplingOptions, generateOptions, type SamplingFlags } from '../sampling.ts';
import { dim } from '../terminal.ts';

interface ChatFlags extends ModelFlags, SamplingFlags {
  readonly system?: string;
  readonly systemFile?: string;
}

export function register(program: Command): void {
  const command = program
    .command('chat')
    .summary('talk to a model')
    .description(
      'Talk to a model. Keeps its state between turns, so only what is new is read. Without MODEL, a small one that comes\n' +
        'along continues speeches: see how it feels before you fetch a real one.',
    )
    .argument(...OPTIONAL_MODEL)
    .option('--system <TEXT>', 'system message')
    .option('--system-file <PATH>', 'system message from a file');
  addModelOptions(addSamplingOptions(command))
    .addHelpText(
      'after',
      examples(
        [
          ['marimba chat', 'the small model that comes along, offline'],
          ['marimba chat ai21labs/AI21-Jamba2-3B --quantize q4_K', 'a model from the hub, in 2 GB'],
          ['marimba chat model.gguf --system "Answer in one sentence."', 'with a system message'],
          ['printf "Hello\\n/stats\\n" | marimba chat model.gguf', 'lines from a pipe'],
        ],
        'Inside: /regenerate, /rewind, /new, /system, /save, /load, /stats, /help, /exit. Ctrl-C stops an answer.',
        'Without a chat template lines are continued as plain text; without a tokenizer they are token ids.',
      ),
    )
    .action(run);
}

async function run(source: string, flags: ChatFlags): Promise<void> {
  const system =
    flags.system ?? (flags.systemFile === undefined ? undefined : await readFile(flags.systemFile, 'utf8'));
  const box = isBox(source);
  const interrupt = watchInterrupt();
  const model = await loadForCommand(source, loadOptions(flags), interrupt);
  interrupt.release();
  try {
    if (process.stdout.isTTY) {
      process.stdout.write(`${banner(model)}\n`);
      const help = box ? `${boxIntroduction()}\n` : hint(model);
      process.stdout.write(
        box ? `${help}${dim('/help lists commands.')}\n` : `${dim(`${help} /help lists commands.`)}\n`,
      );
    }
    const options = generateOptions(flags, model);
    process.exitCode = await chat(model, box ? { ...boxSettings(options), system } : { options, system });
  } finally {
    await model.close();
  }
}

function hint({ tokenizer, chatTemplate }: { tokenizer: unknown; chatTemplate: unknown }): string {
  if (!tokenizer) return 'This model has no tokenizer: write token ids, such as 1 2 3.';
  return chatTemplate ? 'Write a message.' : 'This model has no chat template: what you write is continued.';
}
