// Few-shot labelling where the format must be followed. Short reviews are judged; in each episode two label
// words, other ones every time, stand for the two sides, and the examples in the context show which. In
// training half of the episodes are plain text instead, in which a review is followed by the habitual comment
// ("very good" or "very bad"). The Jamba paper saw pure Mamba fall back on such habits: it understood the
// review and answered outside the label set.
import { below, defineTask, type Example, PAD, pick, sample, shuffle, Tokens } from './task.ts';

const REVIEW_WORDS = 4;

export const fewShotLabels = defineTask({
  name: 'few-shot-labels',
  title: 'Few-shot labels in a given format',
  source: 'Lieber et al. 2024, Jamba, section 6.2 (IMDB, QuAC and NarrativeQA format failures of pure Mamba)',
  sizes: {
    tiny: { labels: 8, words: 8, shots: 4, asked: 2 },
    small: { labels: 16, words: 16, shots: 6, asked: 4 },
    medium: { labels: 64, words: 32, shots: 12, asked: 8 },
    large: { labels: 256, words: 64, shots: 32, asked: 16 },
  },
  build({ labels, words, shots, asked }) {
    const tokens = new Tokens();
    const colon = tokens.one();
    const newline = tokens.one();
    const habits = tokens.range(2);
    const labelTokens = tokens.range(labels);
    const sides = [tokens.range(words), tokens.range(words)] as const;
    const neutral = tokens.range(words);

    const episode = (random: () => number, names: readonly number[], from: number): Example => {
      const judged = [
        ...shuffle(
          random,
          Array.from({ length: shots }, (_, i) => i % 2),
        ),
        ...Array.from({ length: asked }, () => below(random, 2)),
      ];
      const out: number[] = [];
      const answers: number[] = [];
      judged.forEach((side, i) => {
        const review = [
          pick(random, sides[side]!),
          ...Array.from({ length: REVIEW_WORDS - 1 }, () =>
            pick(random, random() < 0.5 ? sides[side]! : neutral),
          ),
        ];
        out.push(...shuffle(random, review), colon, names[side]!, newline);
        if (i >= from) answers.push(out.length - 2);
      });
      return { tokens: out, answers };
    };
    const sideOf = (review: readonly number[]) => (review.some((word) => sides[1].includes(word)) ? 1 : 0);
    /** The labels that the examples have shown, by side. */
    const shown = (prefix: readonly number[]): (number | undefined)[] => {
      const names: (number | undefined)[] = [undefined, undefined];
      for (let i = prefix.indexOf(colon); i >= 0 && i + 1 < prefix.length; i = prefix.indexOf(colon, i + 1))
        names[sideOf(prefix.slice(i - REVIEW_WORDS, i))] ??= prefix[i + 1]!;
      return names;
    };
    return {
      vocabularySize: tokens.count,
      maxLength: (shots + asked) * (REVIEW_WORDS + 3),
      chance: 1 / 2,
      generate: (random) => episode(random, sample(random, labelTokens, 2), shots),
      generateTraining: (random) =>
        random() < 0.5 ? episode(random, habits, 0) : episode(random, sample(random, labelTokens, 2), shots),
      solve: (prefix) => shown(prefix)[sideOf(prefix.slice(-1 - REVIEW_WORDS, -1))] ?? PAD,
      guess: (prefix, random) => pick(random, shown(prefix)) ?? PAD,
      wellFormed: (prefix, answer) => shown(prefix).includes(answer),
    };
  },
});
