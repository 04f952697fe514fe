// Variable tracking: "x1 = 5; x2 = x1; x3 = x2", several such chains and words that mean nothing mixed
// together; at the end all names that hold a given number are to be listed, in the order in which they were
// set. Tests multi-hop tracing.
import { below, defineTask, pick, sample, Tokens } from './task.ts';

export const variableTracking = defineTask({
  name: 'variable-tracking',
  title: 'Variable tracking',
  source:
    'Hsieh et al. 2024, RULER: What’s the Real Context Size of Your Long-Context Language Models?, section 3.2',
  sizes: {
    tiny: { names: 8, numbers: 8, chains: 1, hops: 2, noiseWords: 8, noise: 8 },
    small: { names: 16, numbers: 16, chains: 2, hops: 2, noiseWords: 16, noise: 32 },
    medium: { names: 32, numbers: 32, chains: 3, hops: 4, noiseWords: 32, noise: 256 },
    large: { names: 64, numbers: 64, chains: 4, hops: 4, noiseWords: 64, noise: 2048 },
  },
  build({ names, numbers, chains, hops, noiseWords, noise }) {
    const tokens = new Tokens();
    const equals = tokens.one();
    const ask = tokens.one();
    const nameTokens = tokens.range(names);
    const numberTokens = tokens.range(numbers);
    const noiseTokens = tokens.range(noiseWords);
    const links = hops + 1;
    const statements = chains * links;
    return {
      vocabularySize: tokens.count,
      maxLength: 3 * statements + noise + 2 + links,
      chance: 1 / statements,
      generate(random) {
        const chosen = sample(random, nameTokens, statements);
        const values = sample(random, numberTokens, chains);
        const next = new Array<number>(chains).fill(0);
        const out: number[] = [];
        // A chain's statements keep their order; which chain speaks next, and where noise falls, is chance.
        for (let left = statements, noiseLeft = noise; left + noiseLeft > 0; ) {
          if (random() < noiseLeft / (noiseLeft + left)) {
            out.push(pick(random, noiseTokens));
            noiseLeft--;
            continue;
          }
          const chain = pick(
            random,
            next.flatMap((n, c) => (n < links ? [c] : [])),
          );
          const link = next[chain]!++;
          const name = (l: number) => chosen[chain * links + l]!;
          out.push(name(link), equals, link === 0 ? values[chain]! : name(link - 1));
          left--;
        }
        const asked = below(random, chains);
        out.push(ask, values[asked]!, ...chosen.slice(asked * links, (asked + 1) * links));
        return { tokens: out, answers: Array.from({ length: links }, (_, l) => out.length - links + l) };
      },
      solve(prefix) {
        const at = prefix.indexOf(ask);
        const holding = new Set([prefix[at + 1]!]);
        const held: number[] = [];
        for (let i = prefix.indexOf(equals); i >= 0; i = prefix.indexOf(equals, i + 1)) {
          if (!holding.has(prefix[i + 1]!)) continue;
          holding.add(prefix[i - 1]!);
          held.push(prefix[i - 1]!);
        }
        return held[prefix.length - at - 2]!;
      },
      guess: (prefix, random) =>
        pick(
          random,
          prefix.flatMap((token, i) => (token === equals ? [prefix[i - 1]!] : [])),
        ),
    };
  },
});
