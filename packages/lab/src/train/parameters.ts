// The trainable parameters of a model, in the arena: four blocks of the same layout, one behind the other in the order of
// `list`: the weights, their gradients, and AdamW's two moments. A parameter's gradient lies at a fixed distance from it,
// so the recorder needs no table; the optimiser and the gradient's norm are ops over whole blocks.
//
// Kept as the kernels read them: convolutions as [width][channels], and log(-A) in blocks of four channels, from which an
// op makes the decay `a` that the scan reads.
import { type MambaSpec, type ModelSpec, UsageError } from '@marimba/engine';
import {
  type NeededWeight,
  neededWeights,
  type Role,
  ropeInverseFrequencies,
} from '@marimba/engine/architecture';
import { type Arena, floatsAt, type PlacedWeight, type PlacedWeights } from '@marimba/engine/plan';

export interface Parameter extends NeededWeight {
  /** Place in each block, in floats, and how many. */
  readonly offset: number;
  readonly count: number;
}

export const BLOCKS = ['weights', 'gradients', 'firstMoments', 'secondMoments'] as const;
export type Block = (typeof BLOCKS)[number];

/** Which parameters AdamW's decay pulls towards 0: every one, or only matrices (not norms, biases, A, D, convolutions). */
export type DecayedParameters = 'all' | 'matrices';

/** log(-A) and its decay. */
export interface Decay {
  readonly aLog: number;
  readonly a: number;
  readonly channels: number;
  readonly states: number;
}

const FLOATS_PER_LINE = 16;
const F32 = { type: 'F32', packed: false } as const;

export class ParameterStore {
  readonly list: readonly Parameter[];
  readonly weights: PlacedWeights;
  readonly decays: readonly Decay[];
  /** Floats of a block, and of its first part, which decays. */
  readonly count: number;
  readonly decayedCount: number;
  readonly #arena: Arena;
  readonly #addresses: Readonly<Record<Block, number>>;
  readonly #negated = new Map<number, number>();
  readonly #decayGradients = new Map<number, number>();
  /** Where gradients of constants go. */
  readonly #unused: number;

  constructor(arena: Arena, spec: ModelSpec, decayed: DecayedParameters = 'matrices') {
    this.#arena = arena;
    const needed = neededWeights(spec).filter((weight) => weight.role !== 'ropeFactors');
    const isDecayed = (weight: NeededWeight) => decayed === 'all' || weight.kind === 'matrix';
    const ordered = [...needed.filter(isDecayed), ...needed.filter((weight) => !isDecayed(weight))];
    let offset = 0;
    this.list = ordered.map((weight) => {
      const parameter = { ...weight, offset, count: floatsOf(weight) };
      offset += Math.ceil(parameter.count / FLOATS_PER_LINE) * FLOATS_PER_LINE;
      return parameter;
    });
    this.count = offset;
    this.decayedCount = this.list.find((p) => !isDecayed(p))?.offset ?? offset;
    const base = arena.allocate(offset * 4 * BLOCKS.length, 'parameters, gradients and moments');
    floatsAt(arena.views, base, offset * BLOCKS.length).fill(0);
    const address = (block: Block) => base + BLOCKS.indexOf(block) * offset * 4;
    this.#addresses = {
      weights: address('weights'),
      gradients: address('gradients'),
      firstMoments: address('firstMoments'),
      secondMoments: address('secondMoments'),
    };
    const widest = Math.max(
      0,
      ...spec.layers.map(({ mixer }) =>
        mixer.kind === 'mamba' ? Math.max(mixer.dtRank, mixer.stateSize) : 0,
      ),
    );
    this.#unused = arena.allocate(widest * 4, 'gradients of constants');
    const table = new Map<string, PlacedWeight>();
    this.decays = this.#placeParameters(table);
    this.#placeConstants(spec, table);
    const find = (layer: number, role: Role) => table.get(`${layer}.${role}`) ?? null;
    this.weights = {
      find,
      get(layer, role) {
        const weight = find(layer, role);
        if (!weight) throw new UsageError(`model: expected a weight ${role} in layer ${layer}, found none`);
        return weight;
      },
    };
  }

  address(block: Block): number {
    return this.#addresses[block];
  }

  /** A whole block. Not valid after the arena has grown. */
  block(block: Block): Float32Array {
    return floatsAt(this.#arena.views, this.#addresses[block], this.count);
  }

  weightGradient = (address: number): number => {
    const { weights, gradients } = this.#addresses;
    return address >= weights && address < weights + this.count * 4
      ? address + gradients - weights
      : this.#unused;
  };

  decayGradient = (a: number): number => this.#decayGradients.get(a)!;

  negatedFrequencies = (address: number): number => this.#negated.get(address)!;

  /** A parameter's values in the order of a Hugging Face checkpoint: [out][in], convolutions [channels][width], A_log. */
  read(parameter: Parameter, block: Block = 'weights'): Float32Array {
    const stored = floatsAt(
      this.#arena.views,
      this.#addresses[block] + parameter.offset * 4,
      parameter.count,
    );
    const order = placeOf(parameter);
    if (!order) return stored.slice();
    return Float32Array.from({ length: sizeOf(parameter.shape) }, (_, i) => stored[order(i)]!);
  }

  write(parameter: Parameter, values: Float32Array, block: Block = 'weights'): void {
    const stored = floatsAt(
      this.#arena.views,
      this.#addresses[block] + parameter.offset * 4,
      parameter.count,
    );
    const order = placeOf(parameter);
    if (!order) stored.set(values);
    else values.forEach((value, i) => (stored[order(i)] = value));
  }

  /** Parameters of the model, without padding. */
  get parameterCount(): number {
    return this.list.reduce((sum, parameter) => sum + sizeOf(parameter.shape), 0);
  }

  #placeParameters(table: Map<string, PlacedWeight>): Decay[] {
    const decays: Decay[] = [];
    for (const parameter of this.list) {
      const { layer, role, shape } = parameter;
      const [outer = 1, inner = 1] = shape;
      const address = this.#addresses.weights + parameter.offset * 4;
      const place = (rows: number, columns: number, at = address) =>
        table.set(`${layer}.${role}`, {
          address: at,
          layout: F32,
          rows,
          columns,
          byteLength: parameter.count * 4,
        });
      if (role === 'a') {
        const a = this.#arena.allocate(parameter.count * 4, 'decay');
        this.#decayGradients.set(a, this.weightGradient(address));
        decays.push({ aLog: address, a, channels: outer, states: inner });
        place(outer, inner, a);
      } else if (role === 'convWeight') place(inner, outer);
      else if (parameter.kind === 'vector') place(1, parameter.count);
      else place(sizeOf(shape.slice(0, -1)), shape.at(-1)!);
    }
    return decays;
  }

  /** Rotary frequencies, and the weights 1 of norms that have none. */
  #placeConstants(spec: ModelSpec, table: Map<string, PlacedWeight>): void {
    const place = (layer: number, role: Role, values: Float32Array): number => {
      const address = this.#constant(values);
      table.set(`${layer}.${role}`, {
        address,
        layout: F32,
        rows: 1,
        columns: values.length,
        byteLength: values.byteLength,
      });
      return address;
    };
    spec.layers.forEach(({ mixer }, layer) => {
      if (mixer.kind === 'mamba') {
        if (mixer.innerNorms === 'plain')
          for (const [role, size] of innerNorms(mixer)) place(layer, role, new Float32Array(size).fill(1));
      } else if (mixer.rope) {
        if (mixer.rope.scaling?.kind === 'tensor')
          throw new UsageError('training: RoPE factors from a file cannot be trained with');
        const frequencies = ropeInverseFrequencies(mixer.rope, null);
        this.#negated.set(
          place(layer, 'ropeFactors', frequencies),
          this.#constant(frequencies.map((f) => -f)),
        );
      }
    });
  }

  #constant(values: Float32Array): number {
    const address = this.#arena.allocate(values.byteLength, 'constants');
    floatsAt(this.#arena.views, address, values.length).set(values);
    return address;
  }
}

const innerNorms = (mixer: MambaSpec) =>
  [
    ['dtNorm', mixer.dtRank],
    ['bNorm', mixer.stateSize],
    ['cNorm', mixer.stateSize],
  ] as const;

export const sizeOf = (shape: readonly number[]): number =>
  shape.reduce((product, size) => product * size, 1);

const floatsOf = ({ role, shape }: NeededWeight): number =>
  role === 'a' ? Math.ceil(shape[0]! / 4) * 4 * shape[1]! : sizeOf(shape);

/** Where the i-th value of a checkpoint's tensor lies; null when in the same place. */
function placeOf({ role, shape }: NeededWeight): ((i: number) => number) | null {
  const [outer = 1, inner = 1] = shape;
  if (role === 'convWeight') return (i) => (i % inner) * outer + Math.floor(i / inner);
  if (role !== 'a') return null;
  return (i) => {
    const channel = Math.floor(i / inner);
    return ((channel >> 2) * inner + (i % inner)) * 4 + (channel & 3);
  };
}
