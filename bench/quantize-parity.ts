// Does llama.cpp load what `marimba quantize` writes, and predict the same? Golden models, and a random Jamba
// that is wide enough for K formats with a translated tokenizer, go through quantize; node-llama-cpp and this
// engine then run the same file. `node bench/quantize-parity.ts [--model FOLDER --type q4_K]` for another
// model.
//
// Differences are llama.cpp's rounding of activations (to 16 bits against F16 weights, 8 bits against
// quantised ones), which random weights magnify: see parity.ts. F32 is the proof that names, order and
// metadata are right.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadModel } from '@marimba/engine';
import { seededTokens } from '@marimba/engine/measure';
import { type FileType, openSource, parseFileType, quantizeModel } from '@marimba/engine/node';
import { writeSyntheticJamba } from '../packages/engine/test/synthetic-folder.ts';
import { runChild } from './children.ts';
import type { ParityAnswer, ParityTask } from './parity-child.ts';
import { isPeerInstalled } from './peer-installation.ts';
import { copyWithVocabulary } from './with-vocabulary.ts';

const root = join(import.meta.dirname, '..');
/** llama.cpp runs Jamba only with an inner size of twice the hidden size and no projection biases. */
const GOLDEN = ['jamba-dense-mqa', 'jamba-moe', 'mamba-tiny', 'llama-tiny'];
const TYPES: readonly FileType[] = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_K', 'q5_K', 'q3_K'];
const LIMITS: Partial<Record<FileType, number>> = { f32: 5e-5, f16: 2e-2, bf16: 0.1 };
const QUANTISED_LIMIT = 0.25;
const PROMPT_TOKENS = 24;

async function compare(source: string, type: FileType, folder: string): Promise<boolean> {
  const written = join(folder, `${basename(source)}.${type}.gguf`);
  await quantizeModel(source, written, { type, compare: false, overwrite: true });
  await using model = await loadModel(written, { threads: 2, activations: 'f32', cacheType: 'f32' });
  const path = model.tokenizer ? written : await withVocabulary(written, model.vocabularySize);
  const prompt = seededTokens(PROMPT_TOKENS, model.vocabularySize);
  const task: ParityTask = { path, prompts: [prompt], vocabularySize: model.vocabularySize };
  const [theirs] = await runChild<ParityAnswer>('parity-child.ts', task);
  const [step] = await model.step([{ session: model.createSession(), tokens: prompt, logits: 'all' }]);
  let largest = 0;
  let same = 0;
  for (const [row, peer] of theirs!.entries()) {
    const ours = softmax(
      step!.logits!.subarray(row * model.vocabularySize, (row + 1) * model.vocabularySize),
    );
    largest = Math.max(largest, ...ours.map((x, i) => Math.abs(x - peer[i]!)));
    if (ours.indexOf(Math.max(...ours)) === peer.indexOf(Math.max(...peer))) same++;
  }
  const limit = LIMITS[type] ?? QUANTISED_LIMIT;
  const agrees = largest <= limit;
  const figures = `largest difference ${largest.toExponential(1)} (limit ${limit}), same first choice at ${same} of ${prompt.length} positions`;
  process.stdout.write(
    `${agrees ? 'agrees' : 'DIFFERS'}  ${`${basename(source)} ${type}`.padEnd(28)} ${figures}\n`,
  );
  await Promise.all([rm(written), rm(path, { force: true })]);
  return agrees;
}

async function withVocabulary(path: string, size: number): Promise<string> {
  const checkpoint = await openSource(path, {});
  if (checkpoint.kind !== 'gguf') throw new Error(`${path}: expected a GGUF file`);
  const copy = `${path}.words.gguf`;
  await copyWithVocabulary(checkpoint, size, copy);
  await checkpoint.close();
  return copy;
}

function softmax(logits: Float32Array): number[] {
  const max = logits.reduce((x, y) => Math.max(x, y));
  const exponentials = Array.from(logits, (x) => Math.exp(x - max));
  const sum = exponentials.reduce((x, y) => x + y);
  return exponentials.map((x) => x / sum);
}

/** Random weights with a real, if small, tokenizer of each kind. */
async function synthetic(folder: string): Promise<string[]> {
  const names = ['byte-level-llama3', 'sentencepiece-prepend'];
  return Promise.all(
    names.map(async (name) => {
      const file = await readFile(join(root, 'fixtures/tokenizers', `${name}.json`), 'utf8');
      const { tokenizer } = JSON.parse(file) as {
        tokenizer: { model: { vocab: object }; added_tokens: { id: number }[] };
      };
      const size = Math.max(
        Object.keys(tokenizer.model.vocab).length,
        ...tokenizer.added_tokens.map((t) => t.id + 1),
      );
      const path = join(folder, name);
      await writeSyntheticJamba(path, {
        config: { vocab_size: size },
        files: { 'tokenizer.json': JSON.stringify(tokenizer) },
      });
      return path;
    }),
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { model: { type: 'string' }, type: { type: 'string' } } });
  if (!isPeerInstalled('node-llama-cpp')) {
    process.stdout.write(
      'SKIPPED: the peer, node-llama-cpp, is not installed. `npm run bench:parity -- --install` fetches it.\n',
    );
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'marimba-parity-'));
  try {
    const types = values.type === undefined ? TYPES : [parseFileType(values.type, '--type')];
    const golden = GOLDEN.map((name) => join(root, 'fixtures/golden', name));
    const sources = values.model === undefined ? [...golden, ...(await synthetic(folder))] : [values.model];
    for (const source of sources)
      for (const type of types) if (!(await compare(source, type, folder))) process.exitCode = 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await main();
