// How a model's files say that it turns texts into vectors: those of sentence-transformers (modules.json and the
// folders it names), or GGUF metadata as llama.cpp writes it.

import { type ModelSpec, readsWhole } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import { ConfigReader } from '../formats/config-reader.ts';
import type { Checkpoint, JsonObject, SentenceModule } from '../formats/types.ts';
import { readValues, Scratch } from '../weights/read-values.ts';
import { readClassifier } from './classifier.ts';
import type { DenseProjection, Pooling } from './pooling.ts';

/** How a model turns texts into vectors, as its files say. */
export interface EmbeddingSettings {
  /** Null where the files say none: `embed` then asks for it. */
  readonly pooling: Pooling | null;
  /** Whether vectors get unit length. */
  readonly normalize: boolean;
  /** Numbers in a vector. */
  readonly dimensions: number;
  /** Longest text in tokens, with what is put around it; longer ones are cut at the end. */
  readonly maxTokens: number;
  /** What texts of a kind begin with, by name: `query`, `document`. */
  readonly prompts: Readonly<Record<string, string>>;
  /** The prompt of texts for which none is named. */
  readonly defaultPrompt: string | null;
}

/** The same with what only `embed` needs. */
export interface EmbeddingRules extends EmbeddingSettings {
  /** Projections behind the pooling. */
  readonly dense: readonly DenseProjection[];
  /** Whether a prompt's tokens count in the pooling. */
  readonly poolsPrompt: boolean;
  readonly lowerCase: boolean;
  /** Texts are their own tokens alone, known ones only, and may have none (static embeddings). */
  readonly bareTokens: boolean;
  /** Layers from the state of the first token to a score, of cross-encoders. */
  readonly ranking: readonly DenseProjection[] | null;
}

const MOST_PROMPTS = 256;
const LONGEST_PROMPT = 8192;
/** Numbers of a vector behind projections; far above any model's. */
const MOST_DIMENSIONS = 2 ** 16;

export async function readEmbeddingRules(checkpoint: Checkpoint, spec: ModelSpec): Promise<EmbeddingRules> {
  const plain: EmbeddingRules = {
    pooling: readsWhole(spec) ? 'mean' : null, // sentence-transformers' own default for folders without modules
    normalize: false,
    dimensions: spec.hiddenSize,
    maxTokens: spec.contextLength,
    prompts: {},
    defaultPrompt: null,
    dense: [],
    poolsPrompt: true,
    lowerCase: false,
    bareTokens: spec.family === 'static',
    ranking: await readClassifier(checkpoint, spec),
  };
  if (checkpoint.kind === 'huggingface') return fromFolder(checkpoint, plain);
  const dense = await denseOfGguf(checkpoint);
  return {
    ...plain,
    ...fromMetadata(checkpoint.name, checkpoint.metadata),
    dense,
    dimensions: dense.at(-1)?.outputs ?? plain.dimensions,
  };
}

/** EmbeddingGemma's projections, which llama.cpp's converter writes where it is asked to. */
async function denseOfGguf({ tensors }: Extract<Checkpoint, { kind: 'gguf' }>): Promise<DenseProjection[]> {
  const dense: DenseProjection[] = [];
  for (const name of ['dense_2.weight', 'dense_3.weight']) {
    const tensor = tensors.get(name);
    const [outputs, inputs] = tensor?.shape ?? [];
    if (!tensor || !outputs || !inputs) continue;
    const weight = (await readValues({ tensor, runs: null }, inputs, new Scratch())).slice();
    dense.push({ inputs, outputs, weight, bias: null, activation: 'identity' });
  }
  return dense;
}

/** llama.h, `enum llama_pooling_type`: 0 none, 1 mean, 2 cls, 3 last, 4 rank. llama.cpp's server normalises. */
function fromMetadata(
  name: string,
  metadata: Extract<Checkpoint, { kind: 'gguf' }>['metadata'],
): Pick<EmbeddingRules, 'pooling' | 'normalize'> | null {
  const c = ConfigReader.ofMetadata(name, metadata);
  const field = `${String(metadata.get('general.architecture'))}.pooling_type`;
  if (!c.has(field)) return null;
  const pooling = ([null, 'mean', 'cls', 'last', null] as const)[c.integer(field, 0, 4)]!;
  return pooling ? { pooling, normalize: true } : null;
}

type Folder = Extract<Checkpoint, { kind: 'huggingface' }>;

async function fromFolder(checkpoint: Folder, plain: EmbeddingRules): Promise<EmbeddingRules> {
  const files = await checkpoint.sentenceFiles();
  const config = ConfigReader.ofJson(`${checkpoint.name}/config.json`, checkpoint.config);
  const start = plain.bareTokens ? { ...plain, normalize: config.flag('normalize', false) } : plain;
  if (!files) return start;
  let rules: EmbeddingRules = {
    ...start,
    ...readPrompts(checkpoint.name, files.settings ?? {}),
    ...readTransformer(checkpoint.name, files.transformer ?? {}, plain),
  };
  for (const module of files.modules) rules = await withModule(checkpoint.name, module, rules);
  return rules;
}

/** Kinds that only say what reads the text. */
const FIRST = ['Transformer', 'StaticEmbedding'];

async function withModule(
  name: string,
  module: SentenceModule,
  rules: EmbeddingRules,
): Promise<EmbeddingRules> {
  const where = `${name}/${module.path || 'modules.json'}`;
  const c = ConfigReader.ofJson(`${where}/config.json`, module.config ?? {});
  if (FIRST.includes(module.type)) return rules;
  if (module.type === 'Normalize') return { ...rules, normalize: true };
  if (module.type === 'Pooling')
    return { ...rules, pooling: readPooling(c), poolsPrompt: c.flag('include_prompt', true) };
  if (module.type === 'Dense') {
    const dense = await readDense(c, module, rules.dimensions);
    return { ...rules, dense: [...rules.dense, dense], dimensions: dense.outputs };
  }
  if (module.type === 'Dropout') return rules;
  throw new ModelError(
    `${where}: expected modules Transformer, Pooling, Dense and Normalize, found ${JSON.stringify(module.type)}. ` +
      'This kind of embedder is not supported.',
  );
}

/** The names of sentence-transformers 6, and the flags before it. */
const MODES: Readonly<Record<string, Pooling>> = {
  cls: 'cls',
  max: 'max',
  mean: 'mean',
  mean_sqrt_len_tokens: 'meanSqrt',
  weightedmean: 'weightedMean',
  lasttoken: 'last',
};
const FLAGS: Readonly<Record<string, Pooling>> = {
  pooling_mode_cls_token: 'cls',
  pooling_mode_max_tokens: 'max',
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_mean_sqrt_len_tokens: 'meanSqrt',
  pooling_mode_weightedmean_tokens: 'weightedMean',
  pooling_mode_lasttoken: 'last',
};

function readPooling(c: ConfigReader): Pooling {
  if (c.has('pooling_mode')) {
    const mode = c.raw('pooling_mode');
    const [only, ...more] = Array.isArray(mode) ? mode : [mode];
    const known = Object.entries(MODES).find(([word]) => word === only);
    if (!known || more.length) c.fail('pooling_mode', `one of ${Object.keys(MODES).join(', ')}`, mode);
    return known[1];
  }
  const set = Object.entries(FLAGS).filter(([flag]) => c.flag(flag, false));
  if (set.length > 1)
    c.fail(
      'pooling_mode',
      'one kind of pooling',
      set.map(([flag]) => flag),
    );
  return set[0]?.[1] ?? 'mean';
}

async function readDense(c: ConfigReader, module: SentenceModule, size: number): Promise<DenseProjection> {
  const inputs = c.size('in_features', undefined, MOST_DIMENSIONS);
  const outputs = c.size('out_features', undefined, MOST_DIMENSIONS);
  if (inputs !== size) c.fail('in_features', `${size}, the size of what comes in`, inputs);
  c.refuse({
    use_residual: [false],
    module_input_name: ['sentence_embedding'],
    module_output_name: ['sentence_embedding'],
  });
  const values = async (role: string, shape: readonly number[]) => {
    const tensor = module.tensors.get(`linear.${role}`);
    if (!tensor || tensor.shape.join() !== shape.join())
      throw new ModelError(
        `${c.file}: tensor linear.${role}: expected shape [${shape.join(', ')}] in model.safetensors beside it, ` +
          `found ${tensor ? `[${tensor.shape.join(', ')}]` : 'no such tensor'}. Fetch the model again.`,
      );
    return (await readValues({ tensor, runs: null }, shape.at(-1)!, new Scratch())).slice();
  };
  return {
    inputs,
    outputs,
    weight: await values('weight', [outputs, inputs]),
    bias: c.flag('bias', true) ? await values('bias', [outputs]) : null,
    activation: readActivation(c),
  };
}

function readActivation(c: ConfigReader): DenseProjection['activation'] {
  const field = 'activation_function';
  const text = c.raw(field) ?? 'torch.nn.modules.activation.Tanh';
  const known = {
    Identity: 'identity',
    Tanh: 'tanh',
    ReLU: 'relu',
    GELU: 'gelu',
    Sigmoid: 'sigmoid',
  } as const;
  const word = String(text).split('.').at(-1);
  const found = Object.entries(known).find(([name]) => name === word);
  if (!found) c.fail(field, `one of ${Object.keys(known).join(', ')}`, text);
  return found[1];
}

function readPrompts(name: string, settings: JsonObject): Pick<EmbeddingRules, 'prompts' | 'defaultPrompt'> {
  const c = ConfigReader.ofJson(`${name}/config_sentence_transformers.json`, settings);
  const found = Object.entries((settings.prompts ?? {}) as object);
  if (found.length > MOST_PROMPTS) c.fail('prompts', `at most ${MOST_PROMPTS}`, `${found.length} of them`);
  const prompts: Record<string, string> = Object.create(null);
  for (const [key, text] of found) {
    if (typeof text !== 'string' || text.length > LONGEST_PROMPT)
      c.fail(`prompts.${key}`, `a text of at most ${LONGEST_PROMPT} characters`, text);
    prompts[key] = text;
  }
  const chosen = c.raw('default_prompt_name') ?? null;
  if (chosen !== null && !(typeof chosen === 'string' && chosen in prompts))
    c.fail('default_prompt_name', `one of ${Object.keys(prompts).join(', ')}`, chosen);
  return { prompts, defaultPrompt: chosen as string | null };
}

function readTransformer(
  name: string,
  settings: JsonObject,
  { maxTokens }: EmbeddingRules,
): Pick<EmbeddingRules, 'maxTokens' | 'lowerCase'> {
  const c = ConfigReader.ofJson(`${name}/sentence_bert_config.json`, settings);
  return {
    maxTokens: Math.min(maxTokens, c.size('max_seq_length', maxTokens, 2 ** 31)),
    lowerCase: c.flag('do_lower_case', false),
  };
}
