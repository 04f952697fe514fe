// marimba plan MODEL: what a model needs at each context length and how fast it can be, before loading or even having it.
import { writeFile } from 'node:fs/promises';
import { type CacheType, type ModelSpec, UsageError } from '@marimba/engine';
import { readSpec } from '@marimba/engine/architecture';
import type { Command } from 'commander';
import { BOX, locate } from '../box.ts';
import { BUILTIN_MODELS } from '../describe/builtin.ts';
import { drawCurves } from '../describe/curves.ts';
import { curvesSvg } from '../describe/curves-svg.ts';
import { forecast, type Machine, planOf } from '../describe/forecast.ts';
import { contextSteps, type MemoryAt, memoryAt } from '../describe/memory.ts';
import { probeMachine } from '../describe/probe.ts';
import {
  asTransformer,
  configurationOf,
  type DescribedModel,
  describeCheckpoint,
  describeSpec,
} from '../describe/source.ts';
import { describeWeights, total } from '../describe/weights.ts';
import { type Interrupt, watchInterrupt } from '../interrupt.ts';
import { openModelFiles } from '../open.ts';
import {
  addHubOptions,
  cacheTypeOption,
  contextSize,
  type ModelFlags,
  quantizeOption,
  realNumber,
  threadsOption,
} from '../options.ts';
import { examples } from '../program.ts';
import { bold, bytes, dim, printJson, table, threeDigits, tokens } from '../terminal.ts';

interface PlanFlags extends ModelFlags {
  readonly context: number;
  readonly against?: string;
  readonly svg?: string;
  readonly json?: boolean;
  readonly bandwidth?: number;
  readonly compute?: number;
  readonly speed: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('plan')
    .summary('forecast memory and speed, next to a transformer')
    .description(
      'Forecast the memory at each context length and the speed, next to a pure transformer of the same size.',
    )
    .argument(
      '[MODEL]',
      `folder, file, config.json, hub name, box (the small model that comes along), or one of ${BUILTIN_MODELS.join(', ')}`,
      BOX,
    )
    .option('--context <N>', 'longest context, such as 32K', contextSize, 262_144)
    .option('--against <MODEL>', 'compare with this instead of the same sizes with attention in every layer')
    .option('--svg <FILE>', 'also draw the picture as SVG')
    .option('--json', 'print an object instead')
    .optionsGroup('Assumptions:')
    .addOption(quantizeOption())
    .addOption(cacheTypeOption())
    .optionsGroup('Machine:')
    .option('--bandwidth <GB/s>', 'memory bandwidth, instead of measuring', realNumber(0.001))
    .option('--compute <GMAC/s>', 'products per second, instead of measuring', realNumber(0.001))
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
        'A model without files (a name or a config.json) is planned as q4_K unless --quantize says otherwise.',
        'Speed is a bound: bytes over bandwidth or products over compute, whichever is slower.',
      ),
    )
    .action(run);
}

async function run(source: string, flags: PlanFlags): Promise<void> {
  const interrupt = watchInterrupt();
  try {
    const model = await describe(source, flags, interrupt);
    const other = flags.against ? await describe(flags.against, flags, interrupt) : counterpart(model);
    const report = await planReport(model, other, flags);
    interrupt.check();
    if (flags.svg) await writeFile(flags.svg, curvesSvg(report.curves));
    if (flags.json) printJson(report.data);
    else process.stdout.write(report.text());
    if (flags.svg && !flags.json) process.stderr.write(`Wrote ${flags.svg}\n`);
  } finally {
    interrupt.release();
  }
}

async function describe(name: string, flags: PlanFlags, interrupt: Interrupt): Promise<DescribedModel> {
  const source = locate(name);
  const configuration = await configurationOf(source);
  if (configuration) return describeSpec(configuration.name, readSpec(configuration).spec);
  if (/^[\w.-]+$/.test(source) && !/\.(gguf|safetensors|json)$/.test(source))
    throw new UsageError(
      `${source}: expected a path, owner/name, or one of ${BUILTIN_MODELS.join(', ')}; found none of these`,
    );
  const checkpoint = await openModelFiles(
    source,
    { token: flags.token, endpoint: flags.endpoint },
    interrupt,
  );
  await checkpoint.close();
  return describeCheckpoint(checkpoint);
}

function counterpart(model: DescribedModel): DescribedModel | null {
  const spec = asTransformer(model.spec);
  return spec ? describeSpec(`${model.name} as a pure transformer`, spec) : null;
}

interface Planned {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly format: string;
  readonly memory: readonly MemoryAt[];
  readonly speed: readonly {
    context: number;
    decodeTokensPerSecond: number;
    promptTokensPerSecond: number;
  }[];
}

async function planReport(model: DescribedModel, other: DescribedModel | null, flags: PlanFlags) {
  const machine = flags.speed ? await machineFor(model, flags) : null;
  const models = [model, ...(other ? [other] : [])].map((one) =>
    planOne(one, flags, machine, model.hasFiles),
  );
  const curves = models.map(({ name, memory }) => ({
    name,
    points: memory.map(({ context, totalBytes }) => ({ x: context, y: totalBytes })),
  }));
  const data = {
    cacheType: flags.cacheType ?? 'f16',
    machine,
    models: models.map(({ name, format, spec, memory, speed }) => ({
      name,
      weights: format,
      layers: spec.layers.length,
      contextLength: spec.contextLength,
      memory,
      speed,
    })),
  };
  return { data, curves, text: () => render(models, machine, flags) };
}

/** The counterpart of a model with files is planned in that model's most common format. */
function planOne(
  model: DescribedModel,
  flags: PlanFlags,
  machine: Machine | null,
  filesKnown: boolean,
): Planned {
  const quantize = flags.quantize ?? (model.hasFiles ? undefined : 'q4_K');
  const weights = describeWeights(model.weights, { quantize });
  const weightBytes = total(weights, (w) => w.placed.byteLength);
  const cacheType: CacheType = flags.cacheType ?? 'f16';
  const plan = planOf(model.spec, weights, cacheType);
  const steps = contextSteps(flags.context);
  const format =
    model.hasFiles && !flags.quantize
      ? 'as in its files'
      : `${quantize}${filesKnown && !model.hasFiles ? ', assumed' : ''}`;
  return {
    name: model.name,
    spec: model.spec,
    format,
    memory: steps.map((context) => memoryAt(model.spec, weightBytes, cacheType, context)),
    speed: machine ? steps.map((context) => ({ context, ...forecast(plan, context, machine) })) : [],
  };
}

async function machineFor(model: DescribedModel, flags: PlanFlags): Promise<Machine> {
  const { bandwidth, compute } = flags;
  if (bandwidth && compute) return { bytesPerSecond: bandwidth * 1e9, macsPerSecond: compute * 1e9 };
  if (process.stderr.isTTY) process.stderr.write(dim('Measuring this machine …', process.stderr));
  // The format of most bytes decides which kernels matter.
  const weights = describeWeights(model.weights, {
    quantize: flags.quantize ?? (model.hasFiles ? undefined : 'q4_K'),
  });
  const largest = [...weights].sort((a, b) => b.placed.byteLength - a.placed.byteLength);
  const type = (largest.find((w) => w.role !== 'embedding' && w.role !== 'head') ?? largest[0]!).placed.layout
    .type;
  const measured = await probeMachine(type, { threads: flags.threads });
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[2K');
  return {
    bytesPerSecond: bandwidth ? bandwidth * 1e9 : measured.bytesPerSecond,
    macsPerSecond: compute ? compute * 1e9 : measured.macsPerSecond,
  };
}

function render(models: readonly Planned[], machine: Machine | null, flags: PlanFlags): string {
  const [first, second] = models;
  const cache = flags.cacheType ?? 'f16';
  const heading = [
    'context',
    'weights',
    'state',
    'cache',
    'total',
    ...(second ? ['other total', 'other ÷ this'] : []),
  ];
  const rows = first!.memory.map((m, i) => {
    const theirs = second?.memory[i];
    return [
      tokens(m.context),
      bytes(m.weightBytes),
      bytes(m.recurrentBytes),
      bytes(m.cacheBytes),
      bytes(m.totalBytes),
      ...(theirs ? [bytes(theirs.totalBytes), `${(theirs.totalBytes / m.totalBytes).toFixed(2)}×`] : []),
    ];
  });
  const curves = models.map(({ name, memory }) => ({
    name,
    points: memory.map(({ context, totalBytes }) => ({ x: context, y: totalBytes })),
  }));
  const sections = [
    `${bold(first!.name)} ${dim(`(weights ${first!.format}, cache ${cache})`)}` +
      (second ? `\n${dim('other:')} ${second.name} ${dim(`(weights ${second.format})`)}` : ''),
    `${bold('Memory')}\n${table([heading.map((title) => dim(title)), ...rows])}`,
    drawCurves(curves),
  ];
  if (machine) sections.push(speedSection(models, machine));
  const beyond = models.filter((m) => m.spec.contextLength < flags.context);
  for (const { name, spec } of beyond)
    sections.push(
      dim(`${name} was made for ${tokens(spec.contextLength)} tokens; beyond that these are sizes only.`),
    );
  return `${sections.join('\n\n')}\n`;
}

function speedSection([first, second]: readonly Planned[], machine: Machine): string {
  const rows = first!.speed.map((s, i) => {
    const theirs = second?.speed[i];
    return [
      tokens(s.context),
      threeDigits(s.decodeTokensPerSecond),
      threeDigits(s.promptTokensPerSecond),
      ...(theirs
        ? [threeDigits(theirs.decodeTokensPerSecond), threeDigits(theirs.promptTokensPerSecond)]
        : []),
    ];
  });
  const heading = ['at', 'decode', 'prompt', ...(second ? ['other decode', 'other prompt'] : [])];
  const figures = `${threeDigits(machine.bytesPerSecond / 1e9)} GB/s and ${threeDigits(machine.macsPerSecond / 1e9)} GMAC/s`;
  return (
    `${bold('Speed')} ${dim(`tokens/s that ${figures} allow at most; real runs are slower`)}\n` +
    table([heading.map((title) => dim(title)), ...rows])
  );
}
