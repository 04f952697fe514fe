// Multi-query associative recall. Key-value pairs are stated once, then keys are asked in an order and at distances of their
// own; the right value follows each. The task on which the gap between attention and fixed-state models was pinned down.
import { below, defineTask, PAD, pick, sample, Tokens } from './task.ts';

/** Exponent of the power law by which queries come soon after the pairs rather than late (the paper's α). */
const POWER = 0.1;

export const recall = defineTask({
  name: 'recall',
  title: 'Multi-query associative recall',
  source:
    'Arora et al. 2023, Zoology: Measuring and Improving Recall in Efficient Language Models, section 4 (MQAR)',
  sizes: {
    tiny: { keys: 16, values: 16, pairs: 4, length: 24 },
    small: { keys: 32, values: 32, pairs: 8, length: 64 },
    medium: { keys: 128, values: 128, pairs: 16, length: 128 },
    large: { keys: 512, values: 512, pairs: 64, length: 512 },
  },
  build({ keys, values, pairs, length }) {
    const tokens = new Tokens();
    const keyTokens = tokens.range(keys);
    const valueTokens = tokens.range(values);
    const slots = Math.max(pairs, Math.floor((length - 2 * pairs) / 2));
    return {
      vocabularySize: tokens.count,
      maxLength: 2 * pairs + 2 * slots,
      chance: 1 / values,
      generate(random) {
        const chosen = sample(random, keyTokens, pairs);
        const values = chosen.map(() => pick(random, valueTokens));
        const out = chosen.flatMap((key, i) => [key, values[i]!]);
        const asked = new Map(queryPlaces(random, pairs, slots).map((slot, i) => [slot, i]));
        const answers: number[] = [];
        for (let slot = 0; slot < slots; slot++) {
          const i = asked.get(slot);
          if (i === undefined) out.push(PAD, PAD);
          else {
            answers.push(out.length + 1);
            out.push(chosen[i]!, values[i]!);
          }
        }
        return { tokens: out, answers };
      },
      solve: (prefix) => prefix[prefix.indexOf(prefix.at(-1)!) + 1]!,
      guess: (_, random) => pick(random, valueTokens),
    };
  },
});

/** A slot for each pair's query, drawn without replacement with weights slot^(POWER − 1). */
function queryPlaces(random: () => number, pairs: number, slots: number): number[] {
  const free = Array.from({ length: slots }, (_, slot) => slot);
  return Array.from({ length: pairs }, () => {
    const weights = free.map((slot) => (slot + 1) ** (POWER - 1));
    let left = random() * weights.reduce((sum, w) => sum + w, 0);
    const at = weights.findIndex((w) => (left -= w) < 0);
    return free.splice(at < 0 ? below(random, free.length) : at, 1)[0]!;
  });
}
