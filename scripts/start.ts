// `npm start`: the project's main job on a small model that ships with it. On a terminal a conversation starts; without
// one it generates once and exits.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadModel, type Model } from '../packages/engine/src/index.ts';
import { banner } from '../packages/marimba/src/chat/banner.ts';
import { chat } from '../packages/marimba/src/chat/loop.ts';
import { bytes, cyan, dim, duration, threeDigits, yellow } from '../packages/marimba/src/terminal.ts';
import { buildKernels } from './build-kernels.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
/** The layout of a 3B Jamba at a thousandth of its size. */
const MODEL = join(root, 'fixtures/golden/jamba-dense-mqa');
const PROMPT = [87, 122, 203, 71, 120, 0, 220, 214];
const MAX_TOKENS = 48;

const say = (text = ''): void => void process.stdout.write(`${text}\n`);

async function generateOnce(model: Model): Promise<void> {
  const session = model.createSession();
  say(`Prompt  ${PROMPT.join(' ')}`);
  process.stdout.write('Answer ');
  const events = session.generate(PROMPT, { temperature: 0, maxTokens: MAX_TOKENS, ignoreEos: true });
  for (;;) {
    const next = await events.next();
    if (!next.done) {
      process.stdout.write(` ${next.value.token}`);
      continue;
    }
    const { timings, tokens, promptTokens } = next.value;
    const figures = [
      `prompt ${promptTokens} tokens in ${duration(timings.promptMs)}`,
      `${tokens.length} tokens at ${threeDigits(timings.tokensPerSecond)}/s`,
      `${bytes(model.runtime.backend.arena.usedBytes)} in use`,
    ];
    say(`\n${dim(figures.join(' · '))}\n`);
    break;
  }
  session.close();
}

function realModels(): void {
  say('A real model, from the hub (Jamba 3B needs about 2 GB of memory at 4 bits):');
  say(`  ${cyan('npx marimba plan jamba-3b --against llama-3.2-3b')}`);
  say(`  ${cyan('npx marimba chat ai21labs/AI21-Jamba2-3B --quantize q4_K')}\n`);
}

await buildKernels();
const model = await loadModel(MODEL, { activations: 'f32', cacheType: 'f32' });
try {
  say(`\n${banner(model)}`);
  say(
    yellow(
      'This model is a test fixture: random weights, no tokenizer. It shows that everything runs, not that it can',
    ),
  );
  say(`${yellow('write. It reads and answers token numbers from 0 to 255.')}\n`);
  await generateOnce(model);
  realModels();
  if (process.stdin.isTTY && process.stdout.isTTY) {
    say(dim('Try token numbers such as 1 2 3. /help lists commands, Ctrl-D leaves.'));
    process.exitCode = await chat(model, {
      options: { temperature: 0.7, maxTokens: MAX_TOKENS, ignoreEos: true },
    });
  }
} finally {
  await model.close();
}
