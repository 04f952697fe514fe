// Selective copying: a few tokens are strewn among blanks; after a separator they must be repeated in
// their order. What lies between has to be skipped, so that a fixed convolution does not do.
import { below, defineTask, PAD, pick, sample, Tokens } from './task.ts';

export const selectiveCopying = defineTask({
  name: 'selective-copying',
  title: 'Selective copying',
  source: 'Gu & Dao 2023, Mamba, section 4.1.1; Poli et al. 2024 (MAD), section 3.1',
  sizes: {
    tiny: { words: 8, copied: 4, field: 16 },
    small: { words: 16, copied: 8, field: 48 },
    medium: { words: 16, copied: 16, field: 256 },
    large: { words: 16, copied: 16, field: 4096 },
  },
  build({ words, copied, field }) {
    const tokens = new Tokens();
    const separator = tokens.one();
    const wordTokens = tokens.range(words);
    return {
      vocabularySize: tokens.count,
      maxLength: field + 1 + copied,
      chance: 1 / words,
      generate(random) {
        const out = new Array<number>(field).fill(PAD);
        const places = sample(random, [...out.keys()], copied).sort((a, b) => a - b);
        for (const place of places) out[place] = pick(random, wordTokens);
        const copy = places.map((place) => out[place]!);
        return { tokens: [...out, separator, ...copy], answers: copy.map((_, i) => field + 1 + i) };
      },
      solve(prefix) {
        const end = prefix.indexOf(separator);
        const said = prefix.length - end - 1;
        return prefix.slice(0, end).filter((t) => t !== PAD)[said]!;
      },
      guess: (_, random) => wordTokens[below(random, words)]!,
    };
  },
});
