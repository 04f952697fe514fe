// marimba quantize IN OUT: a Hugging Face folder or GGUF file as a GGUF file of fewer bits, and a report of
// what that did.
import { UsageError } from '@marimba/engine';
import {
  FILE_TYPES,
  type FileType,
  type KeepRule,
  parseFileType,
  parseKeepRule,
  type QuantizeModelOptions,
  quantizeModel,
} from '@marimba/engine/node';
import { type Command, InvalidArgumentError } from 'commander';
import { type Interrupt, watchInterrupt } from '../interrupt.ts';
import { addHubOptions, type ModelFlags, threadsOption, wholeNumber } from '../options.ts';
import { loadReporter, Progress } from '../progress.ts';
import { formatQuantizeReport } from '../quantize/print.ts';
import { plural } from '../terminal.ts';
import { readTextFile } from '../text-input.ts';
import { examples } from './examples.ts';

interface QuantizeFlags extends ModelFlags {
  readonly type: FileType;
  readonly keep?: readonly KeepRule[];
  readonly text?: string;
  readonly tokens: number;
  readonly compare: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('quantize')
    .summary('write a model as GGUF with fewer bits, with a damage report')
    .description(
      'Write a model as a GGUF file with fewer bits per weight, and report the damage: the error of every tensor, and ' +
        'how far the predictions of the whole model are from the original’s on a text.',
    )
    .argument('<IN>', 'Hugging Face folder, GGUF file or hub name')
    .argument('<OUT>', 'GGUF file to write')
    .requiredOption('--type <TYPE>', FILE_TYPES.join(', '), usage(parseFileType, '--type'))
    .option(
      '--keep <PATTERN=TYPE>',
      'another type for tensors whose GGUF name contains PATTERN, such as ssm_out=q8_0; repeatable',
      keepRules,
    )
    .option('--force', 'replace OUT when it exists')
    .optionsGroup('Damage report:')
    .option('--text <FILE>', 'measure on this text (default: a short built-in passage)')
    .option('--tokens <N>', 'maximum number of its tokens', wholeNumber(2, 1 << 20), 256)
    .option('--no-compare', 'tensor errors only; do not run the models')
    .option('--json', 'print an object instead')
    .optionsGroup('Running:')
    .addOption(threadsOption());
  addHubOptions(command)
    .addHelpText(
      'after',
      examples(
        [
          ['marimba quantize ./AI21-Jamba2-3B jamba2-q4.gguf --type q4_K', 'a quarter of the size'],
          [
            'marimba quantize ./model out.gguf --type q4_K --keep ssm_out=q8_0 --keep attn_q=q6_K',
            'more bits where it hurts',
          ],
          [
            'marimba quantize ./model out.gguf --type q5_K --text notes.txt --json > report.json',
            'damage on your text',
          ],
        ],
        'q2_K to q5_K are mixes: the embedding, attn_v and part of ffn_down get more bits, ssm_x and ssm_dt 8 bits.',
        'Rows that are not a multiple of 256 wide get the nearest type with blocks of 32. Vectors and routers stay f32.',
      ),
    )
    .action(run);
}

/** Commander shows what an InvalidArgumentError says, and exits with 2. */
function usage<T>(parse: (text: string, subject: string) => T, subject: string): (text: string) => T {
  return (text) => {
    try {
      return parse(text, subject);
    } catch (error) {
      throw error instanceof UsageError ? new InvalidArgumentError(error.message) : error;
    }
  };
}

const keepRules = (text: string, before: readonly KeepRule[] = []): KeepRule[] => [
  ...before,
  usage(parseKeepRule, '--keep')(text),
];

async function run(source: string, out: string, flags: QuantizeFlags): Promise<void> {
  const text = flags.text === undefined ? undefined : readTextFile(flags.text, '--text');
  const interrupt = watchInterrupt();
  const progress = new Progress();
  try {
    const options = quantizeOptions(flags, text, progress, interrupt);
    const report = await quantizeModel(source, out, options);
    progress.clear();
    process.stdout.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : formatQuantizeReport(report));
  } catch (error) {
    interrupt.check();
    throw error;
  } finally {
    progress.clear();
    interrupt.release();
  }
}

function quantizeOptions(
  flags: QuantizeFlags,
  text: string | undefined,
  progress: Progress,
  interrupt: Interrupt,
): QuantizeModelOptions {
  return {
    type: flags.type,
    keep: flags.keep ?? [],
    overwrite: flags.force,
    compare: flags.compare ? { text, maxTokens: flags.tokens } : false,
    threads: flags.threads,
    token: flags.token,
    endpoint: flags.endpoint,
    signal: interrupt.signal,
    onProgress: loadReporter(progress),
    onWrite: ({ doneBytes, totalBytes }) => progress.show('Quantising', doneBytes, totalBytes),
    onCompare: ({ model, doneTokens, totalTokens }) =>
      progress.show(
        model === 'original' ? 'Reading with the original' : 'Reading with the new model',
        doneTokens,
        totalTokens,
        '',
        (count) => plural(count, 'token'),
      ),
  };
}
