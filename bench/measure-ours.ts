// One task, run by this engine.
import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModel, type Model, type Session } from '@marimba/engine';
import {
  coreOf,
  costOfPlan,
  decodePasses,
  fillSession,
  openReadProbe,
  timeDecode,
  timePrompt,
} from '@marimba/engine/measure';
import { answer, readTask } from './children.ts';
import { type Figures, type Task, type TaskOf, testTokens } from './tasks.ts';
import { elapsed, peakBytes, residentBytes, settle, watchOthers } from './timing.ts';

/** Tokens between two looks at the limit of memory. */
const TURN_TOKENS = 8;

const task = readTask<Task>();
const busyElsewhere = watchOthers();
const began = performance.now();
const cacheType = task.kind === 'depth' ? task.cache : 'f16';
const contextLength = task.kind === 'depth' ? deepest(task) : undefined;
const model = await loadModel(task.model, { threads: task.threads, cacheType, contextLength });
const loadToFirstToken = await firstToken(model, began);
await warmUp(model);
answer({ ...(await measure(model, task)), busyElsewhere: busyElsewhere() });

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
    case 'base':
      return baseFigures(loaded, work);
    case 'conversation':
      return conversationFigures(loaded, work);
    case 'sessions':
      return sessionsFigures(loaded, work);
    case 'depth':
      return depthFigures(loaded, work);
    case 'state':
      return stateFigures(loaded, work.position);
    default:
      return work satisfies never;
  }
}

async function baseFigures(loaded: Model, work: TaskOf<'base'>): Promise<Figures> {
  const session = loaded.createSession();
  const { elapsedMs, next } = await timePrompt(session, testTokens(work.prompt));
  const { tokens } = await timeDecode(loaded, [session], [next], 4);
  await settle();
  const memory = { settledBytes: residentBytes(), peakBytes: peakBytes() };
  return {
    loadToFirstToken,
    prompt: (work.prompt * 1000) / elapsedMs,
    ...(await decodeBesideLimit(loaded, session, tokens[0]!.at(-1)!, work)),
    ...memory,
    fileBytes: statSync(work.model).size,
  };
}

/**
 * Decoding in turns with bare reads of memory, whose speed changes by half within seconds on shared machines.
 */
async function decodeBesideLimit(
  loaded: Model,
  session: Session,
  first: number,
  work: TaskOf<'base'>,
): Promise<Figures> {
  const probe = await openReadProbe({ threads: work.threads });
  try {
    let [done, token, seconds, bytes] = [0, first, 0, 0];
    await probe.pass();
    while (done < work.decode) {
      const steps = Math.min(TURN_TOKENS, work.decode - done);
      const { streamedBytes } = costOfPlan(
        coreOf(loaded).runtime.plan,
        decodePasses(steps, 1, session.position),
      );
      const { stepMs, tokens } = await timeDecode(loaded, [session], [token], steps);
      await probe.pass();
      seconds += stepMs.reduce((sum, ms) => sum + ms, 0) / 1000;
      bytes += streamedBytes;
      token = tokens[0]!.at(-1)!;
      done += steps;
    }
    const passes = probe.bytesPerSecond;
    return {
      decode: work.decode / seconds,
      'decode.read': bytes / seconds,
      'decode.limit': passes.length / passes.reduce((sum, speed) => sum + 1 / speed, 0),
    };
  } finally {
    await probe.close();
  }
}

async function sessionsFigures(loaded: Model, work: TaskOf<'sessions'>): Promise<Figures> {
  const figures: Figures[] = [];
  for (const count of work.counts) {
    const sessions = Array.from({ length: count }, () => loaded.createSession());
    const first: number[] = [];
    for (const [i, session] of sessions.entries())
      first.push((await timePrompt(session, testTokens(32, i * 100))).next);
    figures.push(await decodeFigures(`decode${count}`, loaded, sessions, first, work.steps));
    for (const session of sessions) session.close();
  }
  return Object.assign({}, ...figures) as Figures;
}

/** Room for what is measured, also in models that were made for less. */
function deepest({ positions, chunkAt, chunk, steps }: TaskOf<'depth'>): number {
  return Math.max(...positions, ...chunkAt) + chunk + steps + 64;
}

async function depthFigures(loaded: Model, work: TaskOf<'depth'>): Promise<Figures> {
  let figures: Figures = {};
  for (const position of work.positions) {
    const session = loaded.createSession();
    fillSession(loaded, session, position);
    await timeDecode(loaded, [session], [300], 2);
    const decode = await decodeFigures(`decodeAt${position}`, loaded, [session], [300], work.steps);
    figures = { ...figures, ...decode, residentAtDepth: residentBytes() };
    session.close();
  }
  // Position 0 comes last: whatever still warms up makes it faster, and the ratio to it worse.
  for (const position of work.chunkAt.toReversed()) {
    const session = loaded.createSession();
    fillSession(loaded, session, position);
    const { elapsedMs } = await timePrompt(session, testTokens(work.chunk));
    figures = { ...figures, [`chunkAt${position}`]: elapsedMs };
    session.close();
  }
  return figures;
}

/** Speed of decoding, and of the reads that it cannot do without. */
async function decodeFigures(
  id: string,
  loaded: Model,
  sessions: Parameters<typeof timeDecode>[1],
  first: number[],
  steps: number,
): Promise<Figures> {
  const passes = decodePasses(steps, sessions.length, sessions[0]!.position);
  const { streamedBytes } = costOfPlan(coreOf(loaded).runtime.plan, passes);
  const { stepMs } = await timeDecode(loaded, sessions, first, steps);
  const seconds = stepMs.reduce((sum, ms) => sum + ms, 0) / 1000;
  return { [id]: (sessions.length * steps) / seconds, [`${id}.read`]: streamedBytes / seconds };
}

async function stateFigures(loaded: Model, position: number): Promise<Figures> {
  const session = loaded.createSession();
  fillSession(loaded, session, position);
  const folder = await mkdtemp(join(tmpdir(), 'marimba-bench-'));
  try {
    const path = join(folder, 'session');
    const save = await elapsed(() => session.saveTo(path));
    const restore = await elapsed(() => loaded.restoreSessionFrom(path));
    const snapshot = await elapsed(async () => session.snapshot());
    const fork = await elapsed(async () => session.fork());
    return { save, restore, snapshot, fork };
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function conversationFigures(loaded: Model, work: TaskOf<'conversation'>): Promise<Figures> {
  const prompt = testTokens(work.prompt);
  const options = { maxTokens: work.answer, temperature: 0, ignoreEos: true };
  const session = loaded.createSession();
  const { timings } = await session.complete(prompt, options);
  const regenerate = await elapsed(async () => {
    await session.rewind(prompt.length);
    await session.complete([], { ...options, maxTokens: 1 });
  });
  const reread = timings.firstTokenMs;
  return { prompt: (work.prompt * 1000) / reread, regenerate, reread };
}
