// One task, run by node-llama-cpp: its prebuilt llama.cpp for this processor, no GPU, its defaults otherwise.
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
import { type Figures, type Task, testTokens } from './tasks.ts';
import { elapsed, peakBytes, residentBytes, settle } from './timing.ts';

const task = readTask<Task>();
const llama = await getLlama({
  gpu: false,
  build: 'never',
  logLevel: LlamaLogLevel.error,
  maxThreads: task.threads,
});
const began = performance.now();
const model = await llama.loadModel({ modelPath: task.model });
const context = await createContext(model, task);
const sequence = context.getSequence();
await firstTokens(sequence, testTokens(8), 1);
const loadToFirstToken = performance.now() - began;
await sequence.clearHistory();
await firstTokens(sequence, testTokens(64), 4);
await sequence.clearHistory();
answer(await measure(task));

/** Room for the task, and no more: its caches are allocated at once. */
function createContext(loaded: LlamaModel, work: Task): Promise<LlamaContext> {
  const sequences = work.kind === 'sessions' ? work.count : 1;
  return loaded.createContext({
    contextSize: contextSizeOf(work),
    sequences,
    batchSize: 512,
    threads: work.threads,
  });
}

function contextSizeOf(work: Task): number {
  switch (work.kind) {
    case 'base':
      return work.prompt + work.decode + 64;
    case 'prompt':
      return work.tokens + 64;
    case 'sessions':
      return 256;
    case 'depth':
      return work.position + work.steps + 64;
    case 'chunk':
      return work.position + work.tokens + 64;
    case 'state':
      return work.position + 64;
    case 'regenerate':
      return work.prompt + 2 * work.answer + 64;
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
    case 'base': {
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
      };
    }
    case 'prompt': {
      const ms = await elapsed(() =>
        sequence.evaluateWithoutGeneratingNewTokens(testTokens(work.tokens) as Token[]),
      );
      return { prompt: (work.tokens * 1000) / ms };
    }
    case 'sessions': {
      const sequences = [sequence, ...Array.from({ length: work.count - 1 }, () => context.getSequence())];
      for (const [i, one] of sequences.entries())
        await one.evaluateWithoutGeneratingNewTokens(testTokens(32, i * 100) as Token[]);
      const ms = await elapsed(() =>
        Promise.all(sequences.map((one) => firstTokens(one, [300], work.steps))),
      );
      return { decode: (work.count * work.steps * 1000) / ms };
    }
    case 'depth':
      await fillSequence(sequence, work.position);
      return { decode: (work.steps * 1000) / (await decodeTime(sequence, 300 as Token, work.steps)) };
    case 'chunk': {
      if (work.position > 0) await fillSequence(sequence, work.position);
      return { chunk: await elapsed(() => firstTokens(sequence, testTokens(work.tokens), 1)) };
    }
    case 'state':
      await fillSequence(sequence, work.position);
      return stateFigures();
    case 'regenerate':
      return regenerateFigures(work.prompt, work.answer);
    default:
      return work satisfies never;
  }
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
async function regenerateFigures(promptLength: number, answerLength: number): Promise<Figures> {
  const prompt = testTokens(promptLength);
  await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(0, -1) as Token[]);
  if (sequence.needsCheckpoints) await sequence.takeCheckpoint();
  await firstTokens(sequence, prompt.slice(-1), answerLength);
  const regenerate = await elapsed(async () => {
    await sequence.adaptStateToTokens(prompt.slice(0, -1) as Token[], false);
    await firstTokens(sequence, prompt.slice(sequence.nextTokenIndex), 1);
  });
  await sequence.clearHistory();
  const reread = await elapsed(() => firstTokens(sequence, prompt, 1));
  return { regenerate, reread };
}
