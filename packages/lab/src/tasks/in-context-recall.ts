// In-context recall: a dictionary that holds for one sequence only, spoken pair by pair; whenever a key comes
// again, its value is known. With `noise` above 0 it is the noisy variant: tokens that mean nothing stand
// between the pairs.
import { defineTask, type Level, pick, sample, Tokens } from './task.ts';

const SOURCE =
  'Poli et al. 2024, Mechanistic Design and Scaling of Hybrid Architectures (MAD), section 3.1 and appendix B';

interface Size extends Record<string, number> {
  keys: number;
  values: number;
  /** Different keys in one sequence. */
  used: number;
  pairs: number;
  noiseWords: number;
  /** Share of tokens that are noise. */
  noise: number;
}

const size = (keys: number, used: number, pairs: number, noise: number): Size => ({
  keys,
  values: keys,
  used,
  pairs,
  noiseWords: 16,
  noise,
});

const build = ({ keys, values, used, pairs, noiseWords, noise }: Size) => {
  const tokens = new Tokens();
  const keyTokens = tokens.range(keys);
  const valueTokens = tokens.range(values);
  const noiseTokens = tokens.range(noise > 0 ? noiseWords : 0);
  const noiseCount = Math.round((2 * pairs * noise) / (1 - noise));
  return {
    vocabularySize: tokens.count,
    maxLength: 2 * pairs + noiseCount,
    chance: 1 / values,
    generate(random: () => number) {
      const dictionary = new Map(
        sample(random, keyTokens, used).map((key) => [key, pick(random, valueTokens)]),
      );
      const spoken = [...dictionary.keys()];
      const seen = new Set<number>();
      const out: number[] = [];
      const answers: number[] = [];
      let noiseLeft = noiseCount;
      for (let pair = 0; pair < pairs; pair++) {
        // Noise is spread evenly over the gaps that are left.
        while (noiseLeft > 0 && random() < noiseLeft / (noiseLeft + pairs - pair)) {
          out.push(pick(random, noiseTokens));
          noiseLeft--;
        }
        const key = pick(random, spoken);
        if (seen.has(key)) answers.push(out.length + 1);
        seen.add(key);
        out.push(key, dictionary.get(key)!);
      }
      return { tokens: out, answers };
    },
    solve: (prefix: readonly number[]) => prefix[prefix.indexOf(prefix.at(-1)!) + 1]!,
    guess: (_: readonly number[], random: () => number) => pick(random, valueTokens),
  };
};

const sizes = (noise: number): Record<Level, Size> => ({
  tiny: size(8, 4, 12, noise),
  small: size(16, 8, 32, noise),
  medium: size(64, 32, 128, noise),
  large: size(256, 128, 512, noise),
});

export const inContextRecall = defineTask({
  name: 'in-context-recall',
  title: 'In-context recall',
  source: SOURCE,
  sizes: sizes(0),
  build,
});

export const noisyRecall = defineTask({
  name: 'noisy-recall',
  title: 'Noisy recall',
  source: SOURCE,
  sizes: sizes(0.4),
  build,
});
