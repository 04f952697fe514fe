// The mixers of the hybrids that people run, side by side: Mamba-1 (Jamba), Mamba-2 (Granite 4.0-H, Nemotron-H), gated
// DeltaNet (Qwen 3.5), short convolutions (LFM2), windows (Gemma 3) and attention, each alone, and each with one layer of
// attention in four. What their papers say about billions of parameters cannot be proven here; whether the same effects
// show in small models can be looked at.
//
// How sizes and margins were chosen: before the first run, from the study of Jamba's claims (../jamba-claims), and not
// changed after it.
// - Hidden size 48 with two heads, of which that study says that smaller ones learn no recall. Four layers, so that a hybrid
//   has one of attention.
// - 16 states per channel: a layer of Mamba or Mamba-2 carries 1,536 numbers, one of gated DeltaNet 1,152 (2 heads of 24 x
//   24), a short convolution 96.
// - Recall of 8 pairs, and 250 steps: the hybrid of the other study took 150 from guessing to knowing.
// - Margins are that study's: ten points of accuracy are clear, 0.05 nats are small.
import { type ClaimPart, defineStudy, mixers, type StudyModel } from '@marimba/lab';

const ROPE = 10_000;
const models: readonly StudyModel[] = [
  ...mixers(4, ['M', 'S', 'D', 'C', 'W', 'A'], { rope: ROPE }),
  ...mixers(4, ['M', 'S', 'D', 'C', 'W'], { period: 4 }),
];
const [MAMBA, MAMBA_2, DELTA, CONVOLUTION, WINDOW, ATTENTION, ...HYBRIDS] = models.map(
  ({ name }) => name,
) as [string, string, string, string, string, string, ...string[]];
const hybridOf = (name: string) => HYBRIDS.find((hybrid) => hybrid.startsWith(`${name},`))!;

/** Differences of this many nats per token count as small, and of this share of answers as clear. */
const SMALL_LOSS = 0.05;
const CLEAR_SHARE = 0.1;

const loss = (kind: ClaimPart['kind'], model: string, than: string): ClaimPart => ({
  kind,
  model,
  than,
  task: 'text',
  metric: 'loss',
  smallerIsBetter: true,
  margin: SMALL_LOSS,
});
const recall = (kind: ClaimPart['kind'], model: string, than: string): ClaimPart => ({
  kind,
  model,
  than,
  task: 'recall',
  metric: 'accuracy',
  margin: CLEAR_SHARE,
  // Where no hybrid learned the task, nothing can be said about what the others lack.
  solvable: { by: HYBRIDS, aboveChance: 0.2 },
});

export default defineStudy({
  name: 'mixers',
  title: 'Mixers side by side',
  about:
    'Models of four layers and about a hundred thousand parameters, trained alike on Moby-Dick and on associative recall.',
  sizes: { depth: 4, hidden: 48, heads: 2, feedForward: 96, state: 16, window: 16 },
  models,
  seeds: [1, 2, 3],
  budget: { steps: 250, sequences: 16, learningRate: 4e-3, warmupSteps: 25 },
  tasks: [
    {
      task: 'recall',
      size: { level: 'tiny', keys: 32, values: 32, pairs: 8, length: 48 },
    },
    {
      task: 'text',
      text: ['../jamba-claims/moby-dick.jsonl'],
      vocabulary: 512,
      length: 64,
      testTokens: 4096,
      budget: { steps: 150, sequences: 8 },
    },
  ],
  claims: [
    {
      id: 'a',
      statement: 'Mamba-2 reads text about as well as Mamba-1.',
      source: 'Dao & Gu 2024',
      parts: [loss('notBetter', MAMBA, MAMBA_2), loss('notBetter', MAMBA_2, MAMBA)],
    },
    {
      id: 'b',
      statement: 'The delta rule recalls what Mamba-2 forgets.',
      source: 'Yang et al. 2024',
      parts: [recall('better', DELTA, MAMBA_2)],
    },
    {
      id: 'c',
      statement: 'One attention layer in four repairs the recall of every mixer without it.',
      source: 'Lieber et al. 2024, section 6.2, of Mamba',
      parts: [MAMBA, MAMBA_2, CONVOLUTION, WINDOW].map((name) => recall('better', hybridOf(name), name)),
    },
    {
      id: 'd',
      statement: 'Short convolutions with one attention layer in four read text as well as Mamba-1 with it.',
      source: 'Liquid AI 2025, of LFM2',
      parts: [loss('notBetter', hybridOf(MAMBA), hybridOf(CONVOLUTION))],
    },
    {
      id: 'e',
      statement: 'Windows with one full layer in four do what attention does.',
      source: 'Gemma 3 technical report 2025, of 5:1',
      parts: [
        loss('notBetter', ATTENTION, hybridOf(WINDOW)),
        recall('notBetter', ATTENTION, hybridOf(WINDOW)),
      ],
    },
  ],
  short: {
    sizes: { depth: 4, hidden: 16, heads: 2, feedForward: 32, state: 4, window: 8 },
    seeds: [1, 2],
    budget: { steps: 12, sequences: 4, warmupSteps: 2 },
    models,
    tasks: [
      { task: 'recall', size: 'tiny', testExamples: 16 },
      {
        task: 'text',
        text: ['../../fixtures/text/moby-dick.jsonl'],
        vocabulary: 300,
        length: 32,
        testTokens: 512,
      },
    ],
  },
});
