// One task, run by this engine.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModel, type Model } from '@marimba/engine';
import { costOfPlan, decodePasses } from '@marimba/engine/internal/measure/cost';
import { fillSession } from '@marimba/engine/internal/measure/fill-session';
import { timeDecode, timePrompt } from '@marimba/engine/internal/measure/speed';
import { answer, readTask } from './children.ts';
import { type Figures, type Task, testTokens } from './tasks.ts';
import { elapsed, peakBytes, residentBytes, settle } from './timing.ts';

const task = readTask<Task>();
const began = performance.now();
const model = await loadModel(task.model, { threads: task.threads });
const loadToFirstToken = await firstToken(model, began);
await warmUp(model);
answer(await measure(model, task));

async function firstToken(loaded: Model, since: number): Promise<number> {
  const session = loaded.createSession();
  await timePrompt(session, testTokens(8));
  session.close();
  return performance.now() - since;
}

async function warmUp(loaded: Model): Promise<void> {
  const session = loaded.createSession();
  const { next } = await timePrompt(session, testTokens(64));
  await timeDecode(loaded, [session], [next], 4);
  session.close();
}

async function measure(loaded: Model, work: Task): Promise<Figures> {
  switch (work.kind) {
    case 'base': {
      const session = loaded.createSession();
      const { elapsedMs, next } = await timePrompt(session, testTokens(work.prompt));
      const decodeMs = await decodeTime(loaded, [session], [next], work.decode);
      await settle();
      return {
        loadToFirstToken,
        prompt: (work.prompt * 1000) / elapsedMs,
        ...decodeFigures(loaded, {
          sessions: 1,
          position: work.prompt,
          steps: work.decode,
          elapsedMs: decodeMs,
        }),
        settledBytes: residentBytes(),
        peakBytes: peakBytes(),
      };
    }
    case 'prompt': {
      const { elapsedMs } = await timePrompt(loaded.createSession(), testTokens(work.tokens));
      return { prompt: (work.tokens * 1000) / elapsedMs };
    }
    case 'sessions': {
      const sessions = Array.from({ length: work.count }, () => loaded.createSession());
      const first: number[] = [];
      for (const [i, session] of sessions.entries())
        first.push((await timePrompt(session, testTokens(32, i * 100))).next);
      const elapsedMs = await decodeTime(loaded, sessions, first, work.steps);
      return decodeFigures(loaded, { sessions: work.count, position: 32, steps: work.steps, elapsedMs });
    }
    case 'depth': {
      const session = loaded.createSession();
      fillSession(loaded, session, work.position);
      await timeDecode(loaded, [session], [300], 2);
      const elapsedMs = await decodeTime(loaded, [session], [300], work.steps);
      return decodeFigures(loaded, { sessions: 1, position: work.position, steps: work.steps, elapsedMs });
    }
    case 'chunk': {
      const session = loaded.createSession();
      fillSession(loaded, session, work.position);
      return { chunk: (await timePrompt(session, testTokens(work.tokens))).elapsedMs };
    }
    case 'state':
      return stateFigures(loaded, work.position);
    case 'regenerate':
      return regenerateFigures(loaded, work.prompt, work.answer);
    default:
      return work satisfies never;
  }
}

async function decodeTime(
  loaded: Model,
  sessions: Parameters<typeof timeDecode>[1],
  first: number[],
  steps: number,
): Promise<number> {
  const { stepMs } = await timeDecode(loaded, sessions, first, steps);
  return stepMs.reduce((sum, ms) => sum + ms, 0);
}

/** Speed of decoding, and of the reads that it cannot do without. */
function decodeFigures(
  loaded: Model,
  work: { sessions: number; position: number; steps: number; elapsedMs: number },
): { decode: number; readBytesPerSecond: number } {
  const { sessions, position, steps, elapsedMs } = work;
  const { streamedBytes } = costOfPlan(loaded.runtime.plan, decodePasses(steps, sessions, position));
  return {
    decode: (sessions * steps * 1000) / elapsedMs,
    readBytesPerSecond: (streamedBytes * 1000) / elapsedMs,
  };
}

async function stateFigures(loaded: Model, position: number): Promise<Figures> {
  const session = loaded.createSession();
  fillSession(loaded, session, position);
  const folder = await mkdtemp(join(tmpdir(), 'marimba-bench-'));
  try {
    const path = join(folder, 'session');
    const save = await elapsed(async () => writeFile(path, session.save()));
    const restore = await elapsed(async () => loaded.restoreSession(await readFile(path)));
    const snapshot = await elapsed(async () => session.snapshot());
    const fork = await elapsed(async () => session.fork());
    return { save, restore, snapshot, fork };
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function regenerateFigures(
  loaded: Model,
  promptLength: number,
  answerLength: number,
): Promise<Figures> {
  const prompt = testTokens(promptLength);
  const options = { maxTokens: answerLength, temperature: 0, ignoreEos: true };
  const session = loaded.createSession();
  for await (const _ of session.generate(prompt, options));
  const regenerate = await elapsed(async () => {
    await session.rewind(prompt.length);
    await session.generate([], { ...options, maxTokens: 1 }).next();
  });
  const reread = (await timePrompt(loaded.createSession(), prompt)).elapsedMs;
  return { regenerate, reread };
}
