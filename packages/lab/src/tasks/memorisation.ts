// Memorisation: a dictionary that is the same in every sequence and never explained in one. Only weights can
// hold it, so it measures knowledge, not recall. A key comes at most once in a sequence.
import { createRandom } from '@marimba/engine/measure';
import { defineTask, pick, sample, Tokens } from './task.ts';

/** Fixed, so that training and testing, and all seeds of a study, learn the same facts. */
const DICTIONARY_SEED = 20_240_326;

export const memorisation = defineTask({
  name: 'memorisation',
  title: 'Memorisation',
  source: 'Poli et al. 2024 (MAD), section 3.1',
  sizes: {
    tiny: { facts: 32, values: 16, asked: 8 },
    small: { facts: 256, values: 32, asked: 16 },
    medium: { facts: 2048, values: 64, asked: 32 },
    large: { facts: 16_384, values: 128, asked: 64 },
  },
  build({ facts, values, asked }) {
    const tokens = new Tokens();
    const keyTokens = tokens.range(facts);
    const valueTokens = tokens.range(values);
    const random = createRandom(DICTIONARY_SEED);
    const dictionary = new Map(keyTokens.map((key) => [key, pick(random, valueTokens)]));
    return {
      vocabularySize: tokens.count,
      maxLength: 2 * asked,
      chance: 1 / values,
      generate(random) {
        const keys = sample(random, keyTokens, asked);
        return {
          tokens: keys.flatMap((key) => [key, dictionary.get(key)!]),
          answers: keys.map((_, i) => 2 * i + 1),
        };
      },
      solve: (prefix) => dictionary.get(prefix.at(-1)!)!,
      guess: (_, random) => pick(random, valueTokens),
    };
  },
});
