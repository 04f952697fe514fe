// What `marimba bench` measures, as data: the load, both phases, memory, the limit of memory reads, and where the time went.
import { type LoadModelOptions, loadModel, type Model, type Session, UsageError } from '@marimba/engine';
import {
  type Cost,
  costOfPlan,
  decodePasses,
  type Pass,
  promptPasses,
} from '@marimba/engine/internal/measure/cost';
import { fillSession } from '@marimba/engine/internal/measure/fill-session';
import { type OpProfile, profileOf } from '@marimba/engine/internal/measure/profile';
import { measureReadLimit } from '@marimba/engine/internal/measure/read-limit';
import { mostLikely, sampleTokens, timeDecode, timePrompt } from '@marimba/engine/internal/measure/speed';
import { type Spread, spreadOf } from '@marimba/engine/internal/measure/statistics';
import { locate } from '../box.ts';

export interface BenchOptions {
  readonly prompt: number;
  readonly new: number;
  readonly sessions: number;
  readonly depth: number;
  readonly repeat: number;
}

export interface Phase {
  readonly tokensPerSecond: Spread;
  readonly milliseconds: Spread;
  /** Weights and attention cache read, over the time of the fastest repetition. */
  readonly gigabytesPerSecond: number;
  readonly gigamacsPerSecond: number;
  /** The time that reading those bytes alone would take, over the time taken (medians). 1 is the limit of memory. */
  readonly shareOfReadLimit: number;
  readonly profile: readonly OpProfile[];
}

export interface BenchResult {
  readonly model: string;
  readonly backend: string;
  readonly options: BenchOptions;
  /** From the file to a model that is ready. */
  readonly loadMs: number;
  /** Its parts. Page faults are what bounds it on some machines: one for every 4 KiB that is touched for the first time. */
  readonly load: Model['loadTimes'] & { readonly pageFaults: number };
  /** From the prompt to the first new token; the median. */
  readonly firstTokenMs: number;
  /** From the file to the first new token of a prompt of one token, nothing warmed up. */
  readonly loadToFirstTokenMs: number;
  /** Medians. With several sessions decoding counts the tokens of all. */
  readonly promptTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
  /** Of the process, at the end. */
  readonly residentBytes: number;
  readonly peakResidentBytes: number;
  readonly weightBytes: number;
  /** Bytes that a token reads at least: weights, and the attention cache at this depth. */
  readonly bytesPerDecodeStep: number;
  readonly readLimitBytesPerSecond: Spread;
  readonly prompt: Phase;
  readonly decode: Phase;
}

export type BenchProgress = (part: string) => void;

/** As much memory as the model's weights, but more than any cache holds. */
const LEAST_READ_BYTES = 2 ** 28;
const MOST_READ_BYTES = 2 ** 30;

export async function runBench(
  source: string,
  load: LoadModelOptions,
  options: BenchOptions,
  progress: BenchProgress,
  signal: AbortSignal,
): Promise<BenchResult> {
  progress('Loading');
  const began = performance.now();
  const faultsBefore = process.resourceUsage().minorPageFault;
  const model = await loadModel(locate(source), { ...load, signal });
  try {
    const loadMs = performance.now() - began;
    const pageFaults = process.resourceUsage().minorPageFault - faultsBefore;
    requireContext(model, options);
    mostLikely(await model.createSession().prefill(sampleTokens(model, 1)));
    const loadToFirstTokenMs = performance.now() - began;
    const bench = new Bench(model, options, signal);
    progress('Warming up');
    await bench.warmUp();
    const prompt = await bench.prompt(progress);
    const decode = await bench.decode(progress);
    const residentBytes = process.memoryUsage.rss();
    const peakResidentBytes = process.resourceUsage().maxRSS * 1024;
    progress('Reading memory');
    const { bytesPerSecond } = await measureReadLimit({
      threads: model.runtime.backend.threads,
      byteLength: Math.max(LEAST_READ_BYTES, Math.min(MOST_READ_BYTES, model.weights.byteLength)),
    });
    const limit = spreadOf(bytesPerSecond);
    return {
      model: model.name,
      backend: model.runtime.backend.description,
      options,
      loadMs,
      load: { ...model.loadTimes, pageFaults },
      firstTokenMs: spreadOf(prompt.ms).median,
      loadToFirstTokenMs,
      promptTokensPerSecond: (options.prompt * 1000) / spreadOf(prompt.ms).median,
      decodeTokensPerSecond: (options.new * options.sessions * 1000) / spreadOf(decode.ms).median,
      residentBytes,
      peakResidentBytes,
      weightBytes: model.weights.byteLength,
      bytesPerDecodeStep: decode.cost.streamedBytes / options.new,
      readLimitBytesPerSecond: limit,
      prompt: phaseOf(prompt, options.prompt, limit.median),
      decode: phaseOf(decode, options.new * options.sessions, limit.median),
    };
  } finally {
    await model.close();
  }
}

function requireContext({ contextLength }: Model, { depth, prompt, new: steps }: BenchOptions): void {
  if (depth + prompt + steps > contextLength)
    throw new UsageError(
      `bench: expected --depth, --prompt and --new to fit into the context of ${contextLength} tokens together, ` +
        `found ${depth} + ${prompt} + ${steps}. Lower one, or raise --context if the model allows it.`,
    );
}

/** One phase as measured. */
interface Measured {
  readonly ms: readonly number[];
  readonly cost: Cost;
  readonly profile: readonly OpProfile[];
}

class Bench {
  readonly #model: Model;
  readonly #options: BenchOptions;
  readonly #signal: AbortSignal;
  readonly #tokens: number[];

  constructor(model: Model, options: BenchOptions, signal: AbortSignal) {
    this.#model = model;
    this.#options = options;
    this.#signal = signal;
    this.#tokens = sampleTokens(model, options.prompt);
  }

  /** Both phases once, briefly, so that the engine has compiled what it will run. */
  async warmUp(): Promise<void> {
    const session = this.#model.createSession();
    const { next } = await timePrompt(session, this.#tokens.slice(0, Math.min(64, this.#tokens.length)));
    await timeDecode(this.#model, [session], [next], 4);
    session.close();
  }

  async prompt(progress: BenchProgress): Promise<Measured> {
    const { depth, prompt } = this.#options;
    const ms = await this.#repeat('Prompt', progress, async () => {
      const session = this.#sessionAtDepth();
      const { elapsedMs } = await timePrompt(session, this.#tokens);
      session.close();
      return elapsedMs;
    });
    const passes = promptPasses(prompt, depth, this.#model.runtime.backend.maxRows);
    const profile = await this.#profile(passes, async () => {
      const session = this.#sessionAtDepth();
      return async () => {
        await timePrompt(session, this.#tokens);
        session.close();
      };
    });
    return { ms, profile, cost: costOfPlan(this.#model.runtime.plan, passes) };
  }

  async decode(progress: BenchProgress): Promise<Measured> {
    const { depth, prompt, new: steps, sessions: count } = this.#options;
    progress('Reading prompts');
    const origins = await this.#readPrompts(count);
    const start = async () => {
      const sessions = origins.map(({ session }) => session.fork());
      const first = origins.map(({ next }) => next);
      return async () => {
        const { stepMs } = await timeDecode(this.#model, sessions, first, steps);
        for (const session of sessions) session.close();
        return stepMs.reduce((sum, x) => sum + x, 0);
      };
    };
    const ms = await this.#repeat('Decode', progress, async () => (await start())());
    const passes = decodePasses(steps, count, depth + prompt);
    return {
      ms,
      profile: await this.#profile(passes, start),
      cost: costOfPlan(this.#model.runtime.plan, passes),
    };
  }

  /** Sessions of different prompts, as people's are: equal ones would choose the same experts and share their reads. */
  async #readPrompts(count: number): Promise<{ session: Session; next: number }[]> {
    const read: { session: Session; next: number }[] = [];
    for (let i = 0; i < count; i++) {
      this.#signal.throwIfAborted();
      const session = this.#sessionAtDepth(i + 1);
      const tokens = sampleTokens(this.#model, this.#options.prompt, i + 1);
      read.push({ session, next: (await timePrompt(session, tokens)).next });
    }
    return read;
  }

  #sessionAtDepth(seed = 1): Session {
    const session = this.#model.createSession();
    if (this.#options.depth > 0) fillSession(this.#model, session, this.#options.depth, seed);
    return session;
  }

  async #repeat(name: string, progress: BenchProgress, once: () => Promise<number>): Promise<number[]> {
    const ms: number[] = [];
    for (let i = 0; i < this.#options.repeat; i++) {
      progress(`${name} ${i + 1} of ${this.#options.repeat}`);
      this.#signal.throwIfAborted();
      ms.push(await once());
    }
    return ms;
  }

  /** A repetition of its own, since timing every op takes time. `prepare` is not part of the profile. */
  async #profile(
    passes: readonly Pass[],
    prepare: () => Promise<() => Promise<unknown>>,
  ): Promise<OpProfile[]> {
    const { backend, plan } = this.#model.runtime;
    const run = await prepare();
    backend.profile(true);
    await run();
    const times = backend.profile(false);
    return times ? profileOf(plan, times, passes) : [];
  }
}

function phaseOf({ ms, cost, profile }: Measured, tokens: number, readBytesPerSecond: number): Phase {
  const milliseconds = spreadOf(ms);
  const seconds = milliseconds.min / 1000;
  return {
    milliseconds,
    tokensPerSecond: spreadOf(ms.map((elapsed) => (tokens * 1000) / elapsed)),
    gigabytesPerSecond: cost.streamedBytes / seconds / 1e9,
    gigamacsPerSecond: cost.macs / seconds / 1e9,
    shareOfReadLimit: cost.streamedBytes / readBytesPerSecond / (milliseconds.median / 1000),
    profile,
  };
}
