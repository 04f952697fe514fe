// `marimba bench MODEL`: how fast a model runs on this machine, how near that is to what memory allows, and
// which ops the time goes to.
import type { Command } from 'commander';
import { type BenchOptions, runBench } from '../bench/measure.ts';
import { formatBench } from '../bench/print.ts';
import { OPTIONAL_MODEL } from '../bundled.ts';
import { watchInterrupt } from '../interrupt.ts';
import { liveLine } from '../live-line.ts';
import { addModelOptions, contextSize, loadOptions, type ModelFlags, wholeNumber } from '../options.ts';
import { examples } from './examples.ts';

interface Flags extends ModelFlags, BenchOptions {
  readonly json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('bench')
    .summary('measure load, prompt and decoding speed, with a profile')
    .description(
      'Measure how fast a model runs here: loading, reading a prompt, decoding. Compare with the speed of bare ' +
        'memory reads on as many threads, and show which operations the time goes to. The tokens are random.',
    )
    .argument(...OPTIONAL_MODEL)
    .option('--prompt <N>', 'tokens of the prompt', wholeNumber(1), 256)
    .option('--new <N>', 'tokens to decode', wholeNumber(1), 48)
    .option('--sessions <N>', 'sessions that decode together', wholeNumber(1, 64), 1)
    .option(
      '--depth <N>',
      'context before the prompt, such as 64K; filled with random values, not read',
      depth,
      0,
    )
    .option('--repeat <N>', 'repetitions; the median counts', wholeNumber(1, 1000), 3)
    .option(
      '--json',
      'print an object: loadMs, firstTokenMs, promptTokensPerSecond, decodeTokensPerSecond, residentBytes, …',
    )
    .addHelpText(
      'after',
      examples([
        ['marimba bench model.gguf', 'the usual figures'],
        ['marimba bench model.gguf --sessions 8', 'eight conversations at once; tokens/s of all together'],
        ['marimba bench model.gguf --depth 64K --cache-type q8', 'deep in a long conversation'],
      ]),
    )
    .action(async (source: string, flags: Flags) => {
      const interrupt = watchInterrupt();
      try {
        const { prompt, new: steps, sessions, repeat } = flags;
        const options: BenchOptions = { prompt, new: steps, sessions, depth: flags.depth, repeat };
        const result = await runBench(source, loadOptions(flags), options, announce, interrupt.signal);
        liveLine.clear();
        process.stdout.write(
          flags.json ? `${JSON.stringify(result, null, 2)}\n` : `${formatBench(result)}\n`,
        );
      } finally {
        liveLine.clear();
        interrupt.release();
      }
    });
  addModelOptions(command);
}

const depth = (text: string): number => (text === '0' ? 0 : contextSize(text));

const announce = (part: string): void => liveLine.show(`${part} …`);
