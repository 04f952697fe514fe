// Needle in a haystack: in a long text of a simple made-up language (each word has a few possible successors)
// a fact is stated once, "mark key value value"; at the end its key is asked. More than one needle makes the
// others distractors.
import { createRandom } from '@marimba/engine/measure';
import { below, defineTask, pick, sample, Tokens } from './task.ts';

const LANGUAGE_SEED = 20_231_107;
const SUCCESSORS = 4;
const VALUE_TOKENS = 2;

export const needle = defineTask({
  name: 'needle',
  title: 'Needle in a haystack',
  source:
    'Kamradt 2023, LLMTest_NeedleInAHaystack; with several needles as in Hsieh et al. 2024, RULER, section 3.1',
  sizes: {
    tiny: { words: 16, keys: 8, values: 16, needles: 1, length: 48 },
    small: { words: 32, keys: 16, values: 16, needles: 2, length: 128 },
    medium: { words: 64, keys: 32, values: 32, needles: 4, length: 512 },
    large: { words: 128, keys: 64, values: 64, needles: 4, length: 4096 },
  },
  build({ words, keys, values, needles, length }) {
    const tokens = new Tokens();
    const mark = tokens.one();
    const ask = tokens.one();
    const wordTokens = tokens.range(words);
    const keyTokens = tokens.range(keys);
    const valueTokens = tokens.range(values);
    const language = createRandom(LANGUAGE_SEED);
    const successors = new Map(
      wordTokens.map((word) => [word, sample(language, wordTokens, Math.min(SUCCESSORS, words))]),
    );
    const needleLength = 2 + VALUE_TOKENS;
    const hay = length - needles * needleLength - needleLength;
    return {
      vocabularySize: tokens.count,
      maxLength: length,
      chance: 1 / values,
      generate(random) {
        const facts = sample(random, keyTokens, needles).map((key) => [
          mark,
          key,
          ...Array.from({ length: VALUE_TOKENS }, () => pick(random, valueTokens)),
        ]);
        const places = Array.from({ length: needles }, () => below(random, hay + 1)).sort((a, b) => a - b);
        const out: number[] = [];
        let word = pick(random, wordTokens);
        for (let i = 0, next = 0; i <= hay; i++) {
          while (places[next] === i) out.push(...facts[next++]!);
          if (i < hay) out.push((word = pick(random, successors.get(word)!)));
        }
        const [, ...fact] = pick(random, facts);
        out.push(ask, ...fact);
        return {
          tokens: out,
          answers: Array.from({ length: VALUE_TOKENS }, (_, v) => out.length - VALUE_TOKENS + v),
        };
      },
      solve(prefix) {
        const asked = prefix.lastIndexOf(ask);
        const said = prefix.length - asked - 2;
        const stated = prefix.findIndex((token, i) => token === mark && prefix[i + 1] === prefix[asked + 1]);
        return prefix[stated + 2 + said]!;
      },
      guess: (_, random) => pick(random, valueTokens),
    };
  },
});
