// What quantising costs, beside llama.cpp's quantiser on the same model: for each type, this engine writes a file and
// llama-quantize writes one, and both are read by this engine with exact activations, on the same text.
//
//   node bench/quantize-damage.ts MODEL.gguf --llama FOLDER [--types q4_K,q3_K] [--text FILE] [--tokens 256]
//
// MODEL is best of 16 or 32 bits; one that is quantised is written as F16 first, and both start from that. FOLDER holds
// llama-quantize. `ratio` is our perplexity to theirs: at or below 1.01 is what we hold ourselves to; exits with 1 else.
// Perplexities of a short text are noisy; the mean divergence from the original's predictions, in nats, is less so.
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadModel } from '@marimba/engine';
import { type FileType, parseFileType, quantizeModel } from '@marimba/engine/node';

const text = join(import.meta.dirname, '../fixtures/text/moby-dick.jsonl');
const TYPES =
  'q8_0,q6_K,q5_K,q5_K_S,q5_1,q5_0,q4_K,q4_K_S,iq4_xs,iq4_nl,q4_1,q4_0,q3_K_L,q3_K,q3_K_S,q2_K,bf16,f16';
/** llama-quantize's names, where they are not ours in capitals. */
const THEIRS: Partial<Record<FileType, string>> = {
  q3_K: 'Q3_K_M',
  q4_K: 'Q4_K_M',
  q5_K: 'Q5_K_M',
  mxfp4: 'MXFP4_MOE',
};
const LIMIT = 1.01;
const CHUNK = 64;

async function readTokens(path: string): Promise<string> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter(Boolean);
  if (!path.endsWith('.jsonl')) return lines.join('\n');
  return lines.map((line) => (JSON.parse(line) as { text: string }).text).join('\n');
}

/** Logarithms of probabilities after each of the first tokens of the text, and the perplexity of what follows. */
interface Reading {
  readonly rows: readonly Float32Array[];
  readonly perplexity: number;
}

async function read(path: string, words: string, limit: number): Promise<Reading> {
  await using model = await loadModel(path, {
    activations: 'f32',
    cacheType: 'f32',
    batchTokens: CHUNK,
    prefixCacheBytes: 0,
    contextLength: limit,
  });
  const tokens = model.encode(words.slice(0, limit * 12)).slice(0, limit);
  const size = model.vocabularySize;
  const session = model.createSession();
  const rows: Float32Array[] = [];
  for (let from = 0; from < tokens.length; from += CHUNK) {
    const chunk = tokens.slice(from, from + CHUNK);
    const [result] = await model.step([{ session, tokens: chunk, logits: 'all' }]);
    for (const [i] of chunk.entries())
      rows.push(logProbabilities(result!.logits!.subarray(i * size, (i + 1) * size)));
  }
  const losses = rows.slice(0, -1).map((row, i) => -row[tokens[i + 1]!]!);
  return { rows, perplexity: Math.exp(losses.reduce((a, b) => a + b) / losses.length) };
}

function logProbabilities(logits: Float32Array): Float32Array {
  let greatest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > greatest) greatest = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - greatest);
  const log = greatest + Math.log(sum);
  return logits.map((logit) => logit - log);
}

/** Mean divergence of the original's predictions from another's, in nats (Kullback and Leibler 1951). */
function divergence(original: Reading, other: Reading): number {
  let sum = 0;
  original.rows.forEach((row, i) => {
    const found = other.rows[i]!;
    for (let token = 0; token < row.length; token++)
      sum += Math.exp(row[token]!) * (row[token]! - found[token]!);
  });
  return sum / original.rows.length;
}

interface Row {
  readonly bytes: number;
  readonly perplexity: number;
  readonly kl: number;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      llama: { type: 'string' },
      types: { type: 'string', default: TYPES },
      text: { type: 'string', default: text },
      tokens: { type: 'string', default: '256' },
    },
  });
  const [model] = positionals;
  if (!model || !values.llama)
    throw new Error('expected MODEL.gguf and --llama FOLDER, as in the header of this file');
  const quantizer = join(values.llama, 'llama-quantize');
  const words = await readTokens(values.text);
  const limit = Number(values.tokens);
  const folder = await mkdtemp(join(tmpdir(), 'marimba-damage-'));
  try {
    const source = join(folder, 'source.gguf');
    await quantizeModel(model, source, { type: 'f16', compare: false });
    const original = await read(source, words, limit);
    const measure = async (path: string): Promise<Row> => {
      const found = await read(path, words, limit);
      const { size } = await stat(path);
      await rm(path);
      return { bytes: size, perplexity: found.perplexity, kl: divergence(original, found) };
    };
    process.stdout.write(
      `${model}, ${limit} tokens: perplexity ${original.perplexity.toFixed(4)} in F16\n\n`,
    );
    process.stdout.write(
      '| type | MB | llama.cpp | perplexity | llama.cpp | ratio | divergence | llama.cpp |\n|---|---|---|---|---|---|---|---|\n',
    );
    for (const name of values.types.split(',')) {
      const type = parseFileType(name, '--types');
      const path = join(folder, `${type}.gguf`);
      await quantizeModel(source, path, { type, compare: false });
      const ours = await measure(path);
      execFileSync(quantizer, [source, path, THEIRS[type] ?? type.toUpperCase()], { stdio: 'ignore' });
      const theirs = await measure(path);
      const ratio = ours.perplexity / theirs.perplexity;
      if (ratio > LIMIT) process.exitCode = 1;
      const figures = [ours.bytes / 1e6, theirs.bytes / 1e6].map((mb) => mb.toFixed(1));
      const losses = [ours.perplexity, theirs.perplexity, ratio, ours.kl, theirs.kl].map((x) => x.toFixed(4));
      process.stdout.write(`| ${[type, ...figures, ...losses].join(' | ')} |\n`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await main();
