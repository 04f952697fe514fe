// `npm run bench:parity`: an independent implementation as a witness. node-llama-cpp and this engine run the
// same GGUF files on the same tokens; the probabilities of all next tokens, at every position, must agree.
//
// Tolerances are by the type of the weights, because llama.cpp also rounds activations: to 16 bits against
// F16 weights, to 8 bits with a scale for every 32 against Q8_0. This engine is told not to (`activations:
// 'f32'`), so these two measure the peer's rounding on models that magnify it (random weights, tens of
// columns). F32 differs by the order of additions only, and is the proof. `largest` bounds every single
// probability, `mean` the average total variation distance.

import { globSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { loadModel } from '@marimba/engine';
import { openSource } from '@marimba/engine/node';
import { runChild } from './children.ts';
import type { ParityAnswer, ParityTask } from './parity-child.ts';
import { installPeers, isPeerInstalled } from './peer-installation.ts';
import { copyWithVocabulary } from './with-vocabulary.ts';

const TOLERANCES: Readonly<Record<string, { largest: number; mean: number }>> = {
  f32: { largest: 5e-5, mean: 2e-5 },
  f16: { largest: 2e-2, mean: 5e-3 },
  q8_0: { largest: 0.25, mean: 0.1 },
};
/** What the peer says itself when it gives up on a file, and what that means. */
const KNOWN_REFUSALS: readonly (readonly [pattern: RegExp, meaning: string])[] = [
  [/wrong number of tensors/, 'it has no projection biases'],
  [/2 \* n_embd == d_inner/, 'it runs Jamba only with an inner size of twice the hidden size'],
];
const golden = join(import.meta.dirname, '../fixtures/golden');

type Outcome = { readonly kind: 'agrees' | 'differs' | 'skipped'; readonly text: string };

async function compare(path: string, folder: string): Promise<Outcome> {
  const [name = '', type = ''] = basename(path).split('.');
  const prompts = await goldenPrompts(name);
  await using model = await loadModel(path, { threads: 2, activations: 'f32', cacheType: 'f32' });
  const copy = join(folder, basename(path));
  const checkpoint = await openSource(path, {});
  if (checkpoint.kind !== 'gguf') throw new Error(`${path}: expected a GGUF file`);
  await copyWithVocabulary(checkpoint, model.vocabularySize, copy);
  await checkpoint.close();
  let theirs: ParityAnswer;
  try {
    const task: ParityTask = { path: copy, prompts, vocabularySize: model.vocabularySize };
    theirs = await runChild<ParityAnswer>('parity-child.ts', task);
  } catch (error) {
    const refusal = KNOWN_REFUSALS.find(([pattern]) => pattern.test(String(error)));
    if (!refusal) throw error;
    return { kind: 'skipped', text: `the peer cannot load it: ${refusal[1]}` };
  }
  let largest = 0;
  let distances = 0;
  let sameChoice = 0;
  let positions = 0;
  for (const [p, prompt] of prompts.entries()) {
    const [step] = await model.step([{ session: model.createSession(), tokens: prompt, logits: 'all' }]);
    for (let row = 0; row < prompt.length; row++) {
      const ours = softmax(
        step!.logits!.subarray(row * model.vocabularySize, (row + 1) * model.vocabularySize),
      );
      const peer = theirs[p]![row]!;
      const differences = ours.map((x, i) => Math.abs(x - peer[i]!));
      largest = Math.max(largest, ...differences);
      distances += differences.reduce((x, y) => x + y) / 2;
      if (indexOfLargest(ours) === indexOfLargest(peer)) sameChoice++;
      positions++;
    }
  }
  const limit = TOLERANCES[type]!;
  const mean = distances / positions;
  const text =
    `largest difference ${largest.toExponential(1)} (limit ${limit.largest}), mean distance ${mean.toExponential(1)} ` +
    `(limit ${limit.mean}), same first choice at ${sameChoice} of ${positions} positions`;
  return { kind: largest <= limit.largest && mean <= limit.mean ? 'agrees' : 'differs', text };
}

async function goldenPrompts(name: string): Promise<number[][]> {
  const text = await readFile(join(golden, name, 'golden.json'), 'utf8');
  const { prompts } = JSON.parse(text) as { prompts: Record<string, number[]> };
  return Object.values(prompts);
}

function softmax(logits: Float32Array): number[] {
  const max = logits.reduce((x, y) => Math.max(x, y));
  const exponentials = Array.from(logits, (x) => Math.exp(x - max));
  const sum = exponentials.reduce((x, y) => x + y);
  return exponentials.map((x) => x / sum);
}

const indexOfLargest = (values: readonly number[]): number => values.indexOf(Math.max(...values));

async function main(): Promise<void> {
  if (process.argv.includes('--install')) installPeers();
  if (!isPeerInstalled('node-llama-cpp')) {
    process.stdout.write(
      'SKIPPED: the peer, node-llama-cpp, is not installed. `npm run bench:parity -- --install` fetches it.\n',
    );
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'marimba-parity-'));
  try {
    const counts = { agrees: 0, differs: 0, skipped: 0 };
    for (const path of globSync(join(golden, 'gguf/*.gguf')).sort()) {
      const { kind, text } = await compare(path, folder);
      counts[kind]++;
      process.stdout.write(`${kind.padEnd(8)} ${basename(path).padEnd(28)} ${text}\n`);
    }
    process.stdout.write(
      `${counts.agrees} files agree, ${counts.differs} differ, ${counts.skipped} cannot be loaded by the peer\n`,
    );
    if (counts.differs > 0 || counts.agrees === 0) process.exitCode = 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await main();
