// `npm start`: the project's main job on the bundled model: it writes a passage of a speech,
// shows what that took, and says how to get a real model. On a terminal a conversation follows; without one
// it exits.
import { loadModel, type Model } from '../packages/engine/src/index.ts';
import { BUNDLED, bundledSettings, introduction, locate } from '../packages/marimba/src/bundled.ts';
import { banner } from '../packages/marimba/src/chat/banner.ts';
import { chat } from '../packages/marimba/src/chat/loop.ts';
import { FALLBACK_SAMPLING } from '../packages/marimba/src/sampling.ts';
import { bold, bytes, dim, duration, threeDigits } from '../packages/marimba/src/terminal.ts';
import { createWrapper, lineWidth, wrapText } from '../packages/marimba/src/wrap.ts';
import { buildKernels } from './build-kernels.ts';

const HEADINGS = [
  'George Washington, 1793',
  'Andrew Jackson, 1832',
  'Abraham Lincoln, 1864',
  'Theodore Roosevelt, 1905',
  'Franklin D Roosevelt, 1942',
  'Ronald Reagan, 1985',
] as const;

const say = (text = ''): void => void process.stdout.write(`${text}\n`);

async function writePassage(model: Model): Promise<void> {
  const seed = Math.floor(Math.random() * 1000);
  const heading = HEADINGS[seed % HEADINGS.length]!;
  process.stdout.write(bold(heading));
  const session = model.createSession();
  const { options } = bundledSettings(FALLBACK_SAMPLING);
  const generation = session.generate(heading, { ...options, seed });
  const wrapper = createWrapper(lineWidth());
  for await (const { text } of generation) {
    process.stdout.write(wrapper.push(text));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { timings, usage } = await generation.result;
  const { recurrentBytes, usedBytes } = model.memory;
  const figures = [
    `prompt ${usage.promptTokens} tokens in ${duration(timings.promptMs)}`,
    `${usage.generatedTokens} tokens at ${threeDigits(timings.tokensPerSecond)}/s`,
    `state ${bytes(recurrentBytes)}`,
    `${bytes(usedBytes)} in use`,
    `seed ${seed}`,
  ];
  say(`${wrapper.end()}\n\n${wrapText(dim(figures.join(' · ')))}\n`);
  session.close();
}

await buildKernels();
const model = await loadModel(locate(BUNDLED));
try {
  say(`\n${banner(model)}`);
  await writePassage(model);
  say(`${introduction()}\n`);
  if (process.stdin.isTTY && process.stdout.isTTY) {
    say(dim('Your turn. /help lists commands, Ctrl-D leaves.'));
    process.exitCode = await chat(model, bundledSettings(FALLBACK_SAMPLING));
  }
} finally {
  await model.close();
}
