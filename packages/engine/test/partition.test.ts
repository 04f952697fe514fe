// The partition test: however a prompt is cut, whatever shares its steps, on however many threads, the logits
// and the state are those of reading it in one piece. Carried state is where hybrid engines break.
import { describe, it } from 'node:test';
import { checkCuts, halved } from './cuts.ts';
import { GOLDEN_MODELS, modelFolder, readGolden } from './golden.ts';

const CUTS = 50;

describe('any cut of a prompt, in any company, gives the same logits and state', () => {
  for (const name of GOLDEN_MODELS) {
    const folder = modelFolder(name);
    const { prompts } = readGolden(name);
    it(`${name}, wasm with 1 thread`, () =>
      checkCuts({ threads: 1, batchTokens: 48 }, folder, prompts, CUTS / 2, 1));
    it(`${name}, wasm with 2 threads`, () => checkCuts({ threads: 2 }, folder, prompts, CUTS / 2, 1001));
    it(`${name}, baseline wasm with 3 threads`, () =>
      checkCuts({ threads: 3, variant: 'baseline' }, folder, prompts, 4, 2001));
    it(`${name}, reference`, () => checkCuts({ backend: 'reference' }, folder, halved(prompts), 2, 3001));
  }
});
