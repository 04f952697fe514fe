// What a model file is to the rest of the engine: named tensors that can be read in pieces, and metadata.

import type { MetadataValue, TypedMetadataValue } from './gguf-values.ts';

/** Random access to the bytes of one file, wherever it lives. Reads outside the file throw FormatError. */
export interface ByteSource {
  /** Shown in error messages: a file name, a URL. */
  readonly name: string;
  readonly byteLength: number;
  /** Fills all of `into` with the bytes that start at `offset`. */
  read(offset: number, into: Uint8Array): Promise<void>;
  /**
   * The same on the calling thread, where the platform can do that: for worker threads, which have nothing
   * else to do.
   */
  readNow?(offset: number, into: Uint8Array): void;
  /**
   * The same past the system's page cache, when offset, length and address are multiples of 4 KiB. False when
   * that is not possible here; `into` may have been written to.
   */
  readDirect?(offset: number, into: Uint8Array): boolean;
  /** How another thread can open the same bytes; null when it cannot. */
  readonly handle: SourceHandle | null;
  close(): Promise<void>;
}

/** Survives structured cloning, so that worker threads read weights in parallel. */
export type SourceHandle =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'blob'; readonly blob: Blob }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

/** The element formats of weights in files, by their GGUF names. */
export type TensorType =
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'Q4_0'
  | 'Q4_1'
  | 'Q5_0'
  | 'Q5_1'
  | 'Q8_0'
  | 'Q2_K'
  | 'Q3_K'
  | 'Q4_K'
  | 'Q5_K'
  | 'Q6_K'
  | 'IQ4_NL'
  | 'IQ4_XS'
  | 'TQ1_0'
  | 'TQ2_0'
  | 'MXFP4'
  | 'IQ2_XXS'
  | 'IQ2_XS'
  | 'IQ2_S'
  | 'IQ3_XXS'
  | 'IQ3_S'
  | 'IQ1_S'
  | 'IQ1_M'
  | 'NVFP4'
  | 'Q1_0'
  | 'Q2_0';

/** One tensor of a checkpoint. Its rows are contiguous in the file; a row is a whole number of blocks. */
export interface TensorEntry {
  /** As in the file. */
  readonly name: string;
  /** Element format in the file. */
  readonly type: TensorType;
  /** Row-major, outermost dimension first (as Hugging Face prints it; the reverse of GGUF's `ne`). */
  readonly shape: readonly number[];
  /** The file that holds it. */
  readonly source: ByteSource;
  /** Where its bytes begin in the file. */
  readonly offset: number;
  /** Its bytes in the file. */
  readonly byteLength: number;
  /** What its values are multiplied by: one number, or one for each matrix of three dimensions. Default: nothing. */
  readonly scales?: readonly number[];
}

/** Anything that JSON can hold. */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

/** A JSON object. */
export type JsonObject = { [key: string]: JsonValue };

/** An opened model: checked headers, no weights read yet. */
export type Checkpoint = GgufCheckpoint | HuggingFaceCheckpoint;

/** What every opened checkpoint offers. */
interface OpenedFiles extends AsyncDisposable {
  /** For messages: the folder, file or hub name that was opened. */
  readonly name: string;
  /** By name: type, shape and place; nothing is read yet. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Tensors of formats that are not read, by name: what the file calls the format. */
  readonly unreadTensors?: ReadonlyMap<string, string>;
  /** Closes the files. Also what `await using` does. */
  close(): Promise<void>;
}

/** An opened GGUF file, or the parts of one. */
export interface GgufCheckpoint extends OpenedFiles {
  /** Tag of the union. */
  readonly kind: 'gguf';
  /** Of the GGUF format: 2 or 3. */
  readonly version: number;
  /** Key-value pairs of the first part. */
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  /** The same with the types that the file has, for writing it again. Arrays are shared with `metadata`. */
  readonly typedMetadata: ReadonlyMap<string, TypedMetadataValue>;
}

/** An opened folder of safetensors with a config.json. */
export interface HuggingFaceCheckpoint extends OpenedFiles {
  /** Tag of the union. */
  readonly kind: 'huggingface';
  /** config.json. */
  readonly config: JsonObject;
  /** generation_config.json; null when the folder has none. */
  readonly generationConfig: JsonObject | null;
  /** The files have an lm_head.weight that is not the embedding: it counts where the configuration ties both. */
  readonly ownHead?: boolean;
  /** Tokenizer files of other forms that a folder without tokenizer.json has: tokenizer.model, merges.txt … */
  readonly otherTokenizers?: readonly string[];
  /** Read on demand: these can be tens of megabytes. Null when the folder has none. */
  tokenizerJson(): Promise<JsonObject | null>;
  /** tokenizer_config.json, read on demand; null when the folder has none. */
  tokenizerConfig(): Promise<JsonObject | null>;
  /**
   * Chat templates by name: chat_template.jinja (`default`) and additional_chat_templates/NAME.jinja, or those
   * inside tokenizer_config.json. Empty when the folder has none.
   */
  chatTemplates(): Promise<ReadonlyMap<string, string>>;
  /** What sentence-transformers writes beside a model; null when the folder has none of its files. */
  sentenceFiles(): Promise<SentenceFiles | null>;
}

/** The files of sentence-transformers, by which a model turns texts into vectors. */
export interface SentenceFiles {
  /** What a text passes through, in order (modules.json). */
  readonly modules: readonly SentenceModule[];
  /** config_sentence_transformers.json: prompts; null when the folder has none. */
  readonly settings: JsonObject | null;
  /** sentence_bert_config.json: where texts are cut; null when the folder has none. */
  readonly transformer: JsonObject | null;
}

/** One module of a sentence-transformers model. */
export interface SentenceModule {
  /** The class without its package: Transformer, Pooling, Dense, Normalize, StaticEmbedding. */
  readonly type: string;
  /** Its folder; empty for the model's own. */
  readonly path: string;
  /** config.json of its folder. */
  readonly config: JsonObject | null;
  /** Of model.safetensors in its folder. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}
