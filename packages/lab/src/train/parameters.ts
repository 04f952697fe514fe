// The trainable parameters of a model, in the arena: four blocks of the same layout, one behind the other in
// the order of `list`: the weights, their gradients, and AdamW's two moments. A parameter's gradient lies at
// a fixed distance from it, so the recorder needs no table; the optimiser and the gradient's norm are ops
// over whole blocks.
//
// Kept as the kernels read them: convolutions as [width][channels], and log(-A) in blocks of four channels,
// from which an op makes the decay `a` that the scan reads.
import { type ModelSpec, UsageError } from '@marimba/engine';
import {
  arrange,
  arrangedShape,
  derivedVectors,
  type NeededWeight,
  neededWeights,
  type Role,
  restore,
  sizeOf,
} from '@marimba/engine/architecture';
import { type Arena, floatsAt, type PlacedWeight, type PlacedWeights } from '@marimba/engine/plan';

export interface Parameter extends NeededWeight {
  /** Place in each block, in floats, and how many. */
  readonly offset: number;
  readonly count: number;
}

export const BLOCKS = ['weights', 'gradients', 'firstMoments', 'secondMoments'] as const;
export type Block = (typeof BLOCKS)[number];

/**
 * Which parameters AdamW's decay pulls towards 0: every one that is trained, or only matrices (not norms,
 * biases, A, D, convolutions).
 */
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
  /** Columns of vectors that are not trained, by address. */
  readonly #constants = new Map<number, number>();
  readonly #decayGradients = new Map<number, number>();
  /** Where gradients of constants go. */
  readonly #unused: number;

  constructor(arena: Arena, spec: ModelSpec, decayed: DecayedParameters = 'matrices') {
    this.#arena = arena;
    const needed = neededWeights(spec);
    const isDecayed = (weight: NeededWeight) =>
      !weight.untrained && (decayed === 'all' || weight.kind === 'matrix');
    const ordered = [...needed.filter(isDecayed), ...needed.filter((weight) => !isDecayed(weight))];
    let offset = 0;
    this.list = ordered.map((weight) => {
      const parameter = { ...weight, offset, count: arrangedShape(weight).count };
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
    const constants = derivedVectors(spec);
    const widest = constants.reduce((most, { columns }) => Math.max(most, columns), 0);
    this.#unused = arena.allocate(widest * 4, 'gradients of constants');
    const table = new Map<string, PlacedWeight>();
    this.decays = this.#placeParameters(table);
    this.#placeConstants(constants, table);
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

  decayGradient = (a: number): number => this.#decayGradients.get(a) ?? this.#unused;

  /** Rotary frequencies with the other sign, which turn a gradient back. */
  negatedFrequencies = (address: number): number => {
    let negated = this.#negated.get(address);
    if (negated === undefined) {
      const values = floatsAt(this.#arena.views, address, this.#constants.get(address)!);
      this.#negated.set(address, (negated = this.#constant(values.map((v) => -v))));
    }
    return negated;
  };

  /**
   * A parameter's values in the order of a Hugging Face checkpoint: [out][in], convolutions
   * [channels][width], A_log.
   */
  read(parameter: Parameter, block: Block = 'weights'): Float32Array {
    const stored = floatsAt(
      this.#arena.views,
      this.#addresses[block] + parameter.offset * 4,
      parameter.count,
    );
    return restore(parameter, stored);
  }

  write(parameter: Parameter, values: Float32Array, block: Block = 'weights'): void {
    const stored = floatsAt(
      this.#arena.views,
      this.#addresses[block] + parameter.offset * 4,
      parameter.count,
    );
    arrange(parameter, values, stored);
  }

  /** Parameters of the model, without padding. */
  get parameterCount(): number {
    return this.list.reduce((sum, parameter) => sum + sizeOf(parameter.shape), 0);
  }

  #placeParameters(table: Map<string, PlacedWeight>): Decay[] {
    const decays: Decay[] = [];
    for (const parameter of this.list) {
      const { layer, role } = parameter;
      const { rows, columns, count } = arrangedShape(parameter);
      const trained = this.#addresses.weights + parameter.offset * 4;
      let address = trained;
      if (parameter.logOfNegative) {
        address = this.#arena.allocate(count * 4, 'decay');
        this.#decayGradients.set(address, this.weightGradient(trained));
        decays.push({ aLog: trained, a: address, channels: rows, states: columns });
      }
      table.set(`${layer}.${role}`, { address, layout: F32, rows, columns, byteLength: count * 4 });
    }
    return decays;
  }

  /** Rotary frequencies, and the weights 1 of norms that have none. */
  #placeConstants(constants: ReturnType<typeof derivedVectors>, table: Map<string, PlacedWeight>): void {
    for (const { layer, role, columns, values } of constants) {
      const key = `${layer}.${role}`;
      if (table.has(key))
        throw new UsageError(`training: expected a model that makes ${role} itself, found them in its file`);
      const address = this.#constant(values(null));
      this.#constants.set(address, columns);
      table.set(key, { address, layout: F32, rows: 1, columns, byteLength: columns * 4 });
    }
  }

  #constant(values: Float32Array): number {
    const address = this.#arena.allocate(values.byteLength, 'constants');
    floatsAt(this.#arena.views, address, values.length).set(values);
    return address;
  }
}
