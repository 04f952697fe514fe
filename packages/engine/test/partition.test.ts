// The partition test: however a prompt is cut, whatever shares its steps, on however many threads, the logits
// and the state are those of reading it in one piece. Carried state is where hybrid engines break.
import { describe, it } from 'node:test';
import { checkCuts, halved } from './cuts.ts';
import { GOLDEN_MODELS } from './golden.ts';
import { STATE_MODELS } from './state-models.ts';

/** Jamba's models share most of their kernels with the others, which get fewer. */
const cutsOf = (name: string): number => (GOLDEN_MODELS.some((golden) => golden === name) ? 25 : 10);

describe('any cut of a prompt, in any company, gives the same logits and state', () => {
  for (const { name, folder, prompts } of STATE_MODELS) {
    const cuts = cutsOf(name);
    it(`${name}, wasm with 1 thread`, () =>
      checkCuts({ threads: 1, batchTokens: 48 }, folder, prompts, cuts, 1));
    it(`${name}, wasm with 2 threads`, () => checkCuts({ threads: 2 }, folder, prompts, cuts, 1001));
    it(`${name}, baseline wasm with 3 threads`, () =>
      checkCuts({ threads: 3, variant: 'baseline' }, folder, prompts, 4, 2001));
    it(`${name}, reference`, () => checkCuts({ backend: 'reference' }, folder, halved(prompts), 2, 3001));
  }
});
