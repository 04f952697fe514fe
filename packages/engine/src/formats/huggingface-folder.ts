// Opens a checkpoint as Hugging Face publishes it: config.json, weights in one or several safetensors files
// (model.safetensors.index.json says which tensor is where), and the tokenizer's files.

import { FormatError } from '../errors.ts';
import { readAll } from './byte-source.ts';
import { quoted } from './gguf-types.ts';
import { decodeUtf8, isJsonObject, readJsonObject, readJsonValue } from './json.ts';
import { checkPlainName, type ModelFolder, missingFile } from './model-folder.ts';
import { readSafetensorsFile } from './safetensors.ts';
import { readSentenceFiles, TEMPLATE_FILE } from './sentence-files.ts';
import type { ByteSource, HuggingFaceCheckpoint, JsonObject, TensorEntry } from './types.ts';

const MIB = 2 ** 20;
/**
 * Far above what honest files take: a config is kilobytes, an index of 100,000 tensors 10 MB, a tokenizer 35
 * MB.
 */
const MAX_CONFIG = 4 * MIB;
const MAX_INDEX = 64 * MIB;
const MAX_TOKENIZER = 256 * MIB;
const MAX_TEMPLATE = 4 * MIB;

const INDEX = 'model.safetensors.index.json';

/**
 * Reads configuration and weight headers. `weights` names one safetensors file when the folder holds several
 * that do not belong together. Throws FormatError; then nothing stays open.
 */
export async function openHuggingFace(folder: ModelFolder, weights?: string): Promise<HuggingFaceCheckpoint> {
  const config = await readJson(folder, 'config.json', MAX_CONFIG);
  if (config === null) throw withoutConfig(folder);
  const generationConfig = await readJson(folder, 'generation_config.json', MAX_CONFIG);
  const sources: ByteSource[] = [];
  const close = async () => {
    await Promise.all(sources.map((source) => source.close()));
  };
  try {
    const { tensors, leftOut } = await openWeights(folder, weights, sources);
    const tokenizerConfig = () => readTokenizerConfig(folder);
    return {
      kind: 'huggingface',
      name: folder.name,
      config,
      generationConfig,
      tensors,
      unreadTensors: leftOut,
      ownHead: await hasOwnHead(tensors),
      otherTokenizers: folder.files.includes('tokenizer.json')
        ? []
        : folder.files.filter((name) => OTHER_TOKENIZERS.test(name)),
      tokenizerJson: () => readJson(folder, 'tokenizer.json', MAX_TOKENIZER),
      tokenizerConfig,
      chatTemplates: () => readTemplates(folder, tokenizerConfig),
      sentenceFiles: () =>
        readSentenceFiles({
          json: (path) => withFile(folder, path, (source) => readJsonValue(source, { maxBytes: MAX_CONFIG })),
          tensors: async (path) => {
            if (!isInside(folder, path)) return null;
            const source = await folder.open(path);
            sources.push(source);
            return (await readSafetensorsFile(source)).tensors;
          },
        }),
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What a folder without config.json is, where its files tell. */
function withoutConfig({ name, files }: ModelFolder): FormatError {
  if (files.includes('adapter_config.json'))
    return new FormatError(
      `${name}: expected a model, found a LoRA adapter (adapter_config.json). Merge it into its base model first.`,
    );
  if (files.includes('params.json'))
    return new FormatError(
      `${name}: expected config.json, found params.json, the form of the model's own publisher. ` +
        'Take the folder with config.json, which the hub has beside it.',
    );
  return missingFile('config.json');
}

const HEAD_SAMPLES = 16;
const SAMPLE_BYTES = 4096;

/**
 * Whether lm_head.weight differs from the embedding, by samples of both. transformers 5 ties only where they are
 * equal; two that were trained apart differ everywhere.
 */
async function hasOwnHead(tensors: ReadonlyMap<string, TensorEntry>): Promise<boolean> {
  const head = tensors.get('lm_head.weight');
  const embedding = [...tensors.values()].find(({ name }) =>
    /(^|\.)(embed_tokens|embeddings?)\.weight$/.test(name),
  );
  if (!head || !embedding) return false;
  if (head.type !== embedding.type || head.byteLength !== embedding.byteLength) return true;
  const size = Math.min(SAMPLE_BYTES, head.byteLength);
  const [one, other] = [new Uint8Array(size), new Uint8Array(size)];
  for (let i = 0; i < HEAD_SAMPLES; i++) {
    const at = Math.floor(((head.byteLength - size) * i) / (HEAD_SAMPLES - 1));
    await head.source.read(head.offset + at, one);
    await embedding.source.read(embedding.offset + at, other);
    if (one.some((byte, k) => byte !== other[k])) return true;
  }
  return false;
}

/** SentencePiece, Mistral, GPT-2, BERT and tiktoken. */
const OTHER_TOKENIZERS =
  /^(tokenizer\.model.*|.*\.model|tekken\.json|merges\.txt|vocab\.(json|txt|bpe)|.*\.tiktoken)$/;

/**
 * tokenizer_config.json. Before it listed added tokens itself, special_tokens_map.json counted over it, and
 * added_tokens.json had their numbers (here `added_tokens_encoder`): as transformers still reads them.
 */
async function readTokenizerConfig(folder: ModelFolder): Promise<JsonObject | null> {
  const config = await readJson(folder, 'tokenizer_config.json', MAX_TOKENIZER);
  if (config?.added_tokens_decoder) return config;
  const special = await readJson(folder, 'special_tokens_map.json', MAX_CONFIG);
  const added = await readJson(folder, 'added_tokens.json', MAX_CONFIG);
  if (!config && !special && !added) return null;
  return { ...config, ...special, ...(added ? { added_tokens_encoder: added } : {}) };
}

/** Opens a file for as long as `read` takes; null when the folder has none. */
async function withFile<T>(
  folder: ModelFolder,
  fileName: string,
  read: (source: ByteSource) => Promise<T>,
): Promise<T | null> {
  if (!isInside(folder, fileName)) return null;
  const source = await folder.open(fileName);
  try {
    return await read(source);
  } finally {
    await source.close();
  }
}

const isInside = ({ files, modules }: ModelFolder, path: string): boolean =>
  files.includes(path) || modules.includes(path);

function readJson(folder: ModelFolder, fileName: string, maxBytes: number): Promise<JsonObject | null> {
  return withFile(folder, fileName, (source) => readJsonObject(source, { maxBytes, repeatedKeys: 'last' }));
}

function readText(folder: ModelFolder, fileName: string, maxBytes: number): Promise<string | null> {
  return withFile(folder, fileName, async (source) => decodeUtf8(fileName, await readAll(source, maxBytes)));
}

/** Template files win over those in the configuration, as in transformers. */
async function readTemplates(
  folder: ModelFolder,
  tokenizerConfig: () => Promise<JsonObject | null>,
): Promise<ReadonlyMap<string, string>> {
  const templates = new Map<string, string>();
  const whole = await readText(folder, 'chat_template.jinja', MAX_TEMPLATE);
  if (whole !== null) templates.set('default', whole);
  for (const path of folder.modules) {
    const name = TEMPLATE_FILE.exec(path)?.[1];
    const text = name === undefined ? null : await readText(folder, path, MAX_TEMPLATE);
    if (text !== null) templates.set(name!, text);
  }
  if (templates.size > 0) return templates;
  const configured = templatesOf(await tokenizerConfig(), 'tokenizer_config.json');
  // What processors of several kinds of input have beside it.
  return configured.size > 0
    ? configured
    : templatesOf(await readJson(folder, 'chat_template.json', MAX_TEMPLATE), 'chat_template.json');
}

/** Either a template, or named ones as a list or an object. */
function templatesOf(config: JsonObject | null, file: string): ReadonlyMap<string, string> {
  const value = config?.chat_template;
  if (typeof value === 'string') return new Map([['default', value]]);
  const templates = new Map<string, string>();
  for (const entry of Array.isArray(value) ? value.filter(isJsonObject) : [])
    if (typeof entry.name === 'string' && typeof entry.template === 'string')
      templates.set(entry.name, entry.template);
  for (const [name, template] of isJsonObject(value) ? Object.entries(value) : [])
    if (typeof template === 'string') templates.set(name, template);
  const isEmpty = value === undefined || value === null || (Array.isArray(value) && value.length === 0);
  if (templates.size === 0 && !isEmpty)
    throw new FormatError(
      `${file}: chat_template: expected a text, or texts with their names, found another value`,
    );
  return templates;
}

interface Weights {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Tensors of dtypes that are not read, with those. */
  readonly leftOut: ReadonlyMap<string, string>;
}

async function openWeights(
  folder: ModelFolder,
  weights: string | undefined,
  sources: ByteSource[],
): Promise<Weights> {
  const index = await withFile(folder, INDEX, readIndex);
  if (index !== null && (weights === undefined || index.files.has(weights))) {
    return openShards(folder, index, sources);
  }
  const files = weights === undefined ? weightFiles(folder) : [weights];
  if (files.length > 1) return openShards(folder, { weightMap: new Map(), files: new Set(files) }, sources);
  const source = await folder.open(files[0]!);
  sources.push(source);
  return readSafetensorsFile(source);
}

const PART = /^(.+)-\d{5}-of-(\d{5})\.safetensors$/;
/** Files beside the weights that hold others: adapters, and Mistral's second copy under its own names. */
const NOT_THE_WEIGHTS = /^(adapter_model|consolidated)\b/;

/** The weights of a folder without an index: one file, or all parts of one. */
function weightFiles(folder: ModelFolder): string[] {
  const all = folder.files.filter((name) => name.endsWith('.safetensors'));
  if (all.includes('model.safetensors')) return ['model.safetensors'];
  const plain = all.filter((name) => !NOT_THE_WEIGHTS.test(name));
  const candidates = plain.length ? plain : all;
  const [first = ''] = candidates;
  const [, stem, count] = PART.exec(first) ?? [];
  const parts = candidates.filter((name) => PART.exec(name)?.[1] === stem && PART.exec(name)?.[2] === count);
  if (stem !== undefined && parts.length === candidates.length && parts.length === Number(count))
    return parts;
  if (candidates.length === 1 && stem === undefined) return candidates;
  const remedy =
    stem !== undefined
      ? `${parts.length} of ${Number(count)} parts are here; fetch the rest.`
      : candidates.length > 1
        ? `Name the file to open, or add ${INDEX}.`
        : 'Weights in other formats (pytorch_model.bin) must be converted to safetensors or GGUF first.';
  throw new FormatError(
    `${folder.name}: expected model.safetensors or ${INDEX}, found ${candidates.length} other safetensors files. ${remedy}`,
  );
}

interface WeightIndex {
  /** Tensor name → file name. */
  readonly weightMap: ReadonlyMap<string, string>;
  readonly files: ReadonlySet<string>;
}

async function readIndex(source: ByteSource): Promise<WeightIndex> {
  const json = await readJsonObject(source, { maxBytes: MAX_INDEX });
  const { weight_map: map } = json;
  if (!isJsonObject(map)) {
    throw new FormatError(
      `${source.name}: weight_map: expected an object, found another value. The file is damaged; fetch it again.`,
    );
  }
  const weightMap = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !file.endsWith('.safetensors')) {
      throw new FormatError(
        `${source.name}: weight_map: tensor ${quoted(name)}: expected the name of a safetensors file, ` +
          `found ${quoted(String(JSON.stringify(file)))}. The file is damaged; fetch it again.`,
      );
    }
    checkPlainName(file, `${source.name}: weight_map: tensor ${quoted(name)}`);
    weightMap.set(name, file);
  }
  return { weightMap, files: new Set(weightMap.values()) };
}

async function openShards(folder: ModelFolder, index: WeightIndex, sources: ByteSource[]): Promise<Weights> {
  const present = new Set(folder.files);
  for (const file of index.files) {
    if (present.has(file)) continue;
    throw new FormatError(
      `${INDEX}: weight_map: expected every file that it names, found no ${quoted(file)} in ${folder.name}. ` +
        'The download is incomplete; fetch the rest.',
    );
  }
  const tensors = new Map<string, TensorEntry>();
  const leftOut = new Map<string, string>();
  for (const file of index.files) {
    const source = await folder.open(file);
    sources.push(source);
    const shard = await readSafetensorsFile(source);
    for (const [name, dtype] of shard.leftOut) leftOut.set(name, dtype);
    for (const [name, tensor] of shard.tensors) {
      const other = tensors.get(name);
      if (other !== undefined) {
        throw new FormatError(
          `${file}: tensor ${quoted(name)}: expected every tensor in one file, found it in ${other.source.name} too. ` +
            'The files belong to different models; fetch them again.',
        );
      }
      tensors.set(name, tensor);
    }
  }
  for (const [name, file] of index.weightMap) {
    const found = tensors.get(name)?.source.name;
    // One that no file has is only missed when the model needs it.
    if (found === file || found === undefined) continue;
    throw new FormatError(
      `${INDEX}: tensor ${quoted(name)}: expected it in ${file}, found it in ${found}. ` +
        'The files belong to different models; fetch them again.',
    );
  }
  return { tensors, leftOut };
}
