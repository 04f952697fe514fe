// What runs inside the page of a browser measurement. Each function is sent to the page by itself, so it may
// use nothing of this file but types.

export interface BrowserTask {
  /** Where the model file is served. */
  readonly url: string;
  readonly prompt: number;
  readonly steps: number;
  readonly threads: number;
}

export interface BrowserFigures {
  readonly description: string;
  readonly loadMs: number;
  readonly promptTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
}

/** The file is fetched before the clock starts: a page that was visited before has it at hand. */
export async function measureOursInPage(task: BrowserTask): Promise<BrowserFigures> {
  const engine = '/packages/engine/src/index.ts';
  const measure = '/packages/engine/src/entries/measure.ts';
  const { loadModel } = (await import(engine)) as typeof import('@marimba/engine');
  const { timePrompt, timeDecode, sampleTokens } = (await import(
    measure
  )) as typeof import('@marimba/engine/measure');
  const blob = await (await fetch(task.url)).blob();
  const began = performance.now();
  const model = await loadModel([{ name: 'model.gguf', blob }], { threads: task.threads });
  const loadMs = performance.now() - began;
  const warm = model.createSession();
  const { next } = await timePrompt(warm, sampleTokens(model, 32));
  await timeDecode(model, [warm], [next], 4);
  warm.close();
  const session = model.createSession();
  const prompt = await timePrompt(session, sampleTokens(model, task.prompt));
  const { stepMs } = await timeDecode(model, [session], [prompt.next], task.steps);
  const description = model.describe().backend;
  await model.close();
  return {
    description,
    loadMs,
    promptTokensPerSecond: (task.prompt * 1000) / prompt.elapsedMs,
    decodeTokensPerSecond: (task.steps * 1000) / stepMs.reduce((sum, ms) => sum + ms, 0),
  };
}

/** wllama takes text; its own counts and clocks say how many tokens that was. */
export async function measureWllamaInPage(task: BrowserTask): Promise<BrowserFigures> {
  interface Timings {
    readonly prompt_n: number;
    readonly prompt_ms: number;
    readonly predicted_n: number;
    readonly predicted_ms: number;
  }
  interface Wllama {
    loadModel(blobs: Blob[], params: object): Promise<void>;
    createCompletion(params: object): Promise<{ timings?: Timings }>;
    getNumThreads(): number;
    exit(): Promise<void>;
  }
  const folder = '/bench/node_modules/@wllama/wllama/esm';
  const { Wllama } = (await import(`${folder}/index.js`)) as {
    Wllama: new (paths: Record<string, string>, config: object) => Wllama;
  };
  const blob = await (await fetch(task.url)).blob();
  const wllama = new Wllama(
    { default: `${location.origin}${folder}/wasm/wllama.wasm` },
    { suppressNativeLog: true },
  );
  const began = performance.now();
  await wllama.loadModel([blob], { n_ctx: 1024, n_threads: task.threads, n_gpu_layers: 0, log_level: 4 });
  const loadMs = performance.now() - began;
  // Letters are tokens of one byte in the made-up vocabulary; the first of each text differs, so that nothing
  // is reused.
  const letters = (first: string, count: number) =>
    first + Array.from({ length: count - 1 }, (_, i) => String.fromCharCode(97 + ((i * 7) % 26))).join('');
  const complete = async (prompt: string, tokens: number) => {
    const options = { prompt, max_tokens: tokens, temperature: 0, ignore_eos: true, cache_prompt: false };
    const { timings } = await wllama.createCompletion(options);
    if (!timings) throw new Error('wllama: expected timings in its answer, found none');
    return timings;
  };
  await complete(letters('A', 32), 4);
  const t = await complete(letters('B', task.prompt), task.steps + 1);
  const threads = wllama.getNumThreads();
  await wllama.exit();
  return {
    description: `wllama, ${threads} threads, ${t.prompt_n} prompt tokens, ${t.predicted_n} new`,
    loadMs,
    promptTokensPerSecond: (t.prompt_n * 1000) / t.prompt_ms,
    // Its clock for new tokens starts when the first has been chosen.
    decodeTokensPerSecond: ((t.predicted_n - 1) * 1000) / t.predicted_ms,
  };
}
