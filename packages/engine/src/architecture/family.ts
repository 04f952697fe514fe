// What a family of models says about itself. Adding one is one file in families/ and its line in
// families/index.ts.
import type { ConfigReader } from '../formats/config-reader.ts';
import type { TypedMetadataValue } from '../formats/gguf-values.ts';
import type { RowRun } from '../formats/rows.ts';
import type { MixerSpec } from '../layers/index.ts';
import type { Role, TensorNames } from './roles.ts';
import type { ModelSpec } from './spec.ts';

/** A tensor's shape; undefined when the file has none of that name. */
export type TensorShapes = (tensor: string) => readonly number[] | undefined;

export interface Family {
  readonly name: string;
  /** `model_type` values of config.json. */
  readonly huggingFaceTypes: readonly string[];
  /** `shapeOf`: of the folder's tensors, where there are any. */
  fromHuggingFace(config: ConfigReader, shapeOf?: TensorShapes): ModelSpec;
  fromGguf(config: ConfigReader, architecture: string, shapeOf: TensorShapes): ModelSpec;
  readonly huggingFaceNames: TensorNames;
  /** The GGUF architectures that are read; those with `write` are written too. */
  readonly gguf: readonly GgufForm[];
}

/** One value of `general.architecture`: what its files call the weights, and which models they can say. */
export interface GgufForm {
  readonly architecture: string;
  readonly names: TensorNames;
  /** Rows of q and k lie in pairs for RoPE: see `halvesOfPairs`. */
  readonly pairedQk?: boolean;
  readonly write?: GgufWriting;
}

/** How a model becomes a file of an architecture. */
export interface GgufWriting {
  /** The kinds of mixer that it has. Says which architectures to name when none fits. */
  readonly mixers: readonly MixerSpec['kind'][];
  /** What a file of this architecture cannot say about a model, for a message; null when it says all. */
  misfit(spec: ModelSpec): string | null;
  /**
   * Metadata beside what the layers say themselves (`ggufKeys`) and the sizes that all architectures have,
   * keys without the architecture. Replaces those; null leaves one out.
   */
  keys?(spec: ModelSpec): Readonly<Record<string, TypedMetadataValue | null>>;
  /**
   * Files hold no factors of the embedding and of the logits: both matrices are written multiplied, the head
   * by itself where it is the embedding otherwise.
   */
  readonly foldsScales?: boolean;
  /**
   * The columns of a weight in the order of the file, where it is another than the weight's; null or absent:
   * the same.
   */
  columnOrder?(role: Role, spec: ModelSpec, layer: number): readonly RowRun[] | null;
  /** Keys that are a list where layers differ, 0 for a layer without the part. */
  readonly perLayer?: readonly string[];
  /** What llama.cpp reads otherwise than this engine: "the model has …". */
  limits?(spec: ModelSpec): readonly string[];
}
