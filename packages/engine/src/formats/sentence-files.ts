// What sentence-transformers writes beside a model: modules.json lists what a text passes through, each module
// with a folder of its own (1_Pooling, 2_Dense), and two files say how texts begin and where they are cut.

import { FormatError } from '../errors.ts';
import { quoted } from './gguf-types.ts';
import { isJsonObject } from './json.ts';
import type { JsonObject, JsonValue, SentenceFiles, SentenceModule, TensorEntry } from './types.ts';

/** A folder of a module (a number, and what it is), or of chat templates. */
export const MODULE_FOLDER = /^(\d{1,3}_\w{1,64}|additional_chat_templates)$/;
/** A chat template beside the default one; its name is the first group. */
export const TEMPLATE_FILE = /^additional_chat_templates\/([\w-]{1,64})\.jinja$/;
/** Files of modules that are read, and of chat templates. */
export const MODULE_FILE =
  /^(\d{1,3}_\w{1,64}\/(config\.json|model\.safetensors)|additional_chat_templates\/[\w-]{1,64}\.jinja)$/;

const MODULES = 'modules.json';
const MOST_MODULES = 16;

/** How the files of a model are read. Each is null where the folder has no such file. */
export interface SentenceReader {
  json(path: string): Promise<JsonValue | null>;
  tensors(path: string): Promise<ReadonlyMap<string, TensorEntry> | null>;
}

/** Null for a folder that has none of these files. */
export async function readSentenceFiles(reader: SentenceReader): Promise<SentenceFiles | null> {
  const list = await reader.json(MODULES);
  const settings = await reader.json('config_sentence_transformers.json');
  const transformer = await reader.json('sentence_bert_config.json');
  if (list === null && settings === null && transformer === null) return null;
  const modules: SentenceModule[] = [];
  for (const { type, path } of listed(list)) {
    const inside = path === '' ? '' : `${path}/`;
    const config = path === '' ? null : objectOf(await reader.json(`${inside}config.json`));
    const tensors = path === '' ? null : await reader.tensors(`${inside}model.safetensors`);
    modules.push({ type, path, config, tensors: tensors ?? new Map() });
  }
  return { modules, settings: objectOf(settings), transformer: objectOf(transformer) };
}

const objectOf = (value: JsonValue | null): JsonObject | null =>
  isJsonObject(value ?? undefined) ? (value as JsonObject) : null;

function listed(list: JsonValue | null): { type: string; path: string }[] {
  if (list === null) return [];
  if (!Array.isArray(list) || list.length > MOST_MODULES)
    throw new FormatError(
      `${MODULES}: expected a list of at most ${MOST_MODULES} modules, found another value.`,
    );
  return list.map((entry, i) => {
    const { type, path: given = '' } = isJsonObject(entry) ? entry : {};
    const path = given === '.' ? '' : given; // model2vec's way to write it
    if (typeof type !== 'string' || typeof path !== 'string' || !(path === '' || MODULE_FOLDER.test(path)))
      throw new FormatError(
        `${MODULES}: module ${i}: expected a type and a folder such as 1_Pooling, found ${quoted(JSON.stringify(entry))}.`,
      );
    // The class's name alone: its package has moved twice.
    return { type: type.split('.').at(-1) ?? type, path };
  });
}
