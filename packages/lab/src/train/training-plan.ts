// One plan for a training step: the engine's forward as recorded, the loss, the backward, and the optimiser.
// Sections of it are run on their own: a held-out loss needs no backward, micro-batches share one optimiser
// step.

import type { ModelSpec } from '@marimba/engine';
import {
  forward,
  type Operand,
  type Plan,
  PlanBuilder,
  type PlanTraits,
  type RecordedOp,
  type StateLayout,
  SUM_CHUNK,
} from '@marimba/engine/plan';
import { appendBackward } from '../gradient/rules.ts';
import { type GradientContext, Tape } from '../gradient/tape.ts';
import type { ParameterStore } from './parameters.ts';

/** Ops from `start` up to `end`. */
export interface Section {
  readonly start: number;
  readonly end: number;
}

export interface TrainingPlan {
  readonly plan: Plan;
  /** Decay from log(-A), then embedding to logits. */
  readonly forward: Section;
  /** Losses; turns logits into their gradient. */
  readonly loss: Section;
  readonly backward: Section;
  /** Sets all gradients to zero. */
  readonly clear: Section;
  readonly optimizer: Section;
}

export interface TrainingPlanParts {
  readonly spec: ModelSpec;
  readonly traits: PlanTraits;
  readonly layout: StateLayout;
  readonly store: ParameterStore;
  readonly context: GradientContext;
  /** Keep only what enters each layer, and compute the rest again in the backward. */
  readonly recompute: boolean;
  /** Addresses: partial sums of the gradient's norm (f64), and the optimiser's numbers. */
  readonly partialSums: number;
  readonly optimizerState: number;
}

export function buildTrainingPlan(parts: TrainingPlanParts): TrainingPlan {
  const { spec, store, context } = parts;
  const recorded = forward(
    new PlanBuilder(parts.traits, { keepValues: true }),
    spec,
    store.weights,
    parts.layout,
  );
  const tape = new Tape(context, [], recorded.buffers);
  const section = (append: () => void): Section => {
    const start = tape.ops.length;
    append();
    return { start, end: tape.ops.length };
  };
  const { logits } = recorded;
  const at: Operand = { buffer: logits.buffer, byteOffset: logits.offset * 4 };
  // In the order of a step, so that one with a single micro-batch is one run.
  const sections = {
    clear: section(() => {
      tape.label('clear gradients');
      tape.append('clear', 'rows', { x: store.address('gradients'), count: store.count });
    }),
    forward: section(() => {
      tape.label('decay');
      for (const decay of store.decays) tape.append('decayFromLog', 'rows', { ...decay });
      tape.ops.push(...recorded.ops);
    }),
    loss: section(() => {
      tape.label('loss');
      tape.append('crossEntropy', logits.set, {
        x: at,
        xStride: logits.stride,
        columns: logits.columns,
        ...context.loss,
      });
      tape.seed(at, logits.columns);
    }),
    backward: section(() => {
      if (parts.recompute) appendRecomputing(tape, recorded.ops, parts.layout);
      else appendBackward(tape, recorded.ops);
    }),
    optimizer: section(() => appendOptimizer(tape, parts)),
  };
  const plan = { ...recorded, ops: tape.ops, buffers: tape.buffers, headStart: tape.ops.length };
  return { plan, ...sections };
}

function appendOptimizer(tape: Tape, { store, partialSums, optimizerState: state }: TrainingPlanParts): void {
  tape.label('optimizer');
  const { count, decayedCount } = store;
  tape.append('sumSquares', 'rows', { x: store.address('gradients'), count, partials: partialSums });
  tape.append('clipGradient', 'rows', { partials: partialSums, chunks: Math.ceil(count / SUM_CHUNK), state });
  const adamW = (from: number, to: number, decays: number) => {
    if (from === to) return;
    const at = (block: Parameters<ParameterStore['address']>[0]) => store.address(block) + from * 4;
    tape.append('adamW', 'rows', {
      parameters: at('weights'),
      gradients: at('gradients'),
      first: at('firstMoments'),
      second: at('secondMoments'),
      count: to - from,
      decays,
      state,
    });
  };
  adamW(0, decayedCount, 1);
  adamW(decayedCount, count, 0);
}

const layerOf = (op: RecordedOp): string => /^layer \d+/.exec(op.label)?.[0] ?? op.label;

/**
 * The backward with each layer's inner values computed again right before they are needed (Chen et al. 2016),
 * so that only the values between layers live through the whole plan.
 */
function appendRecomputing(tape: Tape, ops: readonly RecordedOp[], layout: StateLayout): void {
  let end = ops.length;
  while (end > 0) {
    let start = end - 1;
    while (start > 0 && layerOf(ops[start - 1]!) === layerOf(ops[end - 1]!)) start--;
    const layer = ops.slice(start, end);
    const outside = new Set(
      [...ops.slice(0, start), ...ops.slice(end)].flatMap((op) => [...op.reads, ...op.writes]),
    );
    appendBackward(
      tape,
      layerOf(layer[0]!).startsWith('layer ') ? replay(tape, layer, outside, layout) : layer,
    );
    end = start;
  }
}

/**
 * Records a layer's ops again with buffers of their own, but for the last ones, whose result is still there.
 */
function replay(
  tape: Tape,
  layer: readonly RecordedOp[],
  outside: ReadonlySet<number>,
  layout: StateLayout,
): RecordedOp[] {
  const copies = new Map<number, number>();
  const renamed = (buffer: number): number => {
    if (outside.has(buffer)) return buffer;
    let copy = copies.get(buffer);
    if (copy === undefined) copies.set(buffer, (copy = tape.buffers.push(tape.buffers[buffer]!) - 1));
    return copy;
  };
  return layer.map((op) => {
    const fields: Record<string, Operand> = {};
    for (const [name, operand] of Object.entries<Operand>(op.fields))
      fields[name] =
        typeof operand === 'object' && 'buffer' in operand
          ? { ...operand, buffer: renamed(operand.buffer) }
          : operand;
    // The state of the first run has moved on; a second copy of it, zero like the first, lies behind.
    if (typeof fields.stateOffset === 'number') fields.stateOffset += layout.recurrentBytes;
    const copy = {
      ...op,
      label: `${op.label} again`,
      fields,
      reads: op.reads.map(renamed),
      writes: op.writes.map(renamed),
    } as RecordedOp;
    // cacheStore writes nothing that a plan can name: the cache still holds what it wrote.
    if (op.writes.length > 0 && !op.writes.some((buffer) => outside.has(buffer))) tape.ops.push(copy);
    return copy;
  });
}
