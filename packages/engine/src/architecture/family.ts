// What a family has to say about itself. Adding one is one file in families/ and its line in families/index.ts.
import type { ConfigReader } from './config-reader.ts';
import type { Role } from './roles.ts';
import type { ModelSpec } from './spec.ts';

export type TensorShapes = (tensor: string) => readonly number[] | undefined;

export interface Family {
  readonly name: string;
  /** `model_type` values of config.json. */
  readonly huggingFaceTypes: readonly string[];
  /** `general.architecture` values of GGUF files. */
  readonly ggufArchitectures: readonly string[];
  fromHuggingFace(config: ConfigReader): ModelSpec;
  /** `shapeOf` gives a tensor's shape, undefined when the file has none of that name. */
  fromGguf(config: ConfigReader, architecture: string, shapeOf: TensorShapes): ModelSpec;
  /** Hugging Face tensor names by role: N is the layer, E the expert; alternatives are tried in order. */
  readonly huggingFaceNames: Partial<Record<Role, readonly string[]>>;
  /** GGUF architectures whose q and k rows are stored interleaved for RoPE; the loader undoes it. */
  readonly ggufPermutedQk: readonly string[];
  /** Norm weights are stored as w - 1 in Hugging Face files (Gemma). */
  readonly normOffset?: boolean;
}
