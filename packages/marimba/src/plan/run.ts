// What `marimba plan` computes: the memory of a model and of one to compare it with at each context length,
// and the speed that a machine allows.
import type { CacheType, TensorType } from '@marimba/engine';
import { type MemoryPlan, readSpec } from '@marimba/engine/architecture';
import { type MachineMemory, machineMemory } from '@marimba/engine/node';
import { locate } from '../bundled.ts';
import { forecast, type Machine, planOf, type SpeedForecast } from '../describe/forecast.ts';
import { contextSteps, type MemoryAt, memoryAt } from '../describe/memory.ts';
import { spreadOf, whyNotHere } from '../describe/needs.ts';
import { probeMachine } from '../describe/probe.ts';
import {
  asTransformer,
  configurationOf,
  type DescribedModel,
  describeCheckpoint,
  describeSpec,
} from '../describe/source.ts';
import { type DescribedWeight, describeWeights, sumBy, total } from '../describe/weights.ts';
import type { Interrupt } from '../interrupt.ts';
import { openModelFiles } from '../open.ts';
import type { ModelFlags } from '../options.ts';
import { StatusLine } from '../status-line.ts';

export interface PlanFlags extends ModelFlags {
  readonly context: number;
  readonly against?: string;
  readonly bandwidth?: number;
  readonly compute?: number;
  /** GiB. */
  readonly memory?: number;
  readonly speed: boolean;
}

export interface PlannedModel {
  readonly name: string;
  /** Format of the weights, in words. */
  readonly weights: string;
  readonly layers: number;
  readonly contextLength: number;
  /**
   * Of a repository of 16-bit weights; null for a model with files, and for one that exists only to compare
   * with.
   */
  readonly downloadBytes: number | null;
  readonly memory: readonly MemoryAt[];
  readonly speed: readonly ({ readonly context: number } & SpeedForecast)[];
  /**
   * The WebAssembly memories that it would be spread over with room for a session of 32K tokens, or of its
   * context if that is shorter; null where a layer is larger than one.
   */
  readonly spread: MemoryPlan | null;
  /** From which context on it cannot run on this machine, and why. */
  readonly cannotRun: { readonly fromContext: number; readonly reason: string } | null;
}

export interface Plan {
  readonly cacheType: CacheType;
  readonly machine: Machine | null;
  /** Of this machine, or of the one that was asked for, all of it free. */
  readonly memory: MachineMemory;
  /** The model and, where there is one, the model that it is compared with. */
  readonly models: readonly PlannedModel[];
}

/** What a model without files is planned as. */
const ASSUMED = 'q4_K';
const COUNTERPART = ' as a pure transformer';

export async function makePlan(source: string, flags: PlanFlags, interrupt: Interrupt): Promise<Plan> {
  const model = await describe(source, flags, interrupt);
  const other = flags.against ? await describe(flags.against, flags, interrupt) : counterpart(model);
  const described = [model, ...(other ? [other] : [])];
  // Like is compared with like: the format of the model that has files is assumed for the other one, too.
  const withFiles = described.find(({ hasFiles }) => hasFiles);
  const format = withFiles && !flags.quantize ? mainFormat(describeWeights(withFiles.weights, {})) : null;
  const weights = described.map((one) => placed(one, flags, format));
  const machine = flags.speed ? await machineFor(weights[0]!, flags) : null;
  const cacheType = flags.cacheType ?? 'f16';
  const memory = memoryFor(flags);
  const models = described.map((one, i) =>
    planOne(one, weights[i]!, format, { ...flags, cacheType }, machine, memory),
  );
  return { cacheType, machine, memory, models };
}

async function describe(name: string, flags: PlanFlags, interrupt: Interrupt): Promise<DescribedModel> {
  const configuration = await configurationOf(locate(name));
  if (configuration) return describeSpec(configuration.name, readSpec(configuration).spec);
  const checkpoint = await openModelFiles(name, { token: flags.token, endpoint: flags.endpoint }, interrupt);
  await checkpoint.close();
  return describeCheckpoint(checkpoint);
}

function counterpart(model: DescribedModel): DescribedModel | null {
  const spec = asTransformer(model.spec);
  return spec ? describeSpec(model.name + COUNTERPART, spec) : null;
}

/** The format of most bytes of a model's matrices, embedding and head aside. */
function mainFormat(weights: readonly DescribedWeight[]): TensorType {
  const matrices = weights.filter(
    ({ kind, part }) => kind === 'matrix' && part !== 'embedding' && part !== 'head',
  );
  const bytes = sumBy(
    matrices,
    (w) => w.placed.layout.type,
    (w) => w.placed.byteLength,
  );
  return [...bytes].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 'F32';
}

function placed(
  model: DescribedModel,
  { quantize }: PlanFlags,
  format: TensorType | null,
): DescribedWeight[] {
  if (model.hasFiles) return describeWeights(model.weights, { quantize });
  if (format === null || quantize) return describeWeights(model.weights, { quantize: quantize ?? ASSUMED });
  return describeWeights(describeSpec(model.name, model.spec, format).weights, {});
}

function planOne(
  { name, spec, hasFiles, weights: found }: DescribedModel,
  weights: readonly DescribedWeight[],
  format: TensorType | null,
  { quantize, cacheType, context: longest, threads }: PlanFlags & { readonly cacheType: CacheType },
  machine: Machine | null,
  available: MachineMemory,
): PlannedModel {
  const weightBytes = total(weights, (w) => w.placed.byteLength);
  const plan = planOf(spec, weights, cacheType);
  const steps = contextSteps(longest);
  const memory = steps.map((context) => memoryAt(spec, weightBytes, cacheType, context));
  const spread = spreadOf(spec, weights, { cacheType, threads });
  const assumed = format ? `${format}, as the other` : `${ASSUMED}, assumed`;
  return {
    name,
    weights: quantize ?? (hasFiles ? `mostly ${mainFormat(weights)}, as in its files` : assumed),
    layers: spec.layers.length,
    contextLength: spec.contextLength,
    downloadBytes:
      hasFiles || name.endsWith(COUNTERPART)
        ? null
        : total(describeWeights(found, {}), (w) => w.parameters * 2),
    memory,
    speed: machine ? steps.map((context) => ({ context, ...forecast(plan, context, machine) })) : [],
    spread: 'impossible' in spread ? null : spread,
    cannotRun:
      'impossible' in spread
        ? { fromContext: memory[0]!.context, reason: `cannot run: ${spread.impossible}` }
        : tooLong(memory, available),
  };
}

function tooLong(memory: readonly MemoryAt[], available: MachineMemory): PlannedModel['cannotRun'] {
  for (const { context, totalBytes } of memory) {
    const reason = whyNotHere(totalBytes, available);
    if (reason) return { fromContext: context, reason };
  }
  return null;
}

function memoryFor({ memory }: PlanFlags): MachineMemory {
  if (memory === undefined) return machineMemory();
  return { totalBytes: memory * 2 ** 30, freeBytes: memory * 2 ** 30 };
}

async function machineFor(weights: readonly DescribedWeight[], flags: PlanFlags): Promise<Machine> {
  const { bandwidth, compute } = flags;
  if (bandwidth && compute) return { bytesPerSecond: bandwidth * 1e9, macsPerSecond: compute * 1e9 };
  const status = new StatusLine();
  if (process.stderr.isTTY) status.show('Measuring this machine …');
  try {
    // The format of most bytes decides which kernels matter.
    const measured = await probeMachine(mainFormat(weights), { threads: flags.threads });
    return {
      bytesPerSecond: bandwidth ? bandwidth * 1e9 : measured.bytesPerSecond,
      macsPerSecond: compute ? compute * 1e9 : measured.macsPerSecond,
    };
  } finally {
    status.clear();
  }
}
