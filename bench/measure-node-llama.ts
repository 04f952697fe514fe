// One task, run by node-llama-cpp: its prebuilt llama.cpp for this processor, no GPU, its defaults otherwise.
import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  getLlama,
  type LlamaContext,
  type LlamaContextSequence,
  LlamaLogLevel,
  type LlamaModel,
  type Token,
} from 'node-llama-cpp';
import { answer, readTask } from './children.ts';
import { fillSequence } from './peer-depth.ts';
import { type Figures, type Task, type TaskOf, testTokens } from './tasks.ts';
import { elapsed, peakBytes, residentBytes, settle, watchOthers } from './timing.ts';

const task = readTask<Task>();
const llama = await getLlama({
  gpu: false,
  build: 'never',
  logLevel: LlamaLogLevel.error,
  maxThreads: task.threads,
});
const busyElsewhere = watchOthers();
const began = performance.now();
const model = await llama.loadModel({ modelPath: task.model });
let context = await createContext(firstContextSize(task));
const sequence = context.getSequence();
await firstTokens(sequence, testTokens(8), 1);
const loadToFirstToken = performance.now() - began;
await sequence.clearHistory();
await firstTokens(sequence, testTokens(64), 4);
await sequence.clearHistory();
answer({ ...(await measure(task)), busyElsewhere: busyElsewhere() });

/** Room for what is measured, and no more: a context allocates its caches at once. */
function createContext(contextSize: number, sequences = 1): Promise<LlamaContext> {
  // llama.cpp keeps values in 8 bits only where attention is its "flash" one.
  const eightBits = {
    flashAttention: true,
    experimentalKvCacheKeyType: 'Q8_0',
    experimentalKvCacheValueType: 'Q8_0',
  } as const;
  const cache = task.kind === 'depth' && task.cache === 'q8' ? eightBits : {};
  return model.createContext({ contextSize, sequences, batchSize: 512, threads: task.threads, ...cache });
}

/** For each number of sessions and each depth a new context is made. */
function firstContextSize(work: Task): number {
  switch (work.kind) {
    case 'base':
      return work.prompt + work.decode + 64;
    case 'conversation':
      return work.prompt + 2 * work.answer + 64;
    case 'sessions':
    case 'depth':
      return 256;
    case 'state':
      return work.position + 64;
    default:
      return work satisfies never;
  }
}

/** Reads `tokens` and generates `count` more, the most likely ones. */
async function firstTokens(of: LlamaContextSequence, tokens: number[], count: number): Promise<Token> {
  let last = tokens.at(-1) as Token;
  let made = 0;
  for await (const token of of.evaluate(tokens as Token[], { temperature: 0, yieldEogToken: true })) {
    last = token;
    if (++made === count) break;
  }
  return last;
}

/** Milliseconds for `steps` tokens after the first, which pays for reading `token`. */
async function decodeTime(of: LlamaContextSequence, token: Token, steps: number): Promise<number> {
  let since = 0;
  let made = -1;
  for await (const _ of of.evaluate([token], { temperature: 0, yieldEogToken: true })) {
    if (++made === 0) since = performance.now();
    if (made === steps) break;
  }
  return performance.now() - since;
}

async function measure(work: Task): Promise<Figures> {
  switch (work.kind) {
    case 'base':
      return baseFigures(work);
    case 'conversation':
      return conversationFigures(work);
    case 'sessions':
      return sessionsFigures(work);
    case 'depth':
      return depthFigures(work);
    case 'state':
      await fillSequence(sequence, work.position, windowOf(model));
      return stateFigures();
    default:
      return work satisfies never;
  }
}

async function baseFigures(work: TaskOf<'base'>): Promise<Figures> {
  const promptMs = await elapsed(() =>
    sequence.evaluateWithoutGeneratingNewTokens(testTokens(work.prompt) as Token[]),
  );
  const decodeMs = await decodeTime(sequence, 300 as Token, work.decode);
  await settle();
  return {
    loadToFirstToken,
    prompt: (work.prompt * 1000) / promptMs,
    decode: (work.decode * 1000) / decodeMs,
    settledBytes: residentBytes(),
    peakBytes: peakBytes(),
    fileBytes: statSync(work.model).size,
  };
}

async function sessionsFigures(work: TaskOf<'sessions'>): Promise<Figures> {
  const figures: Record<string, number> = {};
  for (const count of work.counts) {
    const sequences = await renewContext(256, count);
    for (const [i, one] of sequences.entries())
      await one.evaluateWithoutGeneratingNewTokens(testTokens(32, i * 100) as Token[]);
    const ms = await elapsed(() => Promise.all(sequences.map((one) => firstTokens(one, [300], work.steps))));
    figures[`decode${count}`] = (count * work.steps * 1000) / ms;
  }
  return figures;
}

/** Positions that layers with a window see; where there are none, any number. */
function windowOf({ fileInfo: { metadata } }: LlamaModel): number {
  const keys = metadata as unknown as Record<string, { attention?: { sliding_window?: number } } | undefined>;
  return keys[metadata.general.architecture]?.attention?.sliding_window ?? Number.MAX_SAFE_INTEGER;
}

async function depthFigures(work: TaskOf<'depth'>): Promise<Figures> {
  const figures: Record<string, number> = {};
  const at = async (position: number, tokens: number): Promise<LlamaContextSequence> => {
    const [fresh] = await renewContext(position + tokens + 64, 1);
    if (position > 0) await fillSequence(fresh!, position, windowOf(model));
    return fresh!;
  };
  for (const position of work.positions) {
    const ms = await decodeTime(await at(position, work.steps), 300 as Token, work.steps);
    figures[`decodeAt${position}`] = (work.steps * 1000) / ms;
    figures.residentAtDepth = residentBytes();
  }
  for (const position of work.chunkAt.toReversed()) {
    const filled = await at(position, work.chunk);
    figures[`chunkAt${position}`] = await elapsed(() => firstTokens(filled, testTokens(work.chunk), 1));
  }
  return figures;
}

async function renewContext(contextSize: number, sequences: number): Promise<LlamaContextSequence[]> {
  await context.dispose();
  context = await createContext(contextSize, sequences);
  return Array.from({ length: sequences }, () => context.getSequence());
}

async function stateFigures(): Promise<Figures> {
  const folder = await mkdtemp(join(tmpdir(), 'marimba-bench-'));
  try {
    const path = join(folder, 'state');
    const save = await elapsed(() => sequence.saveStateToFile(path));
    // What it has for going back is a checkpoint; there is no fork.
    const snapshot = await elapsed(() => sequence.takeCheckpoint());
    await sequence.clearHistory();
    const restore = await elapsed(() => sequence.loadStateFromFile(path, { acceptRisk: true }));
    return { save, restore, snapshot };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** As its own chat session does: a checkpoint where the answer begins, if the model needs any. */
async function conversationFigures(work: TaskOf<'conversation'>): Promise<Figures> {
  const prompt = testTokens(work.prompt);
  const most = prompt.slice(0, -1) as Token[];
  const readMs = await elapsed(() => sequence.evaluateWithoutGeneratingNewTokens(most));
  if (sequence.needsCheckpoints) await sequence.takeCheckpoint();
  const began = performance.now();
  let [made, firstMs] = [0, 0];
  for await (const _ of sequence.evaluate(prompt.slice(-1) as Token[], {
    temperature: 0,
    yieldEogToken: true,
  })) {
    if (made++ === 0) firstMs = performance.now() - began;
    if (made === work.answer) break;
  }
  const regenerate = await elapsed(async () => {
    await sequence.adaptStateToTokens(most, false);
    await firstTokens(sequence, prompt.slice(sequence.nextTokenIndex), 1);
  });
  return { prompt: (most.length * 1000) / readMs, regenerate, reread: readMs + firstMs };
}
