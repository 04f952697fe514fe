// marimba eval MODEL: asks a model tasks, alone or paired with another.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { OPTIONAL_MODEL } from '../bundled.ts';
import { formatEvaluation, summaryOf } from '../eval/print.ts';
import { type EvalFlags, evaluateModels } from '../eval/run.ts';
import { watchInterrupt } from '../interrupt.ts';
import {
  addHubOptions,
  cacheTypeOption,
  collect,
  contextSize,
  quantizeOption,
  threadsOption,
  wholeNumber,
} from '../options.ts';
import { printJson } from '../terminal.ts';
import { examples } from './examples.ts';

interface Flags extends EvalFlags {
  readonly json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('eval')
    .summary('measure a model on tasks, alone or against another')
    .description(
      'Ask a model tasks, alone or, with --against or --quantize, paired with another on the same items and the same text.',
    )
    .argument(...OPTIONAL_MODEL)
    .option('--tasks <LIST>', 'names with commas between them, or repeated: see below', taskList)
    .option('--against <MODEL>', 'a second model, compared item by item')
    .addOption(quantizeOption())
    .option(
      '--text <FILE>',
      'text on which two models are compared token by token (default: written by the first)',
    )
    .option('--out <FOLDER>', 'keep transcripts here, and resume from those that are there')
    .option('--items <N>', 'items per task (per length, for the long texts)', wholeNumber(1))
    .option('--lengths <LIST>', 'lengths for text-needle and text-variables, such as 1K,4K,16K', lengthList)
    .option('--seed <N>', 'seed of generated items', wholeNumber(0, 2 ** 20), 0)
    .option('--window <N>', 'tokens per perplexity window', wholeNumber(2))
    .option('--max-tokens <N>', 'read at most this much of a text', wholeNumber(2))
    .option('--shots <N>', 'worked examples before each question', wholeNumber(0, 100))
    .option('--batch <N>', 'items at a time', wholeNumber(1, 64), 8)
    .option('--chat', "put free questions into the model's chat template")
    .option('--json', 'print the summary as JSON');
  command
    .optionsGroup('Running:')
    .addOption(threadsOption())
    .addOption(
      new Option('--backend <NAME>', 'wasm is fast, reference is plain and exact').choices([
        'wasm',
        'reference',
      ]),
    )
    .addOption(cacheTypeOption())
    .addOption(
      new Option('--activations <MODE>', 'how activations meet quantised weights').choices([
        'auto',
        'f32',
        'int8',
      ]),
    )
    .addOption(new Option('--context <N>', 'longest context').argParser(contextSize));
  addHubOptions(command)
    .addHelpText(
      'after',
      examples(
        [
          [
            'marimba eval ./model --tasks text-needle,text-variables --lengths 1K,4K,16K',
            'how much context is really used',
          ],
          [
            'marimba eval model.gguf --tasks perplexity:book.txt,questions:arc.jsonl --out runs/arc',
            'resumable, with transcripts',
          ],
          ['marimba eval ./model --quantize q4_K --tasks perplexity:book.txt', 'what quantising costs'],
          ['marimba eval ./jamba --against ./llama --tasks questions:arc.jsonl', 'two models, paired'],
        ],
        'Tasks: recall, in-context-recall, noisy-recall, selective-copying, memorisation, compression, induction, needle, ' +
          'few-shot-labels, variable-tracking (each with :tiny, :small, :medium or :large; for models trained on them), ' +
          'text-needle, text-variables, perplexity:FILE, questions:FILE (JSONL with question, choices, answer).',
      ),
    )
    .action(run);
}

function taskList(text: string, before: readonly string[] = []): string[] {
  return text
    .split(',')
    .filter(Boolean)
    .reduce<string[]>((list, name) => collect(name, list), [...before]);
}

function lengthList(text: string): number[] {
  const list = text.split(',').map(contextSize);
  if (!list.length) throw new InvalidArgumentError('Expected lengths such as 1K,4K.');
  return list;
}

async function run(source: string, flags: Flags): Promise<void> {
  const interrupt = watchInterrupt();
  try {
    const report = await evaluateModels(source, flags, interrupt);
    if (flags.json) printJson(summaryOf(report));
    else process.stdout.write(formatEvaluation(report));
  } catch (error) {
    interrupt.check();
    throw error;
  } finally {
    interrupt.release();
  }
}
