// "Reading 1,024 of 2,000 tokens …" on a terminal, until the first token of an answer.
import type { Generation } from '@marimba/engine';
import { liveLine } from './live-line.ts';
import { plural } from './terminal.ts';

/** A shorter wait needs no words. */
const FIRST_MS = 300;
const EVERY_MS = 200;

/**
 * Shows how far a prompt is read. Call what it returns when the first token has come, and when none comes.
 */
export function showReading(generation: Pick<Generation, 'usage' | 'promptTokensRead'>): () => void {
  if (!process.stderr.isTTY) return () => {};
  const began = performance.now();
  const timer = setInterval(() => {
    const { promptTokens } = generation.usage;
    if (!promptTokens || performance.now() - began < FIRST_MS) return;
    const read = generation.promptTokensRead.toLocaleString('en');
    liveLine.show(`Reading ${read} of ${plural(promptTokens, 'token')} …`);
  }, EVERY_MS);
  let ended = false;
  return () => {
    if (ended) return;
    ended = true;
    clearInterval(timer);
    liveLine.clear();
  };
}
