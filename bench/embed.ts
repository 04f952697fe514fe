// `npm run bench:embed -- FOLDER`: this engine and transformers.js (onnxruntime-node) on the same encoder, in
// turns, each run in a process of its own after a warm-up of every case. FOLDER holds the encoder as
// sentence-transformers publishes it and, for the peer, onnx/model.onnx and onnx/model_quantized.onnx
// (export-onnx.py writes both).
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadModel } from '@marimba/engine';
import { runChild } from './children.ts';
import { describeMachine } from './machine.ts';
import type { EmbedCase, EmbedFigures, EmbedTask } from './measure-embed.ts';
import { installPeers } from './peer-installation.ts';

const SIDES = ['marimba int8', 'marimba f32', 'transformers.js fp32', 'transformers.js q8'] as const;
const LENGTHS = [16, 128, 256];
const CASES: readonly EmbedCase[] = [1, 32].flatMap((batch) => LENGTHS.map((length) => ({ batch, length })));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string', default: '2' },
    repeat: { type: 'string', default: '5' },
    help: { type: 'boolean', short: 'h' },
  },
});
const [model] = positionals;
if (values.help || !model || !existsSync(join(model, 'onnx', 'model.onnx'))) {
  process.stderr.write(
    'Usage: npm run bench:embed -- FOLDER [--threads 2] [--repeat 5]\n' +
      'FOLDER: an encoder with onnx/model.onnx and onnx/model_quantized.onnx (python bench/export-onnx.py FOLDER)\n',
  );
  process.exit(values.help ? 0 : 2);
}
installPeers();
const task = {
  model,
  threads: Number(values.threads),
  cases: CASES,
  texts: await textsOf(model),
  milliseconds: 1000,
};
const runs = new Map<EmbedTask['side'], EmbedFigures[]>(SIDES.map((side) => [side, []]));
for (let i = 0; i < Number(values.repeat); i++)
  for (const side of SIDES) {
    process.stderr.write(`Round ${i + 1} of ${values.repeat}: ${side} …\n`);
    runs
      .get(side)!
      .push(await runChild<EmbedFigures>('measure-embed.ts', { ...task, side } satisfies EmbedTask));
  }
report();

/** Texts of exactly so many tokens with [CLS] and [SEP], of words that are one token each. */
async function textsOf(folder: string): Promise<Record<number, string[]>> {
  await using loaded = await loadModel(folder, { threads: 1 });
  const { tokenizer } = loaded;
  if (!tokenizer) throw new Error(`${folder}: expected a tokenizer, found none`);
  const words = Array.from({ length: tokenizer.vocabularySize }, (_, id) => tokenizer.tokenText(id))
    .filter((text) => /^[a-z]{4,9}$/.test(text) && tokenizer.encode(text, { addBos: false }).length === 1)
    .slice(0, 2000);
  const text = (count: number, seed: number) =>
    Array.from({ length: count }, (_, i) => words[(seed * 7919 + i * 104_729) % words.length]).join(' ');
  return Object.fromEntries(
    LENGTHS.map((length) => [length, Array.from({ length: 32 }, (_, i) => text(length - 2, i))]),
  );
}

function median(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]!;
}

function report(): void {
  const { processor, features, loadBefore } = describeMachine();
  const threads = `${values.threads} threads`;
  console.log(`${processor} (${features.join(', ')}), ${threads}, load before ${loadBefore.toFixed(1)}`);
  console.log(`Texts per second, and CPU milliseconds per text, medians of ${values.repeat}:\n`);
  console.log(`| batch × tokens | ${SIDES.join(' | ')} | int8 / fp32 | int8 / q8 |`);
  console.log(`|---|${'---:|'.repeat(SIDES.length + 2)}`);
  CASES.forEach(({ batch, length }, c) => {
    const of = (side: EmbedTask['side'], key: 'textsPerSecond' | 'cpuMsPerText') =>
      median(runs.get(side)!.map(({ rows }) => rows[c]![key]));
    const cells = SIDES.map(
      (side) => `${of(side, 'textsPerSecond').toFixed(1)}, ${of(side, 'cpuMsPerText').toFixed(2)} ms`,
    );
    // Within each round: what disturbs one side of it disturbs the other as well.
    const ratio = (peer: EmbedTask['side']) =>
      median(
        runs.get('marimba int8')!.map(({ rows }, i) => {
          const other = runs.get(peer)![i]!.rows[c]!;
          return other.cpuMsPerText / rows[c]!.cpuMsPerText;
        }),
      );
    const ratios = [ratio('transformers.js fp32'), ratio('transformers.js q8')];
    console.log(
      `| ${batch} × ${length} | ${cells.join(' | ')} | ${ratios.map((r) => `${r.toFixed(2)} ×`).join(' | ')} |`,
    );
  });
  console.log('\nRatios are of CPU time per text. Least cosine with transformers.js fp32, of four texts:');
  const exact = runs.get('transformers.js fp32')![0]!.vectors;
  for (const side of SIDES) {
    const { vectors } = runs.get(side)![0]!;
    const cosines = vectors.map((vector, i) => vector.reduce((sum, x, j) => sum + x * exact[i]![j]!, 0));
    console.log(`  ${side}: ${Math.min(...cosines).toFixed(6)}`);
  }
}
