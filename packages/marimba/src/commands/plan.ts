// marimba plan MODEL: what a model needs at each context length and how fast it can be, before loading or
// even having it.
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { BUNDLED } from '../bundled.ts';
import { curvesSvg } from '../describe/curves-svg.ts';
import { KNOWN_MODELS } from '../describe/known-models.ts';
import { watchInterrupt } from '../interrupt.ts';
import {
  addHubOptions,
  cacheTypeOption,
  contextSize,
  quantizeOption,
  realNumber,
  threadsOption,
} from '../options.ts';
import { curvesOf, formatPlan } from '../plan/print.ts';
import { makePlan, type PlanFlags } from '../plan/run.ts';
import { printJson } from '../terminal.ts';
import { examples } from './examples.ts';

export function register(program: Command): void {
  const command = program
    .command('plan')
    .summary('forecast memory and speed, next to a transformer')
    .description(
      'Forecast the memory at each context length and the speed, next to a pure transformer of the same size.',
    )
    .argument(
      '[MODEL]',
      `folder, file, config.json, hub name, ${BUNDLED} (the small model that is shipped with marimba), or one of ` +
        KNOWN_MODELS.map(({ name }) => name).join(', '),
      BUNDLED,
    )
    .option('--context <N>', 'longest context, such as 32K', contextSize, 262_144)
    .option('--against <MODEL>', 'compare with this model instead of one with attention in every layer')
    .option('--svg <FILE>', 'also write the curves as SVG')
    .option('--json', 'print an object instead')
    .optionsGroup('Assumptions:')
    .addOption(quantizeOption())
    .addOption(cacheTypeOption())
    .optionsGroup('Machine:')
    .option('--bandwidth <GB/s>', 'memory bandwidth, instead of measuring', realNumber(0.001))
    .option('--compute <GMAC/s>', 'products per second, instead of measuring', realNumber(0.001))
    .option('--memory <GiB>', "memory, instead of this machine's", realNumber(0.001))
    .option('--no-speed', 'memory only')
    .addOption(threadsOption());
  addHubOptions(command)
    .addHelpText(
      'after',
      examples(
        [
          ['marimba plan jamba-3b --against llama-3.2-3b', 'two published models'],
          [
            'marimba plan model.gguf --context 32K --cache-type q8 --svg memory.svg',
            'your file, your context',
          ],
          ['marimba plan jamba-3b --bandwidth 60 --compute 400', 'on another machine'],
        ],
        'A model without files (a name or a config.json) is planned in the format of the model that it is compared with, ' +
          'else as q4_K; --quantize changes that.',
        'Speed is an upper bound: bytes over bandwidth or products over compute, whichever takes longer.',
      ),
    )
    .action(run);
}

interface Flags extends PlanFlags {
  readonly svg?: string;
  readonly json?: boolean;
}

async function run(source: string, flags: Flags): Promise<void> {
  const interrupt = watchInterrupt();
  try {
    const plan = await makePlan(source, flags, interrupt);
    interrupt.check();
    if (flags.svg) await writeFile(flags.svg, curvesSvg(curvesOf(plan)));
    if (flags.json) printJson(plan);
    else process.stdout.write(formatPlan(plan));
    if (flags.svg && !flags.json) process.stderr.write(`Wrote ${flags.svg}\n`);
  } finally {
    interrupt.release();
  }
}
