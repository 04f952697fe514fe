// Test support: the reference kernels in double precision, and small models with every kind of layer in odd
// sizes.
//
// The kernels address f32 by element, so a shadow array of doubles with as many elements takes the place of
// memory's f32 view, while integers stay where they are. (Weights pass through f32 in two forward kernels:
// tests give them values that f32 holds exactly.)
import type {
  AttentionSpec,
  DeltaNetSpec,
  DenseSpec,
  ExpertsSpec,
  LayerSpec,
  Mamba2Spec,
  MambaSpec,
  ModelSpec,
  ShortConvSpec,
} from '@marimba/engine';
import { plainExperts, UNSCALED } from '@marimba/engine/architecture';
import { createRandom } from '@marimba/engine/measure';
import {
  Arena,
  type Backend,
  decodeOp,
  type MemoryViews,
  type Program,
  referenceKernelOf,
} from '@marimba/engine/plan';
import type { TrainingBatch } from '../data/batches.ts';
import type { ParameterStore } from '../train/parameters.ts';

const ELEMENTS = 6_000_000;

class DoubleArena extends Arena {
  readonly #shadow = new Float64Array(ELEMENTS);

  override get views(): MemoryViews {
    const views = super.views;
    if (views.f32.length > ELEMENTS) throw new Error(`test: the model is too large for ${ELEMENTS} elements`);
    return { ...views, f32: this.#shadow as unknown as Float32Array };
  }
}

/** The reference backend with doubles for floats. */
export class DoubleBackend implements Backend {
  readonly name = 'reference';
  readonly description = 'reference kernels in double';
  readonly arena = new DoubleArena(65_536, false);
  readonly arenas = [this.arena];
  readonly threads = 1;
  readonly maxRows = 64;
  readonly packing = null;
  readonly traits = { codesByteLength: () => 0 };
  #program: Program = { records: [], headStart: 0 };

  addArenas(): void {}

  scratchBytes(): number {
    return 0;
  }

  async load(): Promise<void> {}

  async install(program: Program): Promise<void> {
    this.#program = program;
  }

  async run(start: number, end: number): Promise<void> {
    const { views } = this.arena;
    for (let i = start; i < end; i++) {
      const { kind, fields } = decodeOp(views.u32, this.#program.records[i]! >>> 2);
      referenceKernelOf(kind)!(views, fields);
    }
  }

  profile(): null {
    return null;
  }

  async close(): Promise<void> {}
}

export const mamba = (changes: Partial<MambaSpec> = {}): MambaSpec => ({
  kind: 'mamba',
  innerSize: 26,
  stateSize: 5,
  convWidth: 3,
  dtRank: 3,
  convBias: true,
  projectionBias: true,
  innerNorms: 'weighted',
  innerNormEpsilon: 1e-6,
  ...changes,
});

export const mamba2 = (changes: Partial<Mamba2Spec> = {}): Mamba2Spec => ({
  kind: 'mamba2',
  heads: 6,
  headSize: 3,
  groups: 2,
  stateSize: 5,
  convWidth: 3,
  convBias: true,
  projectionBias: true,
  norm: 'afterGate',
  normGroups: 2,
  stepLimits: [0, Number.POSITIVE_INFINITY],
  ...changes,
});

export const attention = (changes: Partial<AttentionSpec> = {}): AttentionSpec => ({
  kind: 'attention',
  heads: 4,
  kvHeads: 2,
  headSize: 6,
  window: null,
  rope: null,
  inputBias: true,
  outputBias: true,
  headNorms: 'none',
  outputGate: false,
  scale: 0.3,
  sinks: false,
  ...changes,
});

export const shortConv = (changes: Partial<ShortConvSpec> = {}): ShortConvSpec => ({
  kind: 'shortConv',
  size: 13,
  width: 3,
  bias: true,
  ...changes,
});

export const deltaNet = (changes: Partial<DeltaNetSpec> = {}): DeltaNetSpec => ({
  kind: 'deltaNet',
  keyHeads: 2,
  valueHeads: 4,
  keySize: 5,
  valueSize: 3,
  tiled: false,
  convWidth: 4,
  ...changes,
});

export const dense = (changes: Partial<DenseSpec> = {}): DenseSpec => ({
  kind: 'dense',
  size: 19,
  gated: true,
  activation: 'silu',
  bias: true,
  ...changes,
});

export const experts = (changes: Partial<ExpertsSpec> = {}): ExpertsSpec => ({
  ...plainExperts(11, 3, 2),
  ...changes,
});

export const model = (layers: readonly LayerSpec[], changes: Partial<ModelSpec> = {}): ModelSpec => ({
  family: 'test',
  name: 'test',
  vocabularySize: 37,
  hiddenSize: 13,
  normEpsilon: 1e-5,
  tiedHead: false,
  ...UNSCALED,
  contextLength: 512,
  beginToken: null,
  endTokens: [],
  layers,
  ...changes,
});

/** Random weights in steps of 2^-14, which f32 holds exactly: norms near 1, decays near -1, others near 0. */
export function randomWeights(store: ParameterStore, seed: number): void {
  const random = createRandom(seed);
  for (const parameter of store.list) {
    const norm = parameter.initial === 'ones';
    const values = store.read(parameter).map(() => (norm ? 1 : 0) + (random() - 0.5) * (norm ? 0.6 : 0.9));
    store.write(
      parameter,
      values.map((v) => Math.round(v * 16_384) / 16_384),
    );
  }
}

/** Random tokens in documents of the given lengths, one sequence; about one target in seven is not scored. */
export function randomBatch(vocabulary: number, documents: readonly number[], seed: number): TrainingBatch {
  const random = createRandom(seed);
  const length = documents.reduce((sum, n) => sum + n, 0);
  const token = () => Math.floor(random() * vocabulary);
  const tokens = Uint32Array.from({ length }, token);
  const targets = Int32Array.from({ length }, () => (random() < 0.15 ? -1 : token()));
  targets[0] = 1;
  let at = 0;
  return {
    sequences: 1,
    length,
    tokens,
    targets,
    documentStarts: Uint32Array.from(documents, (n) => (at += n) - n),
  };
}
