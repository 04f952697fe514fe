// The tokenizer's part of a GGUF file's metadata: byte-level BPE in llama.cpp's form (model gpt2), or none.
import type { ModelSpec } from '@marimba/engine';
import type { TypedMetadataValue } from '@marimba/engine/formats';
import type { ExportedText } from './text.ts';

const NORMAL = 1;
const CONTROL = 3;
const UNUSED = 5;

interface BpeTokenizerJson {
  readonly model?: {
    readonly type?: unknown;
    readonly vocab?: Readonly<Record<string, number>>;
    readonly merges?: readonly (string | readonly string[])[];
  };
  readonly added_tokens?: readonly {
    readonly id: number;
    readonly content: string;
    readonly special?: boolean;
  }[];
}

const strings = (value: string[]): TypedMetadataValue => ({ type: 'array', of: 'string', value });
const text = (value: string): TypedMetadataValue => ({ type: 'string', value });

export function tokenizerMetadata(
  exported: ExportedText | null,
  spec: ModelSpec,
): [string, TypedMetadataValue][] {
  const json = exported ? (JSON.parse(exported.tokenizerJson) as BpeTokenizerJson) : null;
  if (json?.model?.type !== 'BPE' || !json.model.vocab) return [['tokenizer.ggml.model', text('none')]];
  const tokens: string[] = Array.from({ length: spec.vocabularySize }, (_, i) => `[PAD${i}]`);
  const types = new Array<number>(spec.vocabularySize).fill(UNUSED);
  for (const [token, id] of Object.entries(json.model.vocab)) {
    tokens[id] = token;
    types[id] = NORMAL;
  }
  for (const { id, content, special } of json.added_tokens ?? []) {
    tokens[id] = content;
    types[id] = special ? CONTROL : NORMAL;
  }
  const end = endToken(exported, json, spec);
  return [
    ['tokenizer.ggml.model', text('gpt2')],
    ['tokenizer.ggml.pre', text('gpt-2')],
    ['tokenizer.ggml.tokens', strings(tokens)],
    ['tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: types }],
    [
      'tokenizer.ggml.merges',
      strings(
        (json.model.merges ?? []).map((merge) => (typeof merge === 'string' ? merge : merge.join(' '))),
      ),
    ],
    ...(end === null
      ? []
      : ([
          ['tokenizer.ggml.bos_token_id', { type: 'u32', value: end }],
          ['tokenizer.ggml.eos_token_id', { type: 'u32', value: end }],
        ] satisfies [string, TypedMetadataValue][])),
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: false }],
  ];
}

function endToken(exported: ExportedText | null, json: BpeTokenizerJson, spec: ModelSpec): number | null {
  const config = JSON.parse(exported?.tokenizerConfig ?? 'null') as { eos_token?: unknown } | null;
  const named = json.added_tokens?.find((token) => token.content === config?.eos_token);
  return named?.id ?? spec.endTokens[0] ?? null;
}
