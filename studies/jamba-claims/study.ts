// The claims of the Jamba paper, one by one, at a size that two processor cores can train in about an hour. What a claim says about
// billions of parameters cannot be proven here; whether the same effect shows in small models can be looked at, and where it
// does not, the report says so. Source of the claims: Lieber et al. 2024, "Jamba: A Hybrid Transformer-Mamba Language Model".
import { type ClaimPart, defineStudy, type StudyModel } from '@marimba/lab';

const HYBRID = 'hybrid 1:8';

const models: readonly StudyModel[] = [
  { name: 'Mamba', layers: 'none', axes: { 'share of attention': 'none', 'inner norms': 'Mamba, on' } },
  {
    name: HYBRID,
    layers: 'every 8, in the middle',
    axes: {
      'share of attention': '1:8',
      place: 'middle',
      positions: 'hybrid, none',
      'inner norms': 'hybrid, on',
    },
  },
  { name: 'hybrid 1:4', layers: 'every 4, in the middle', axes: { 'share of attention': '1:4' } },
  { name: 'hybrid 1:2', layers: 'every 2, last', axes: { 'share of attention': '1:2' } },
  { name: 'attention', layers: 'all', rope: 10_000, axes: { 'share of attention': 'all' } },
  { name: '1:8, first', layers: 'every 8, first', axes: { place: 'first' } },
  { name: '1:8, last', layers: 'every 8, last', axes: { place: 'last' } },
  {
    name: '1:8 with RoPE',
    layers: 'every 8, in the middle',
    rope: 10_000,
    axes: { positions: 'hybrid, RoPE' },
  },
  { name: 'Mamba, no norms', layers: 'none', innerNorms: false, axes: { 'inner norms': 'Mamba, off' } },
  {
    name: '1:8, no norms',
    layers: 'every 8, in the middle',
    innerNorms: false,
    axes: { 'inner norms': 'hybrid, off' },
  },
];

const SHARES = ['Mamba', HYBRID, 'hybrid 1:4', 'hybrid 1:2', 'attention'];
const PLACES = ['1:8, first', '1:8, last'];

/** Differences of this many nats a token, and of this share of answers, count as small. */
const SMALL_LOSS = 0.05;
const SMALL_SHARE = 0.05;
/** A repair, or a failure, is a difference of at least this share of answers. */
const CLEAR_SHARE = 0.1;

const loss = (kind: ClaimPart['kind'], model: string, than: string, margin = SMALL_LOSS): ClaimPart => ({
  kind,
  model,
  than,
  task: 'text',
  metric: 'loss',
  smallerIsBetter: true,
  margin,
});

const answers = (
  kind: ClaimPart['kind'],
  task: string,
  model: string,
  than: string,
  margin: number,
  metric = 'accuracy',
): ClaimPart => ({
  kind,
  model,
  than,
  task,
  metric,
  margin,
  // When neither attention nor the hybrid learned the task, nothing can be said about what Mamba lacks.
  solvable: { by: [HYBRID, 'attention'], aboveChance: 0.2 },
});

export default defineStudy({
  name: 'jamba-claims',
  title: 'The claims of the Jamba paper at small scale',
  about:
    'Models of eight layers and about a quarter of a million parameters, trained alike on the first chapters of Moby-Dick, on associative recall, and on few-shot labelling.',
  sizes: { depth: 8, hidden: 48, heads: 4, kvHeads: 2, feedForward: 96, state: 16 },
  models,
  seeds: [1, 2, 3, 4, 5],
  budget: { steps: 400, sequences: 24, learningRate: 4e-3, warmupSteps: 40 },
  tasks: [
    {
      task: 'text',
      text: ['../../fixtures/text/moby-dick.jsonl'],
      vocabulary: 512,
      length: 128,
      budget: { steps: 300, warmupSteps: 30, sequences: 16 },
      models: [...SHARES, ...PLACES, '1:8 with RoPE'],
    },
    {
      task: 'recall',
      size: { level: 'tiny', keys: 32, values: 32, pairs: 8, length: 48 },
      models: [...SHARES, ...PLACES, '1:8 with RoPE'],
    },
    {
      task: 'few-shot-labels',
      size: 'small',
      models: SHARES,
      budget: { steps: 700, warmupSteps: 70, sequences: 16 },
    },
    {
      task: 'text',
      name: 'text at a high rate',
      text: ['../../fixtures/text/moby-dick.jsonl'],
      vocabulary: 512,
      length: 128,
      budget: { steps: 200, warmupSteps: 5, sequences: 16, learningRate: 3e-2, schedule: 'constant' },
      models: ['Mamba', HYBRID, 'Mamba, no norms', '1:8, no norms'],
    },
  ],
  claims: [
    {
      id: 'a',
      statement: 'Pure Mamba is about as good as attention in language-model loss.',
      source: 'section 6.1',
      parts: [loss('notBetter', 'attention', 'Mamba'), loss('notBetter', 'Mamba', 'attention')],
    },
    {
      id: 'b',
      statement: 'Pure Mamba fails at recall and at following a few-shot format.',
      source: 'section 6.2',
      parts: [
        answers('better', 'recall', 'attention', 'Mamba', CLEAR_SHARE),
        answers('better', 'few-shot-labels', 'attention', 'Mamba', CLEAR_SHARE),
        answers('better', 'few-shot-labels', 'attention', 'Mamba', CLEAR_SHARE, 'format'),
      ],
    },
    {
      id: 'c',
      statement: 'One attention layer in eight repairs it.',
      source: 'section 6.2',
      parts: [
        answers('better', 'recall', HYBRID, 'Mamba', CLEAR_SHARE),
        answers('better', 'few-shot-labels', HYBRID, 'Mamba', CLEAR_SHARE),
        answers('notBetter', 'recall', 'attention', HYBRID, SMALL_SHARE),
        answers('notBetter', 'few-shot-labels', 'attention', HYBRID, SMALL_SHARE),
      ],
    },
    {
      id: 'd',
      statement: 'More attention than 1:8 buys little.',
      source: 'section 6.1 (1:3 against 1:7)',
      parts: ['hybrid 1:4', 'hybrid 1:2'].flatMap((model) => [
        loss('notBetter', model, HYBRID),
        answers('notBetter', 'recall', model, HYBRID, SMALL_SHARE),
        answers('notBetter', 'few-shot-labels', model, HYBRID, SMALL_SHARE),
      ]),
    },
    {
      id: 'e',
      statement: 'An attention layer in the middle is better than one at either end.',
      source: 'the released layout: attention at offset 4 of 8',
      parts: PLACES.flatMap((place) => [
        loss('better', HYBRID, place, 0),
        answers('better', 'recall', HYBRID, place, 0),
      ]),
    },
    {
      id: 'f',
      statement: 'Norms inside Mamba tame loss spikes.',
      source: 'section 6.4',
      parts: [
        {
          kind: 'better',
          model: 'Mamba',
          than: 'Mamba, no norms',
          task: 'text at a high rate',
          metric: 'spikes',
          smallerIsBetter: true,
          margin: 0,
        },
        {
          kind: 'better',
          model: HYBRID,
          than: '1:8, no norms',
          task: 'text at a high rate',
          metric: 'spikes',
          smallerIsBetter: true,
          margin: 0,
        },
      ],
    },
    {
      id: 'g',
      statement: 'A hybrid needs no positions.',
      source: 'section 6.5',
      parts: [
        loss('notBetter', '1:8 with RoPE', HYBRID),
        answers('notBetter', 'recall', '1:8 with RoPE', HYBRID, SMALL_SHARE),
      ],
    },
  ],
  short: {
    sizes: { depth: 8, hidden: 16, heads: 2, kvHeads: 1, feedForward: 32, state: 4 },
    seeds: [1, 2],
    budget: { steps: 12, sequences: 4, warmupSteps: 2 },
    models,
    tasks: [
      {
        task: 'text',
        text: ['../../fixtures/text/moby-dick.jsonl'],
        vocabulary: 300,
        length: 32,
        testTokens: 512,
        models: ['Mamba', HYBRID, 'attention'],
      },
      {
        task: 'recall',
        size: 'tiny',
        testExamples: 16,
        models: ['Mamba', HYBRID, 'attention', '1:8 with RoPE'],
      },
      { task: 'few-shot-labels', size: 'tiny', testExamples: 8, models: ['Mamba', HYBRID, 'attention'] },
      {
        task: 'text',
        name: 'text at a high rate',
        text: ['../../fixtures/text/moby-dick.jsonl'],
        vocabulary: 300,
        length: 32,
        testTokens: 512,
        budget: { learningRate: 3e-2 },
        models: ['Mamba', 'Mamba, no norms'],
      },
    ],
  },
});
