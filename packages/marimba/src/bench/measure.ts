// What `marimba bench` measures, as data: the load, both phases, memory, the limit of memory reads, and where
// the time went.

import { type LoadModelOptions, loadModel, type Model, type Session, UsageError } from '@marimba/engine';
import {
  coreOf,
  costOfOp,
  costOfPlan,
  decodePasses,
  fillSession,
  type Limits,
  leastSeconds,
  measurePeaks,
  measureReadLimit,
  mostLikely,
  type OpProfile,
  type Pass,
  profileOf,
  promptPasses,
  type Spread,
  sampleTokens,
  spreadOf,
  sumOfCosts,
  timeDecode,
  timePrompt,
} from '@marimba/engine/measure';
import type { OpTimes } from '@marimba/engine/plan';
import { locate } from '../bundled.ts';

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
  /**
   * The time that reading those bytes alone would take, over the time taken (medians). 1 is the limit of
   * memory.
   */
  readonly shareOfReadLimit: number;
  /**
   * What all ops would take at the machine's limits (reading what they must read, or multiplying, whichever
   * takes longer), over the time taken (medians).
   */
  readonly shareOfLimits: number;
  readonly profile: readonly OpProfile[];
}

export interface BenchResult {
  readonly model: string;
  readonly backend: string;
  readonly options: BenchOptions;
  /** From the file to a model that is ready. */
  readonly loadMs: number;
  /**
   * Its parts. Page faults are what bounds it on some machines: one for every 4 KiB that is touched for the
   * first time.
   */
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
  /** Peaks of multiplying and adding, of loops that do nothing else. */
  readonly byteProductsPerSecond: number;
  readonly floatProductsPerSecond: number;
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
    progress('Measuring limits');
    const { threads } = model.describe();
    const { bytesPerSecond } = await measureReadLimit({
      threads,
      byteLength: Math.max(LEAST_READ_BYTES, Math.min(MOST_READ_BYTES, model.memory.weightBytes)),
    });
    const readLimit = spreadOf(bytesPerSecond);
    const peaks = await measurePeaks({ threads });
    const limits = { readBytes: readLimit.median, byteProducts: peaks.bytes, floatProducts: peaks.floats };
    return {
      model: model.name,
      backend: model.describe().backend,
      options,
      loadMs,
      load: { ...model.loadTimes, pageFaults },
      firstTokenMs: spreadOf(prompt.ms).median,
      loadToFirstTokenMs,
      promptTokensPerSecond: (options.prompt * 1000) / spreadOf(prompt.ms).median,
      decodeTokensPerSecond: (options.new * options.sessions * 1000) / spreadOf(decode.ms).median,
      residentBytes,
      peakResidentBytes,
      weightBytes: model.memory.weightBytes,
      bytesPerDecodeStep: costOfPlan(coreOf(model).runtime.plan, decode.passes).streamedBytes / options.new,
      readLimitBytesPerSecond: readLimit,
      byteProductsPerSecond: peaks.bytes,
      floatProductsPerSecond: peaks.floats,
      prompt: phaseOf(model, prompt, options.prompt, limits),
      decode: phaseOf(model, decode, options.new * options.sessions, limits),
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
  readonly passes: readonly Pass[];
  /**
   * Of every op, in a repetition of its own, since taking them takes time. Null where the backend keeps none.
   */
  readonly times: OpTimes | null;
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
    const passes = promptPasses(prompt, depth, this.#model.describe().batchTokens);
    const times = await this.#opTimes(async () => {
      const session = this.#sessionAtDepth();
      return async () => {
        await timePrompt(session, this.#tokens);
        session.close();
      };
    });
    return { ms, passes, times };
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
    return { ms, passes: decodePasses(steps, count, depth + prompt), times: await this.#opTimes(start) };
  }

  /**
   * Sessions of different prompts, as people's are: equal ones would choose the same experts and share their
   * reads.
   */
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

  /** `prepare` is not part of what is timed. */
  async #opTimes(prepare: () => Promise<() => Promise<unknown>>): Promise<OpTimes | null> {
    const { backend } = coreOf(this.#model).runtime;
    const run = await prepare();
    backend.profile(true);
    await run();
    return backend.profile(false);
  }
}

const costsOf = (model: Model, passes: readonly Pass[]) => {
  const { plan } = coreOf(model).runtime;
  return plan.ops.map((op, index) => costOfOp(op, index >= plan.headStart, passes));
};

function phaseOf(model: Model, { ms, passes, times }: Measured, tokens: number, limits: Limits): Phase {
  const milliseconds = spreadOf(ms);
  const median = milliseconds.median / 1000;
  const costs = costsOf(model, passes);
  const { streamedBytes, macs } = sumOfCosts(costs);
  const least = costs.reduce((sum, cost) => sum + leastSeconds(cost, limits), 0);
  return {
    milliseconds,
    tokensPerSecond: spreadOf(ms.map((elapsed) => (tokens * 1000) / elapsed)),
    gigabytesPerSecond: streamedBytes / milliseconds.min / 1e6,
    gigamacsPerSecond: macs / milliseconds.min / 1e6,
    shareOfReadLimit: streamedBytes / limits.readBytes / median,
    shareOfLimits: least / median,
    profile: times ? profileOf(coreOf(model).runtime.plan, times, passes, limits) : [],
  };
}
