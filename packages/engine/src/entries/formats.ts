// @marimba/engine/formats: reads and writes the files of models without running them: GGUF, safetensors,
// tensor formats, tokenizer.json. Web types only; files on disk are opened by '@marimba/engine/node'.
// For the workspace's own packages: any release may change it. Applications use '@marimba/engine'.

export { dequantize } from '../formats/dequantize.ts';
export type { MetadataValue, TypedMetadataValue } from '../formats/gguf-values.ts';
export { createGgufWriter, type GgufTensorInfo } from '../formats/gguf-writer.ts';
export { writeF16 } from '../formats/half.ts';
export { parseJsonObject } from '../formats/json.ts';
export {
  layoutRows,
  type RowRun,
  rowLength,
  rowNumbers,
  run,
  runsOf,
  takenRows,
} from '../formats/rows.ts';
export { safetensorsHeader } from '../formats/safetensors.ts';
export { byteLengthOf, TENSOR_TYPE_NAMES, TENSOR_TYPES } from '../formats/tensor-types.ts';
export type { HuggingFaceCheckpoint, JsonObject, TensorType } from '../formats/types.ts';
export { byteCharacters } from '../tokenizer/byte-level.ts';
export { tokenizerFromJson } from '../tokenizer/from-json.ts';
export { gpt2Words } from '../tokenizer/pre-tokenizer.ts';
