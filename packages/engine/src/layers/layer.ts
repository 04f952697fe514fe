// What a layer kind says about itself: its tensors, how they are arranged in memory, the state it carries,
// the ops that it records, and its names and keys in files. Everything else (loading, planning, training,
// writing, describing) loops over these answers, so a kind lives in one file. layers/index.ts lists the
// kinds; CONTRIBUTING.md has the recipe for a new one.

import type { ConfigReader } from '../formats/config-reader.ts';
import type { TypedMetadataValue } from '../formats/gguf-values.ts';
import type { CachePlace, PlacedWeight, PlanBuilder, Value } from '../plan/plan.ts';

/** A weight that a layer needs. */
export interface LayerTensor<Role extends string = string> {
  /** The engine's own name. Families and file formats say what they call it. */
  readonly role: Role;
  /** As files have it, outermost dimension first: [outputs, inputs] for a matrix. */
  readonly shape: readonly number[];
  /** As GGUF files have it, where it differs by more than dimensions of 1. */
  readonly ggufShape?: readonly number[];
  /** Matrices keep the format of their file, or are quantised; vectors become f32. */
  readonly kind: 'matrix' | 'vector';
  /** Order in memory where it differs from the file's: see arrange.ts. */
  readonly order?: 'transposed' | 'channelBlocks';
  /** The kernels read x < 0. GGUF files hold x; Hugging Face files, and training, hold log(-x). */
  readonly logOfNegative?: true;
  /** Size of the heads that RoPE may rotate. Some GGUF architectures store such rows in pairs. */
  readonly rotaryHead?: number;
  /**
   * One matrix per expert, under each other: how many there are, and how many of them each token passes
   * through.
   */
  readonly experts?: { readonly count: number; readonly topK: number };
  /** Multiplies normalised values, after the model's `normOffset` was added to it. */
  readonly offsetNorm?: true;
  /** Set by another rule than gradients, so training leaves it as it is. */
  readonly untrained?: true;
  readonly precision?: Precision;
  /** Values before training. Default: 'normal' for matrices, 'zeros' for vectors. */
  readonly initial?: Initial;
}

/** How much of a tensor survives quantisation: see weights/recipe.ts. */
export type Precision =
  | 'f32'
  | 'atLeast8Bits'
  | 'atLeast6Bits'
  /**
   * One step finer than the rest in a K mix: in every layer, or in the first, the last and every third layer.
   */
  | 'moreBits'
  | 'moreBitsInSomeLayers'
  /** One step finer in mixes of 2 and 3 bits. */
  | 'moreBitsInNarrowMixes';

/**
 * `residual` is normal with its deviation divided by sqrt(2 layers), for matrices that write to the residual
 * stream (Radford et al. 2019). A function gets uniform numbers in [0, 1) and returns the value at each
 * index.
 */
export type Initial =
  | 'normal'
  | 'residual'
  | 'zeros'
  | 'ones'
  | ((random: () => number) => (index: number) => number);

type Options = Omit<LayerTensor, 'role' | 'shape' | 'kind'>;

export const matrix = <Role extends string>(
  role: Role,
  shape: readonly number[],
  options: Options = {},
): LayerTensor<Role> => ({ role, shape, kind: 'matrix', ...options });

export const vector = <Role extends string>(
  role: Role,
  shape: readonly number[],
  options: Options = {},
): LayerTensor<Role> => ({ role, shape, kind: 'vector', ...options });

/**
 * A vector that the ops need and that no file holds as such: the weights of a norm without weights, a RoPE
 * table.
 */
export interface DerivedVector<Role extends string = string> {
  readonly role: Role;
  readonly columns: number;
  /** `stored`: the file's tensor of the same role, when `tensors` asks for one. */
  values(stored: Float32Array | null): Float32Array;
}

/** What a layer carries from token to token in each session. */
export interface CarriedState<Part extends string = string> {
  /** Recurrent parts and their bytes, f32, zero at the start of a session. */
  readonly recurrent?: Readonly<Record<Part, number>>;
  /** Keys and values of past positions. `window`: positions that a token sees, itself included; null: all. */
  readonly cache?: { readonly window: number | null; readonly kvHeads: number; readonly headSize: number };
}

/** What `record` works with. */
export interface Recorder<Role extends string = string, Part extends string = string> {
  readonly plan: PlanBuilder;
  readonly normEpsilon: number;
  /** Added to weights of norms that are marked `offsetNorm`. */
  readonly normOffset: number;
  weight(role: Role): PlacedWeight;
  /** Null when the layer has none: biases. */
  find(role: Role): PlacedWeight | null;
  /** Where a recurrent part lies in each session's block, in bytes. */
  state(part: Part): number;
  cache(): CachePlace;
}

/** What a layer's sizes are read from in a GGUF file. */
export interface GgufLayer {
  readonly config: ConfigReader;
  /** Metadata keys of the architecture begin with this and a dot. */
  readonly architecture: string;
  /** Which layer; counted from 0. */
  readonly index: number;
  /** Shape of a tensor by its name, without `blk.N.` for this layer's; undefined when the file has none. */
  shapeOf(name: string): readonly number[] | undefined;
}

/** `Spec`: the sizes of one layer. `Role`: names of its tensors. `Part`: names of its recurrent state. */
export interface Layer<Spec, Role extends string = string, Part extends string = string> {
  /**
   * In strips of layers: an upper-case letter for a mixer, a lower-case one or nothing for a feed-forward.
   */
  letter(spec: Spec): string;
  /** For people: "Mamba", "windowed attention". */
  title(spec: Spec): string;

  tensors(spec: Spec, hiddenSize: number): LayerTensor<Role>[];
  derived?(spec: Spec): DerivedVector<Role>[];
  state?(spec: Spec): CarriedState<Part>;

  /**
   * Records the ops from `input` [T, H], the normalised hidden values, which later parts may read too;
   * returns the result [T, H]. With `addTo`, returns the sum of both, which the last product writes over
   * `addTo` (no pass of its own, unless values are kept). Null: the result alone, for what a model does with
   * it before adding it (a norm, a factor).
   */
  record(recorder: Recorder<Role, Part>, spec: Spec, input: Value, addTo: Value | null): Value;

  /**
   * Tensor names, N for the layer and E for the expert; alternatives are tried in order, the first is
   * written.
   */
  readonly ggufNames: Readonly<Partial<Record<Role, readonly string[]>>>;
  /** The same for folders of this project's own form (`model_type` marimba). */
  readonly ownNames: Readonly<Record<Role, readonly string[]>>;

  /** GGUF metadata of one layer, keys without the architecture. */
  ggufKeys(spec: Spec): Readonly<Record<string, TypedMetadataValue>>;

  /**
   * The words of `layer_types` or `feed_forward_types` in this project's own form, by the letter that
   * patterns use.
   */
  readonly ownWords: Readonly<Record<string, string>>;
  fromOwn(config: ConfigReader, word: string): Spec;
}
