// The models of `npm run test:real`: what each is, its licence and what it is good for. Files are looked for in the
// folder that MARIMBA_MODELS names, by the names that their publishers or packages gave them; users load them by
// their names on the hub.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface RealModel {
  /** For --models, and in the table. */
  readonly name: string;
  /** What a user writes, where the hub has this form. */
  readonly hub: string;
  readonly format: string;
  readonly licence: string;
  readonly goodFor: string;
  readonly kind: 'text' | 'embedder';
  /** File or folder names in MARIMBA_MODELS, tried in order. */
  readonly files: readonly string[];
}

export const REAL_MODELS: readonly RealModel[] = [
  {
    name: 'SmolLM2-135M-Instruct',
    hub: 'HuggingFaceTB/SmolLM2-135M-Instruct',
    format: 'GGUF, Q4_1',
    licence: 'Apache-2.0',
    goodFor: 'trying things out; English only, and little knowledge',
    kind: 'text',
    files: ['SmolLM2-135M-Instruct.Q4_1.gguf'],
  },
  {
    name: 'gemma-3-270m',
    hub: 'ggml-org/gemma-3-270m-GGUF',
    format: 'GGUF, Q4_K_M (mostly Q5_0)',
    licence: 'Gemma terms of use',
    goodFor: 'a base model to fine-tune; continues texts in many languages',
    kind: 'text',
    files: ['gemma-3-270m-q4_k_m.gguf'],
  },
  {
    name: 'Qwen2.5-Coder-1.5B-Instruct',
    hub: 'Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF:Q4_K_M',
    format: 'GGUF, Q4_K_M',
    licence: 'Apache-2.0',
    goodFor: 'code: writing, completing and explaining it; tools',
    kind: 'text',
    files: ['qwen2.5-coder-1.5b-q4_k_m.gguf', 'qwen2.5-coder-1.5b-instruct-q4_k_m.gguf'],
  },
  {
    name: 'all-MiniLM-L6-v2',
    hub: 'sentence-transformers/all-MiniLM-L6-v2',
    format: 'safetensors, F32',
    licence: 'Apache-2.0',
    goodFor: 'embeddings of English sentences, up to 256 tokens each',
    kind: 'embedder',
    files: ['all-MiniLM-L6-v2'],
  },
];

/** Where the model lies in the folder; null when it does not. */
export function findModel({ files }: RealModel, folder: string): string | null {
  const name = files.find((file) => existsSync(join(folder, file)));
  return name === undefined ? null : join(folder, name);
}

export const downloadBytes = (path: string): number =>
  statSync(path).isDirectory()
    ? ['model.safetensors', 'tokenizer.json', 'config.json'].reduce(
        (sum, file) => sum + statSync(join(path, file)).size,
        0,
      )
    : statSync(path).size;
