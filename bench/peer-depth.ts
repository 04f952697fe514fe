import type { LlamaContextSequence, LlamaModel, Token } from 'node-llama-cpp';
import { testTokens } from './tasks.ts';
export async function fillSequence(
  sequence: LlamaContextSequence,
  _model: LlamaModel,
  position: number,
): Promise<void> {
  await sequence.evaluateWithoutGeneratingNewTokens(testTokens(position) as Token[]);
}
