// Compression: a random sequence must be kept so well that every place of it can be named afterwards. MAD
// decodes from one aggregation token with a separate network; a model that predicts the next token is asked
// for places instead, in random order: [sequence] [end] place answer place answer …
import { defineTask, pick, shuffle, Tokens } from './task.ts';

export const compression = defineTask({
  name: 'compression',
  title: 'Compression',
  source: 'Poli et al. 2024 (MAD), section 3.1 (asked by place instead of decoded from one token)',
  sizes: {
    tiny: { words: 8, length: 6 },
    small: { words: 16, length: 16 },
    medium: { words: 32, length: 64 },
    large: { words: 32, length: 256 },
  },
  build({ words, length }) {
    const tokens = new Tokens();
    const end = tokens.one();
    const places = tokens.range(length);
    const wordTokens = tokens.range(words);
    return {
      vocabularySize: tokens.count,
      maxLength: 3 * length + 1,
      chance: 1 / words,
      generate(random) {
        const sequence = Array.from({ length }, () => pick(random, wordTokens));
        const asked = shuffle(random, [...sequence.keys()]);
        return {
          tokens: [...sequence, end, ...asked.flatMap((i) => [places[i]!, sequence[i]!])],
          answers: asked.map((_, n) => length + 2 + 2 * n),
        };
      },
      solve: (prefix) => prefix[places.indexOf(prefix.at(-1)!)]!,
      guess: (_, random) => pick(random, wordTokens),
    };
  },
});
