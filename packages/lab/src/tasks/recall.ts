// Multi-query associative recall. Key-value pairs are stated once, then keys are asked in an order and at
// distances of their own; the right value follows each. The task on which the gap between attention and
// fixed-state models was pinned down.
//
// Training mixes numbers of pairs, from one up to the task's, as the paper does: with all of them from the
// start, models this small stay at chance for thousands of steps. And it asks in every slot, so that each
// sequence teaches more. Tests do neither.
import type { Random } from '@marimba/engine/measure';
import { below, defineTask, type Example, PAD, pick, sample, Tokens } from './task.ts';

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
    /** `order`: which pair each slot asks for; undefined: none. */
    const state = (random: Random, count: number, order: (slot: number) => number | undefined): Example => {
      const chosen = sample(random, keyTokens, count);
      const stated = chosen.map(() => pick(random, valueTokens));
      const out = chosen.flatMap((key, i) => [key, stated[i]!]);
      const answers: number[] = [];
      for (let slot = 0; slot < slots; slot++) {
        const i = order(slot);
        if (i === undefined) out.push(PAD, PAD);
        else {
          answers.push(out.length + 1);
          out.push(chosen[i]!, stated[i]!);
        }
      }
      return { tokens: out, answers };
    };
    return {
      vocabularySize: tokens.count,
      maxLength: 2 * pairs + 2 * slots,
      chance: 1 / values,
      generate(random) {
        const asked = new Map(queryPlaces(random, pairs, slots).map((slot, i) => [slot, i]));
        return state(random, pairs, (slot) => asked.get(slot));
      },
      generateTraining(random) {
        const count = 1 + below(random, pairs);
        return state(random, count, () => below(random, count));
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
