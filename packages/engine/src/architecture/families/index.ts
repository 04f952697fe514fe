// All families. To add one: a file here, and a line below (see CONTRIBUTING.md).
import { ModelError } from '../../errors.ts';
import { ConfigReader, shownValue } from '../../formats/config-reader.ts';
import { isJsonObject } from '../../formats/json.ts';
import type { Checkpoint, GgufCheckpoint, HuggingFaceCheckpoint, JsonObject } from '../../formats/types.ts';
import { refuseUnread } from '../../formats/unread-tensors.ts';
import type { Family } from '../family.ts';
import { GGUF_KEYS, HUGGING_FACE_FIELDS, ROPE_FIELDS } from '../number-fields.ts';
import { hasBareNames } from '../roles.ts';
import type { ModelSpec } from '../spec.ts';
import { bamba } from './bamba.ts';
import { bert, roberta } from './bert.ts';
import { falconH1 } from './falcon-h1.ts';
import { gemma } from './gemma.ts';
import { granite } from './granite.ts';
import { graniteHybrid } from './granite-hybrid.ts';
import { jamba } from './jamba.ts';
import { lfm2 } from './lfm2.ts';
import { llama } from './llama.ts';
import { mixtral, qwen3Moe } from './llama-experts.ts';
import { mamba } from './mamba.ts';
import { mamba2 } from './mamba2.ts';
import { marimba } from './marimba.ts';
import { modernbert } from './modernbert.ts';
import { nemotronH } from './nemotron-h.ts';
import { nomicBert } from './nomic-bert.ts';
import { olmo } from './olmo.ts';
import { qwen3Next, qwen35 } from './qwen3-next.ts';
import { staticTable } from './static.ts';

/** All of them. GGUF files are written in the first form that holds a model. */
export const FAMILIES: readonly Family[] = [
  jamba,
  mamba,
  mamba2,
  graniteHybrid,
  bamba,
  llama,
  granite,
  lfm2,
  mixtral,
  qwen3Moe,
  gemma,
  falconH1,
  nemotronH,
  olmo,
  qwen3Next,
  qwen35,
  bert,
  roberta,
  nomicBert,
  modernbert,
  staticTable,
  marimba,
];

export interface ReadSpec {
  readonly family: Family;
  readonly spec: ModelSpec;
  /** Fields that the configuration leaves to the family, and the values that were taken. */
  readonly defaults: ConfigReader['defaults'];
  /** What was taken for values of the files that mean nothing, for the user. */
  readonly notes: readonly string[];
}

/** Which family a checkpoint belongs to, and its model. */
export function readSpec(checkpoint: Checkpoint): ReadSpec {
  if (checkpoint.kind === 'huggingface') {
    const config = ConfigReader.ofJson(`${checkpoint.name}/config.json`, checkpoint.config);
    const type = config.raw('model_type');
    const family = FAMILIES.find((f) => f.huggingFaceTypes.some((t) => t === type));
    if (!family)
      unknown(
        checkpoint.name,
        'config.json: model_type',
        type,
        FAMILIES.flatMap((f) => f.huggingFaceTypes),
      );
    config.kind = `model_type ${type}`;
    refuseQuantized(checkpoint.name, checkpoint.config);
    const spec = family.fromHuggingFace(config, (name) => checkpoint.tensors.get(name)?.shape);
    config.refuseUnread(HUGGING_FACE_FIELDS);
    if (config.hasRead('rope_theta')) config.refuseUnread(ROPE_FIELDS);
    const tiedHead = spec.tiedHead && !checkpoint.ownHead;
    if (spec.tiedHead !== tiedHead)
      config.notes.push(
        'config.json ties the head to the embedding, but the file has another one, which is used',
      );
    const headless = lacksHead(checkpoint, family, spec) ? { headless: true as const } : {};
    return {
      family,
      spec: {
        ...spec,
        tiedHead,
        ...headless,
        endTokens: endTokens(checkpoint, spec, config.notes),
      },
      defaults: config.defaults,
      notes: config.notes,
    };
  }
  refuseOtherFiles(checkpoint);
  const architecture = checkpoint.metadata.get('general.architecture');
  const family = FAMILIES.find((f) => f.gguf.some((form) => form.architecture === architecture));
  if (!family || typeof architecture !== 'string')
    unknown(
      checkpoint.name,
      'general.architecture',
      architecture,
      FAMILIES.flatMap((f) => f.gguf.map((form) => form.architecture)),
    );
  const config = ConfigReader.ofMetadata(checkpoint.name, checkpoint.metadata);
  config.kind = `general.architecture ${architecture}`;
  const spec = family.fromGguf(config, architecture, (name) => {
    refuseUnread(checkpoint, name);
    return checkpoint.tensors.get(name)?.shape;
  });
  config.refuseUnread(
    Object.fromEntries(Object.entries(GGUF_KEYS).map(([key, values]) => [`${architecture}.${key}`, values])),
  );
  return { family, spec, defaults: config.defaults, notes: config.notes };
}

/** GGUF files that go with a model and are none: named, with what to do. */
function refuseOtherFiles({ name, metadata, tensors, unreadTensors }: GgufCheckpoint): void {
  const type = metadata.get('general.type');
  const architecture = metadata.get('general.architecture');
  const fail = (found: string, remedy: string): never => {
    throw new ModelError(`${name}: expected a model, found ${found}. ${remedy}`);
  };
  if (type === 'adapter') fail('a LoRA adapter', 'Merge it into its base model first (llama-export-lora).');
  if (type === 'mmproj' || architecture === 'clip')
    fail('a vision projector', 'Open the file of the language model beside it; images are not read.');
  if (type === 'imatrix') fail('calibration data', 'Open the file of the model that was made with it.');
  if (!tensors.size && !unreadTensors?.size && typeof architecture === 'string')
    fail('a vocabulary without weights', 'Take the file of the whole model.');
}

/**
 * Weights of another quantisation than GGUF's are refused by its name. A configuration of bitsandbytes with
 * neither 8 nor 4 bits only says how the model was loaded once.
 */
function refuseQuantized(name: string, config: JsonObject): void {
  const field = ['quantization_config', 'quantization', 'compression_config'].find((key) =>
    isJsonObject(config[key]),
  );
  const found = field === undefined ? undefined : config[field];
  if (field === undefined || !isJsonObject(found) || !Object.keys(found).length) return;
  const older = 'load_in_4bit' in found || 'load_in_8bit' in found ? 'bitsandbytes' : undefined;
  const method = found.quant_method ?? (field === 'quantization' ? 'mlx' : older);
  const bits = found.load_in_4bit ? 4 : found.load_in_8bit ? 8 : (found.bits ?? found.w_bit);
  if (method === 'bitsandbytes' && !found.load_in_4bit && !found.load_in_8bit) return;
  const what = [
    method ?? shownValue(found),
    ...(bits === undefined ? [] : [`${shownValue(bits)} bits`]),
  ].join(', ');
  throw new ModelError(
    `${name}/config.json: ${field}: expected weights in F32, F16 or BF16, found a quantisation that is not read ` +
      `(${what}). Take the original model, or a GGUF file of it.`,
  );
}

/** Embedders are saved without what stands on top of them: no head where it is no other name of the embedding. */
const lacksHead = (
  { tensors }: HuggingFaceCheckpoint,
  { huggingFaceNames }: Family,
  spec: ModelSpec,
): boolean =>
  !spec.tiedHead &&
  hasBareNames(huggingFaceNames, (tensor) => tensors.has(tensor)) &&
  !tensors.has('lm_head.weight');

/** generation_config.json may list more end tokens than config.json. */
function endTokens(
  { name, generationConfig }: HuggingFaceCheckpoint,
  spec: ModelSpec,
  notes: string[],
): number[] {
  const reader = new ConfigReader(`${name}/generation_config.json`, (field) => generationConfig?.[field]);
  reader.notes = notes;
  return [...new Set([...spec.endTokens, ...reader.tokens('eos_token_id', spec.vocabularySize)])];
}

function unknown(name: string, field: string, found: unknown, known: readonly string[]): never {
  throw new ModelError(
    `${name}: ${field}: expected one of ${known.join(', ')}, found ${shownValue(found)}. This family is not supported.`,
  );
}
