// Which files of a repository a model needs. Hugging Face folders: configuration, tokenizer and safetensors
// weights; GGUF repositories: one quantisation, with all parts of a split file. Nothing else is fetched: no
// PyTorch pickles, no second copy of the weights (Mistral's consolidated.safetensors), no pictures.

import { HubError } from '../errors.ts';
import type { HubFile } from './api.ts';
import { pathProblem, printable } from './names.ts';
import type { HubReference } from './reference.ts';

export interface Choice {
  readonly kind: 'huggingface' | 'gguf';
  readonly files: readonly HubFile[];
  /** The file to open: the (first part of the) GGUF; null for a folder. */
  readonly entry: string | null;
}

const CONFIGURATION =
  /^(config|generation_config|special_tokens_map|added_tokens|tokenizer[^/]*|chat_template)\.json$|^(chat_template|additional_chat_templates\/[\w-]{1,64})\.jinja$/;
/** Files of sentence-transformers: how an embedder's texts begin, are pooled and projected. */
const SENTENCE =
  /^(modules|config_sentence_transformers|sentence_bert_config)\.json$|^\d{1,3}_\w{1,64}\/(config\.json|model\.safetensors)$/;
/** Of models without tokenizer.json; small, and named in what is said then. */
const OTHER_TOKENIZERS = /^(tokenizer\.model|tekken\.json|vocab\.(json|txt)|merges\.txt)$/;
const SHARD = /^(.+)-(\d{5})-of-(\d{5})\.(safetensors|gguf)$/i;
/** Companions that are not the language model: vision projectors, calibration data, what macOS leaves. */
const NOT_A_MODEL = /(^|\/)(\._|mmproj|imatrix)|[-_.](mmproj|imatrix)[-_.]/i;

/**
 * Without a wish: a good balance first, then whatever is closest to it. The llama.cpp and ollama default is
 * Q4_K_M too.
 */
// biome-ignore format: one list, read in order
const PREFERENCE = [
  'Q4_K_M', 'Q4_K_S', 'Q4_K', 'Q4_0', 'IQ4_XS', 'IQ4_NL', 'Q4_1', 'Q5_K_M', 'Q5_K_S', 'Q5_0', 'Q6_K', 'Q8_0', 'Q3_K_M', 'BF16', 'F16', 'F32',
];

/** Throws HubError when the repository has nothing that can be run, or not what was asked for. */
export function chooseFiles(files: readonly HubFile[], reference: HubReference): Choice {
  const choice =
    reference.file !== null
      ? chooseNamed(files, reference.file, reference)
      : reference.quantization !== null
        ? chooseQuantization(files, reference.quantization, reference)
        : chooseDefault(files, reference);
  for (const file of choice.files) {
    const problem = pathProblem(file.path);
    if (problem === null) continue;
    throw new HubError(
      `${reference.repository}: the file name ${JSON.stringify(printable(file.path))} is refused: ${problem}`,
    );
  }
  return choice;
}

function chooseDefault(files: readonly HubFile[], reference: HubReference): Choice {
  const weights = safetensors(files, reference);
  const configuration = files.filter((file) => CONFIGURATION.test(file.path));
  if (weights.length > 0 && configuration.some((file) => file.path === 'config.json')) {
    const sentence = files.filter((file) => SENTENCE.test(file.path));
    const hasTokenizer = configuration.some((file) => file.path === 'tokenizer.json');
    const others = hasTokenizer ? [] : files.filter((file) => OTHER_TOKENIZERS.test(file.path));
    return {
      kind: 'huggingface',
      files: [...configuration, ...sentence, ...others, ...weights],
      entry: null,
    };
  }
  const groups = ggufGroups(files);
  for (const label of PREFERENCE) {
    const group = groups.find((candidate) => carriesLabel(candidate.base, label));
    if (group !== undefined) return ggufChoice(group, reference);
  }
  const smallest = groups.toSorted((a, b) => byteLength(a.parts) - byteLength(b.parts))[0];
  if (smallest !== undefined) return ggufChoice(smallest, reference);
  throw nothingToRun(files, weights.length > 0, reference);
}

/**
 * model.safetensors wins over shards, as in transformers; without either, every safetensors file of the root.
 */
function safetensors(files: readonly HubFile[], reference: HubReference): HubFile[] {
  const single = files.find((file) => file.path === 'model.safetensors');
  if (single !== undefined) return [single];
  const root = files.filter((file) => /^(?!\._)[^/]+\.safetensors$/.test(file.path));
  const index = files.find((file) => file.path === 'model.safetensors.index.json');
  if (index === undefined) return root;
  const shards = root.filter((file) => SHARD.exec(file.path)?.[1] === 'model');
  if (shards.length === 0) return [...root, index];
  requireAllParts(shards, reference);
  return [...shards, index];
}

function chooseNamed(files: readonly HubFile[], path: string, reference: HubReference): Choice {
  const group = ggufGroups(files, true).find(({ parts }) => parts.some((part) => part.path === path));
  if (group !== undefined) return ggufChoice(group, reference);
  throw new HubError(`${reference.repository}: has no file ${path}. ${offer(files)}`, {
    code: 'not-found',
  });
}

function chooseQuantization(files: readonly HubFile[], label: string, reference: HubReference): Choice {
  const group = ggufGroups(files).find(({ base }) => carriesLabel(base, label));
  if (group !== undefined) return ggufChoice(group, reference);
  throw new HubError(
    `${reference.repository}: has no GGUF file with quantisation ${label}. ${offer(files)}`,
    {
      code: 'not-found',
    },
  );
}

interface GgufGroup {
  /** Path without the part number and ending. */
  readonly base: string;
  readonly parts: HubFile[];
}

/**
 * Split files put together; nearest the root, shortest and first by name at the front, so that a choice is
 * stable.
 */
function ggufGroups(files: readonly HubFile[], companions = false): GgufGroup[] {
  const groups = new Map<string, GgufGroup>();
  for (const file of files) {
    if (!/\.gguf$/i.test(file.path) || (!companions && NOT_A_MODEL.test(file.path))) continue;
    const base = SHARD.exec(file.path)?.[1] ?? file.path.slice(0, -'.gguf'.length);
    const key = `${base} ${SHARD.exec(file.path)?.[3] ?? ''}`;
    const group = groups.get(key) ?? { base, parts: [] };
    group.parts.push(file);
    groups.set(key, group);
  }
  const rank = ({ base }: GgufGroup) => base.split('/').length * 10_000 + base.length;
  return [...groups.values()].sort((a, b) => rank(a) - rank(b) || (a.base < b.base ? -1 : 1));
}

/** `Q4_K` is not part of `Q4_K_M`: a label ends where the name, or a part of it, ends. */
function carriesLabel(base: string, label: string): boolean {
  const escaped = label.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`(^|[-._/ ])${escaped}($|[-./ ])`, 'i').test(base);
}

function ggufChoice(group: GgufGroup, reference: HubReference): Choice {
  const parts = group.parts.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  requireAllParts(parts, reference);
  return { kind: 'gguf', files: parts, entry: parts[0]?.path ?? null };
}

function requireAllParts(parts: readonly HubFile[], reference: HubReference): void {
  const first = SHARD.exec(parts[0]?.path ?? '');
  if (first === null) return;
  const total = Number(first[3]);
  const present = new Set(parts.map((part) => Number(SHARD.exec(part.path)?.[2])));
  if (total > 100_000 || present.size > total) {
    throw new HubError(
      `${reference.repository}: ${printable(first[0])}: the number of parts cannot be right`,
    );
  }
  for (let part = 1; part <= total; part++) {
    if (present.has(part)) continue;
    throw new HubError(
      `${reference.repository}: part ${part} of ${total} of ${printable(first[1] ?? '')} is missing from the repository`,
    );
  }
}

function nothingToRun(files: readonly HubFile[], hasWeights: boolean, reference: HubReference): HubError {
  const { repository } = reference;
  if (hasWeights)
    return new HubError(`${repository}: has safetensors weights but no config.json; expected a whole model`);
  const pickled = files.some((file) => /\.(bin|pt|pth)$/.test(file.path));
  const found = pickled
    ? 'only PyTorch pickles (.bin), which can run code and are never read'
    : `${files.length} other files`;
  return new HubError(
    `${repository}: has no safetensors and no GGUF weights, ${found}. Look for a converted copy of the model.`,
  );
}

function offer(files: readonly HubFile[]): string {
  const names = ggufGroups(files).map(({ base, parts }) =>
    printable(parts.length > 1 ? `${base} (${parts.length} parts)` : `${base}.gguf`),
  );
  if (names.length === 0) return 'It has no GGUF files at all; leave the file or quantisation away.';
  const shown = names.slice(0, 12).join(', ');
  return `It has ${shown}${names.length > 12 ? ` and ${names.length - 12} more` : ''}.`;
}

function byteLength(files: readonly HubFile[]): number {
  return files.reduce((sum, file) => sum + file.byteLength, 0);
}
