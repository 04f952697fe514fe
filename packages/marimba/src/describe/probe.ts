// What this machine can do, measured with the engine's own kernels: a model of one layer whose weights do not
// fit any cache is run with one token (bound by memory) and with many (bound by products). Takes about a
// second.
import type { LoadModelOptions, ModelSpec, TensorType } from '@marimba/engine';
import {
  arrangedShape,
  chooseLayout,
  neededWeights,
  plainAttention,
  resolveActivations,
  UNSCALED,
} from '@marimba/engine/architecture';
import { type Backend, createBackend, type PlacedWeight, Runtime, stateLayout } from '@marimba/engine/plan';
import { costOfPass, type Machine, macsOf } from './forecast.ts';

const PROBE: ModelSpec = {
  family: 'probe',
  name: 'probe',
  vocabularySize: 64,
  hiddenSize: 2560,
  normEpsilon: 1e-6,
  tiedHead: true,
  ...UNSCALED,
  contextLength: 4096,
  beginToken: null,
  endTokens: [],
  layers: [
    {
      mixers: [plainAttention(2, 1, 128)],
      feedForward: { kind: 'dense', size: 40_960, gated: true, activation: 'silu', bias: false },
    },
  ],
};
const DECODE_STEPS = 6;
const PROMPT_ROWS = 64;

export async function probeMachine(type: TensorType, options: LoadModelOptions): Promise<Machine> {
  const backend = await createBackend(options);
  try {
    const weights = placeAll(backend, type, options);
    const find = (layer: number, role: string) => weights.get(`${layer}.${role}`) ?? null;
    const get = (layer: number, role: string) => find(layer, role)!;
    const runtime = await Runtime.create(backend, PROBE, { find, get }, stateLayout(PROBE, 'f16'));
    const run = async (rows: number): Promise<number> => {
      const tokens = Array.from({ length: rows }, (_, i) => i % PROBE.vocabularySize);
      const began = performance.now();
      await runtime.step([{ state, tokens, logits: 'none' }]);
      return (performance.now() - began) / 1000;
    };
    const state = runtime.createState();
    const least = async (times: number, rows: number) => {
      let seconds = Number.POSITIVE_INFINITY;
      for (let i = 0; i < times; i++) seconds = Math.min(seconds, await run(rows));
      return seconds;
    };
    await run(8); // the first call of a kernel compiles it
    const decodeSeconds = await least(DECODE_STEPS, 1);
    const promptSeconds = await least(2, PROMPT_ROWS);
    return {
      bytesPerSecond: costOfPass(runtime.plan, 0, 1, 0).bytes / decodeSeconds,
      macsPerSecond: macsOf(costOfPass(runtime.plan, 0, PROMPT_ROWS, 0)) / promptSeconds,
    };
  } finally {
    await backend.close();
  }
}

function placeAll(backend: Backend, type: TensorType, options: LoadModelOptions): Map<string, PlacedWeight> {
  const weights = new Map<string, PlacedWeight>();
  for (const needed of neededWeights(PROBE)) {
    const { rows, columns } = arrangedShape(needed);
    const matrix = needed.kind === 'matrix' ? type : 'F32';
    const { layout, byteLength } = chooseLayout(
      matrix,
      rows,
      columns,
      resolveActivations(options.activations ?? 'auto', PROBE.hiddenSize),
      backend.packing,
    );
    const address = backend.arena.allocate(byteLength, needed.role);
    // Written, so that the pages exist. Zero scales would do as well, but a page of zeros may be one page for
    // all.
    backend.arena.views.u8.fill(1, address, address + byteLength);
    weights.set(`${needed.layer}.${needed.role}`, { address, layout, rows, columns, byteLength });
  }
  return weights;
}
