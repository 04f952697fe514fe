// Induction heads: one special token stands somewhere in random text, followed by some token; when it comes
// again at the end, the same token must follow. The smallest task of copying by content.
import { below, defineTask, pick, Tokens } from './task.ts';

export const induction = defineTask({
  name: 'induction',
  title: 'Induction heads',
  source:
    'Olsson et al. 2022, In-context Learning and Induction Heads; in the form of Gu & Dao 2023, Mamba, section 4.1.2',
  sizes: {
    tiny: { words: 8, length: 16 },
    small: { words: 16, length: 64 },
    medium: { words: 16, length: 256 },
    large: { words: 16, length: 4096 },
  },
  build({ words, length }) {
    const tokens = new Tokens();
    const special = tokens.one();
    const wordTokens = tokens.range(words);
    return {
      vocabularySize: tokens.count,
      maxLength: length,
      chance: 1 / words,
      generate(random) {
        const out = Array.from({ length: length - 2 }, () => pick(random, wordTokens));
        const place = below(random, length - 3);
        out[place] = special;
        return { tokens: [...out, special, out[place + 1]!], answers: [length - 1] };
      },
      solve: (prefix) => prefix[prefix.indexOf(special) + 1]!,
      guess: (_, random) => pick(random, wordTokens),
    };
  },
});
