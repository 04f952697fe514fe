// What a family of models says about itself. Adding one is one file in families/ and its line in
// families/index.ts.
import type { ConfigReader } from '../formats/config-reader.ts';
import type { TensorNames } from './roles.ts';
import type { ModelSpec } from './spec.ts';

/** A tensor's shape; undefined when the file has none of that name. */
export type TensorShapes = (tensor: string) => readonly number[] | undefined;

export interface Family {
  readonly name: string;
  /** `model_type` values of config.json. */
  readonly huggingFaceTypes: readonly string[];
  /** `general.architecture` values of GGUF files. */
  readonly ggufArchitectures: readonly string[];
  fromHuggingFace(config: ConfigReader): ModelSpec;
  fromGguf(config: ConfigReader, architecture: string, shapeOf: TensorShapes): ModelSpec;
  readonly huggingFaceNames: TensorNames;
  /** GGUF architectures whose q and k rows are stored interleaved for RoPE; the loader undoes it. */
  readonly ggufPermutedQk: readonly string[];
}
