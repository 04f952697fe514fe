// The engine inside a browser: golden logits in Chromium, with shared memory and two threads on a
// cross-origin isolated page, and on the calling thread alone without isolation. Skipped where no Chromium is
// installed; with CI=true that fails.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { loadModel } from '../src/index.ts';
import { findChromium, startChromium } from './browser/chromium.ts';
import { type Served, serve } from './browser/serve.ts';
import { familyPath, readFamilyGolden } from './golden-families.ts';

const root = join(import.meta.dirname, '../../..');
const executable = findChromium();
const MISSING = 'no Chromium is installed; set CHROMIUM_PATH, or `apt-get install chromium`';
const skip = !executable && process.env.CI !== 'true' && MISSING;
const TOLERANCE = 3e-4;

const PAGE = `<!doctype html><title>engine</title><script type="module">
  import { loadModel } from '/packages/engine/src/index.ts';
  globalThis.engine = { loadModel };
</script>`;

let browser: Browser | null = null;
before(async () => {
  if (executable) browser = await startChromium(executable);
  else assert.ok(skip, MISSING);
});
after(async () => browser?.close());

interface Golden {
  readonly prompts: Record<string, number[]>;
  readonly logits_last: Record<string, number[]>;
  readonly greedy: Record<string, { tokens: number[] }>;
}

async function golden(name: string): Promise<Golden> {
  return JSON.parse(await readFile(join(root, 'fixtures/golden', name, 'golden.json'), 'utf8')) as Golden;
}

interface PageResult {
  readonly description: string;
  readonly isolated: boolean;
  readonly logits: number[];
  readonly greedy: number[];
  /**
   * Logits after the first greedy token: from the session itself, and from one that was restored from its
   * bytes.
   */
  readonly continued: number[];
  readonly restored: number[];
}

/** Runs in the page: loads by address, reads the prompt in two cuts, decodes, saves and restores. */
async function inPage(task: { url: string; prompt: number[]; steps: number }): Promise<PageResult> {
  const { loadModel } = (globalThis as unknown as { engine: typeof import('../src/index.ts') }).engine;
  const model = await loadModel(task.url, { threads: 2, activations: 'f32', cacheType: 'f32' });
  const session = model.createSession();
  const cut = task.prompt.length >> 1;
  if (cut > 0) await session.prefill(task.prompt.slice(0, cut));
  let logits = await session.prefill(task.prompt.slice(cut));
  const result = [...logits];
  const saved = session.save();
  const greedy: number[] = [];
  let continued: number[] = [];
  for (let i = 0; i < task.steps; i++) {
    const next = logits.indexOf(logits.reduce((x, y) => Math.max(x, y)));
    greedy.push(next);
    logits = await session.prefill([next]);
    if (i === 0) continued = [...logits];
  }
  const again = model.restoreSession(saved);
  const restored = [...(await again.prefill([greedy[0]!]))];
  const description = model.describe().backend;
  await model.close();
  return { description, isolated: crossOriginIsolated, logits: result, greedy, continued, restored };
}

interface StoredResult {
  /** A session that was saved to a file of the origin private file system is the same when it comes back, from each source. */
  readonly same: boolean[];
  /** Timers that fired during a generation that the third of them aborted, and the tokens until then. */
  readonly timers: number;
  readonly tokens: number;
  readonly limit: number;
}

/**
 * Runs in the page: saves to and restores from the page's own files, then generates until a timer aborts. The
 * model is cut over two memories.
 */
async function storeInPage(task: { url: string; prompt: number[] }): Promise<StoredResult> {
  const { loadModel } = (globalThis as unknown as { engine: typeof import('../src/index.ts') }).engine;
  const model = await loadModel(task.url, { threads: 2, cuts: [1] });
  const session = model.createSession();
  await session.prefill(task.prompt);
  const folder = await navigator.storage.getDirectory();
  const file = await folder.getFileHandle('session', { create: true });
  const data = { mine: 1 };
  await session.saveTo(file, { data });
  const blob = await file.getFile();
  const expected = session.save({ data }).join();
  const same: boolean[] = [];
  for (const source of [file, blob, blob.stream()]) {
    const restored = await model.restoreSessionFrom(source);
    same.push(restored.save({ data }).join() === expected);
    restored.close();
  }
  const stop = new AbortController();
  let timers = 0;
  const timer = setInterval(() => ++timers === 3 && stop.abort(), 1);
  const limit = model.contextLength - session.position - 1;
  const generation = session.generate([1], { maxTokens: limit, ignoreEos: true, signal: stop.signal });
  await generation.result.catch(() => {});
  clearInterval(timer);
  const tokens = session.tokens.length - task.prompt.length;
  await model.close();
  return { same, timers, tokens, limit };
}

/** Runs in the page: goes on, over three memories, with a session that was saved elsewhere, and saves it again. */
async function continueInPage(task: { url: string; saved: number[]; tokens: number[] }) {
  const { loadModel } = (globalThis as unknown as { engine: typeof import('../src/index.ts') }).engine;
  const model = await loadModel(task.url, {
    threads: 2,
    activations: 'f32',
    cacheType: 'f32',
    cuts: [1, 2],
  });
  const session = model.restoreSession(Uint8Array.from(task.saved));
  const logits = [...(await session.prefill(task.tokens))];
  const saved = [...session.save()];
  await model.close();
  return { logits, saved };
}

/** `gguf`: below fixtures/. */
async function runInPage<Task, Result>(
  gguf: string,
  task: Task,
  work: (task: Task & { url: string }) => Promise<Result>,
  isolated: boolean,
): Promise<Result> {
  const served: Served = await serve({ root, isolated, pages: { '/': PAGE } });
  const page = await browser!.newPage();
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(String(error)));
  try {
    await page.goto(served.origin);
    try {
      await page.waitForFunction(() => 'engine' in globalThis, null, { timeout: 60_000 });
    } catch (error) {
      throw new Error(`the page did not load the engine: ${problems.join('; ')}`, { cause: error });
    }
    const url = `${served.origin}/fixtures/${gguf}`;
    return (await page.evaluate(work as never, { ...task, url })) as Result;
  } finally {
    await page.close();
    await served.close();
  }
}

const ggufOf = (name: string): string => `golden/gguf/${name}.f32.gguf`;

function assertClose(actual: readonly number[], expected: readonly number[]): void {
  assert.equal(actual.length, expected.length);
  const worst = actual.reduce((max, x, i) => Math.max(max, Math.abs(x - expected[i]!)), 0);
  assert.ok(worst <= TOLERANCE, `expected logits within ${TOLERANCE}, found a difference of ${worst}`);
}

for (const isolated of [true, false]) {
  for (const name of ['jamba-dense-mqa', 'jamba-moe', 'llama-tiny']) {
    const where = isolated ? 'an isolated page, two threads' : 'a page without isolation';
    test(`${name}: golden logits and greedy tokens in ${where}`, { skip }, async () => {
      const { prompts, logits_last, greedy } = await golden(name);
      const result = await runInPage(ggufOf(name), { prompt: prompts.len33!, steps: 8 }, inPage, isolated);
      assert.equal(result.isolated, isolated);
      assert.match(result.description, isolated ? /2 threads/ : /calling thread only/);
      assertClose(result.logits, logits_last.len33!);
      assert.deepEqual(result.greedy, greedy.len33!.tokens.slice(0, 8));
      assert.deepEqual(result.restored, result.continued);
    });
  }

  const where = isolated ? 'an isolated page' : 'a page without isolation';
  test(`sessions in files of ${where}; timers fire and abort a generation there`, { skip }, async () => {
    const { prompts } = await golden('jamba-dense-mqa');
    const task = { prompt: prompts.len33! };
    const { same, timers, tokens, limit } = await runInPage(
      ggufOf('jamba-dense-mqa'),
      task,
      storeInPage,
      isolated,
    );
    assert.deepEqual(same, [true, true, true]);
    assert.ok(timers >= 3 && tokens < limit, `${timers} timers, ${tokens} of ${limit} tokens`);
  });
}

/** One for each kind of carried state. */
const EXCHANGED = [
  'lfm2-moe',
  'qwen3.5-untied',
  'granite-h-moe',
  'nemotron-h-g2',
  'falcon-h1-norm',
  'gemma3-p6',
] as const;

for (const name of EXCHANGED) {
  test(`${name}: a session moves from Node to a page and back`, { skip }, async () => {
    const { prompts, logits_last } = readFamilyGolden(name, 'f32');
    const text = prompts.len200;
    const exact = { activations: 'f32', cacheType: 'f32', threads: 1 } as const;
    await using model = await loadModel(familyPath(name, 'f32'), exact);
    const session = model.createSession();
    await session.prefill(text.slice(0, 70));
    const task = { saved: [...session.save()], tokens: text.slice(70, 130) };
    const there = await runInPage(`golden-families/gguf/${name}.f32.gguf`, task, continueInPage, true);
    assertClose([...(await session.prefill(task.tokens))], there.logits);
    const back = model.restoreSession(Uint8Array.from(there.saved));
    assertClose([...(await back.prefill(text.slice(130)))], logits_last.len200);
  });
}
