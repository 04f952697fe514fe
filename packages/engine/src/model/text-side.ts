// A checkpoint's text side: its tokenizer and chat template, checked against the vocabulary.

import type { ModelSpec } from '../architecture/spec.ts';
import { FormatError } from '../errors.ts';
import type { Checkpoint } from '../formats/types.ts';
import {
  type ChatTemplate,
  createChatTemplate,
  type TemplateTokens,
  unreadableChatTemplate,
} from '../tokenizer/chat-template.ts';
import { tokenizerFromGguf } from '../tokenizer/from-gguf.ts';
import { tokenizerFromJson } from '../tokenizer/from-json.ts';
import { assertFitsVocabulary } from '../tokenizer/tokenizer.ts';
import type { Tokenizer } from '../tokenizer/types.ts';

export interface TextSide {
  readonly tokenizer: Tokenizer | null;
  /** Null when the model has no template and its vocabulary no ChatML markers. */
  readonly chatTemplate: ChatTemplate | null;
  /** What the user should know: why there is no tokenizer, what was taken for what is unknown. */
  readonly notes: readonly string[];
}

export async function readText(checkpoint: Checkpoint, spec: ModelSpec): Promise<TextSide> {
  const tokenizer = await readTokenizer(checkpoint);
  if (!tokenizer) return { tokenizer: null, chatTemplate: null, notes: otherTokenizer(checkpoint) };
  const beyond = assertFitsVocabulary(tokenizer, spec.vocabularySize, checkpoint.name);
  const notes = beyond === null ? tokenizer.notes : [...tokenizer.notes, beyond];
  const chatTemplate = await readTemplate(checkpoint, tokenizer, spec);
  const error = chatTemplate?.error ?? null;
  const broken =
    error === null ? [] : [`the chat template is not valid, so conversations are refused: ${error}`];
  return { tokenizer, chatTemplate, notes: [...notes, ...broken] };
}

/** Names the tokenizer that a folder has in a form that is not read, and what helps. */
function otherTokenizer(checkpoint: Checkpoint): string[] {
  const files = checkpoint.kind === 'huggingface' ? (checkpoint.otherTokenizers ?? []) : [];
  if (!files.length) return [];
  return [
    `expected tokenizer.json, found ${files.join(' and ')}. Convert it once with transformers ` +
      '(AutoTokenizer.from_pretrained(folder).save_pretrained(folder)), or take a copy of the model with ' +
      'tokenizer.json, or a GGUF file of it.',
  ];
}

/** The tokenizer of a checkpoint; null where its files hold none. */
export async function readTokenizer(checkpoint: Checkpoint): Promise<Tokenizer | null> {
  if (checkpoint.kind === 'gguf') return tokenizerFromGguf(checkpoint.metadata, checkpoint.name);
  const json = await checkpoint.tokenizerJson();
  return json
    ? tokenizerFromJson(json, await checkpoint.tokenizerConfig(), `${checkpoint.name}/tokenizer.json`)
    : null;
}

/** Null without a template and without ChatML's markers. One that cannot be read does not keep texts away. */
async function readTemplate(
  checkpoint: Checkpoint,
  tokenizer: Tokenizer,
  spec: ModelSpec,
): Promise<ChatTemplate | null> {
  const name = `${checkpoint.name}: chat template`;
  try {
    const sources = await templateSources(checkpoint);
    if (sources.size > 0) return createChatTemplate(sources, templateTokens(tokenizer, spec), name);
    if (tokenizer.tokenId('<|im_start|>') === null) return null;
    return createChatTemplate(null, templateTokens(tokenizer, spec), name);
  } catch (error) {
    if (error instanceof FormatError) return unreadableChatTemplate(error.message, name);
    throw error;
  }
}

function templateTokens(tokenizer: Tokenizer, spec: ModelSpec): TemplateTokens {
  const text = (token: number | null | undefined) =>
    token === null || token === undefined ? null : tokenizer.tokenText(token);
  const { bos, eos, unknown, pad } = tokenizer.special;
  return { bos: text(bos), eos: text(eos[0] ?? spec.endTokens[0]), unknown: text(unknown), pad: text(pad) };
}

const GGUF_TEMPLATE = 'tokenizer.chat_template';

/** Chat templates by name; in GGUF the default one has no name. */
async function templateSources(checkpoint: Checkpoint): Promise<ReadonlyMap<string, string>> {
  if (checkpoint.kind === 'huggingface') return checkpoint.chatTemplates();
  const sources = new Map<string, string>();
  for (const [key, value] of checkpoint.metadata) {
    if (typeof value !== 'string' || value === '') continue;
    if (key === GGUF_TEMPLATE) sources.set('default', value);
    else if (key.startsWith(`${GGUF_TEMPLATE}.`)) sources.set(key.slice(GGUF_TEMPLATE.length + 1), value);
  }
  return sources;
}
