// Does llama.cpp load what `marimba quantize` writes, and predict the same? Writes the golden models and, with --model,
// any other as GGUF, and compares next-token probabilities with node-llama-cpp's on the same file.
//   npm ci --prefix bench && node bench/quantize-parity.ts [--model FOLDER] [--type q4_K]
// Exit code 1 when a file does not load, or probabilities differ by more than the rounding of activations explains.
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { loadModel } from '../packages/engine/src/index.ts';
import { seededTokens } from '../packages/engine/src/quantize/damage.ts';
import { parseFileType } from '../packages/engine/src/quantize/keep.ts';
import { quantizeModel } from '../packages/engine/src/quantize/quantize-model.node.ts';
import type { FileType } from '../packages/engine/src/quantize/recipe.ts';

/** What this script uses of node-llama-cpp, which is installed for bench/ alone. */
interface Peer {
  loadModel(options: object): Promise<PeerModel>;
}
interface PeerModel {
  createContext(options: object): Promise<{ getSequence(): PeerSequence; dispose(): Promise<void> }>;
  dispose(): Promise<void>;
}
interface PeerSequence {
  controlledEvaluate(
    input: readonly (number | [number, object])[],
  ): Promise<({ next: { probabilities?: Map<number, number> } } | undefined)[]>;
}

/** llama.cpp loads Jamba only with inner = 2 × hidden, a conv bias and no projection biases. */
const GOLDEN = ['jamba-dense-mqa', 'jamba-moe', 'mamba-tiny', 'llama-tiny'];
const TYPES: readonly FileType[] = ['f32', 'f16', 'q8_0', 'q4_0', 'q4_K'];
/** llama.cpp rounds activations to 8 bits where weights are quantised; 16-bit weights meet 16-bit activations. */
const TOLERANCE: Partial<Record<FileType, number>> = { f32: 1e-4, f16: 2e-3 };
const QUANTISED_TOLERANCE = 0.03;
const PROMPT = 24;

async function peer(): Promise<Peer> {
  const path = createRequire(import.meta.url).resolve('node-llama-cpp');
  const { getLlama, LlamaLogLevel } = (await import(pathToFileURL(path).href)) as {
    getLlama(options: object): Promise<Peer>;
    LlamaLogLevel: { error: string };
  };
  return getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: 2 });
}

async function peerProbabilities(
  llama: Peer,
  path: string,
  tokens: readonly number[],
): Promise<Map<number, number>> {
  const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
  try {
    const context = await model.createContext({ contextSize: 256, sequences: 1 });
    const wanted = { generateNext: { probabilities: true, options: { temperature: 1 } } };
    const input = tokens.map((token, i): number | [number, object] =>
      i === tokens.length - 1 ? [token, wanted] : token,
    );
    const results = await context.getSequence().controlledEvaluate(input);
    const probabilities = results.at(-1)?.next.probabilities;
    if (!probabilities)
      throw new Error('node-llama-cpp: expected probabilities of the next token, found none');
    return probabilities;
  } finally {
    await model.dispose();
  }
}

async function ownProbabilities(path: string, tokens: readonly number[]): Promise<number[]> {
  const model = await loadModel(path, { activations: 'f32', cacheType: 'f32', threads: 2 });
  const logits = await model.createSession().prefill(tokens);
  await model.close();
  const top = logits.reduce((a, b) => Math.max(a, b));
  const weights = Array.from(logits, (logit) => Math.exp(logit - top));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

const { values: flags } = parseArgs({ options: { model: { type: 'string' }, type: { type: 'string' } } });
const types = flags.type === undefined ? TYPES : [parseFileType(flags.type, '--type')];
const golden = (name: string) => fileURLToPath(new URL(`../fixtures/golden/${name}`, import.meta.url));
const models = flags.model === undefined ? GOLDEN.map(golden) : [flags.model];
const folder = await mkdtemp(join(tmpdir(), 'marimba-parity-'));
try {
  const llama = await peer();
  for (const source of models) {
    for (const type of types) {
      const path = join(folder, 'model.gguf');
      await quantizeModel(source, path, { type, compare: false, overwrite: true });
      // Small numbers, which every vocabulary has.
      const tokens = seededTokens(PROMPT, 192);
      const own = await ownProbabilities(path, tokens);
      const theirs = await peerProbabilities(llama, path, tokens);
      let largest = 0;
      for (const [token, probability] of theirs)
        largest = Math.max(largest, Math.abs(probability - own[token]!));
      const ok = theirs.size > 0 && largest <= (TOLERANCE[type] ?? QUANTISED_TOLERANCE);
      if (!ok) process.exitCode = 1;
      const subject = `${source.split('/').at(-1)} ${type}`.padEnd(28);
      console.log(
        `${ok ? 'ok  ' : 'FAIL'} ${subject} ${theirs.size} probabilities, largest difference ${largest.toExponential(1)}`,
      );
    }
  }
} finally {
  await rm(folder, { recursive: true });
}
