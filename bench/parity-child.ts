// Next-token probabilities of node-llama-cpp for given token ids.
import { getLlama, LlamaLogLevel, type Token } from 'node-llama-cpp';
import { answer, readTask } from './children.ts';

export interface ParityTask {
  readonly path: string;
  readonly prompts: readonly (readonly number[])[];
  readonly vocabularySize: number;
}

/** For each prompt and each of its positions, the probability of every token. */
export type ParityAnswer = number[][][];

const { path, prompts, vocabularySize } = readTask<ParityTask>();
const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: 2 });
const model = await llama.loadModel({ modelPath: path });
const result: ParityAnswer = [];
for (const prompt of prompts) {
  // The most exact that it can do: no 16-bit cache, no online softmax.
  const context = await model.createContext({
    contextSize: 256,
    batchSize: 256,
    threads: 2,
    flashAttention: false,
    experimentalKvCacheKeyType: 'F32',
    experimentalKvCacheValueType: 'F32',
  });
  const outputs = await context
    .getSequence()
    .controlledEvaluate(prompt.map((token) => [token as Token, { generateNext: { probabilities: true } }]));
  result.push(
    outputs.map((output) => {
      const list = new Array<number>(vocabularySize).fill(0);
      for (const [token, probability] of output?.next.probabilities ?? []) list[token] = probability;
      return list;
    }),
  );
  await context.dispose();
}
answer(result);
