// `marimba train --init`: a run's file to begin with, a small hybrid that learns from some hundred kilobytes
// of text in minutes. As a module it carries comments; as JSON a line that says where the settings are
// documented.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, extname, relative, resolve } from 'node:path';
import { UsageError } from '@marimba/engine';

interface Field {
  readonly name: string;
  readonly value: unknown;
  readonly comment: string;
}

const MODEL: readonly Field[] = [
  { name: 'model_type', value: 'jamba', comment: 'jamba, mamba, llama, or marimba for any mix of layers' },
  { name: 'vocab_size', value: 1024, comment: 'a tokenizer of this size is trained on the texts' },
  { name: 'hidden_size', value: 128, comment: 'channels; the cost grows with its square' },
  { name: 'intermediate_size', value: 256, comment: 'inner size of the feed-forward layers' },
  { name: 'num_hidden_layers', value: 4, comment: 'layers' },
  { name: 'attn_layer_period', value: 4, comment: 'one attention layer in every 4; the others are Mamba' },
  { name: 'attn_layer_offset', value: 2, comment: 'the third of each 4' },
  { name: 'num_attention_heads', value: 4, comment: 'heads of an attention layer' },
  { name: 'num_key_value_heads', value: 1, comment: 'heads whose keys and values are cached' },
  { name: 'num_experts', value: 1, comment: '1: no experts' },
  { name: 'num_experts_per_tok', value: 1, comment: 'experts that a token passes through' },
  { name: 'mamba_dt_rank', value: 8, comment: 'hidden_size / 16, as published models have it' },
  { name: 'tie_word_embeddings', value: true, comment: 'embedding and head share their weights' },
];

const SETTINGS: readonly Field[] = [
  { name: 'output', value: 'run', comment: 'checkpoints, log and the trained model' },
  { name: 'steps', value: 300, comment: 'optimiser steps; more for more text' },
  { name: 'sequences', value: 8, comment: 'sequences per batch' },
  { name: 'length', value: 128, comment: 'tokens per sequence' },
  { name: 'learningRate', value: 0.004, comment: 'at its peak, after the warm-up' },
  { name: 'warmupSteps', value: 30, comment: 'steps over which it rises' },
  { name: 'evaluateEvery', value: 50, comment: 'steps between tests on held-out text' },
];

const DOCUMENTATION = 'Every setting and its default: docs/training.md';

/** The content of a run's file. `texts` are relative to it. */
export function runFile(path: string, texts: readonly string[]): string {
  const textsField = {
    name: 'texts',
    value: texts,
    comment: 'files and folders of text or JSONL (field "text")',
  };
  if (extname(path) === '.json') {
    const plain = (fields: readonly Field[]) =>
      Object.fromEntries(fields.map(({ name, value }) => [name, value]));
    const run = { '//': DOCUMENTATION, model: plain(MODEL), ...plain([textsField, ...SETTINGS]) };
    return `${JSON.stringify(run, null, 2)}\n`;
  }
  const lines = (fields: readonly Field[], indent: string) =>
    fields
      .map(({ name, value, comment }) => `${indent}${name}: ${JSON.stringify(value)}, // ${comment}\n`)
      .join('');
  return (
    `// ${DOCUMENTATION}.\nexport default {\n` +
    `  // The content of a config.json.\n  model: {\n${lines(MODEL, '    ')}  },\n` +
    `${lines([textsField, ...SETTINGS], '  ')}};\n`
  );
}

/** Writes it. `texts` are relative to the working folder; without any, text.txt beside the file. */
export function writeRunFile(path: string, texts: readonly string[] = []): void {
  if (!['.json', '.mjs', '.js', '.ts'].includes(extname(path)))
    throw new UsageError(
      `train: --init: expected a file that ends in .json, .mjs, .js or .ts, found ${path}`,
    );
  if (existsSync(path))
    throw new UsageError(`train: --init: ${path} exists already: give another name, or remove it first`);
  const folder = dirname(resolve(path));
  mkdirSync(folder, { recursive: true });
  const own = texts.map((text) => relative(folder, resolve(text)));
  writeFileSync(path, runFile(path, own.length ? own : ['text.txt']));
}
