// One side of the comparison of embedders: batches of texts of one length, after a warm-up of each.
import { basename, dirname, resolve } from 'node:path';
import { loadModel } from '@marimba/engine';
import { answer, readTask } from './children.ts';
import { watchOthers } from './timing.ts';

export interface EmbedCase {
  readonly batch: number;
  readonly length: number;
}

export interface EmbedTask {
  readonly side: 'marimba f32' | 'marimba int8' | 'transformers.js fp32' | 'transformers.js q8';
  readonly model: string;
  readonly threads: number;
  readonly cases: readonly EmbedCase[];
  /** Of each length in tokens, as many as the largest batch. */
  readonly texts: Readonly<Record<number, readonly string[]>>;
  /** Measured for so long at least. */
  readonly milliseconds: number;
}

export interface EmbedFigures {
  /** In the order of the cases. */
  readonly rows: readonly { readonly textsPerSecond: number; readonly cpuMsPerText: number }[];
  /** The first vectors of the first case with the largest batch, to compare sides with. */
  readonly vectors: readonly (readonly number[])[];
  readonly busyElsewhere: number;
}

type Embed = (texts: readonly string[]) => Promise<readonly Float32Array[]>;

const task = readTask<EmbedTask>();
const busyElsewhere = watchOthers();
const embed = task.side.startsWith('marimba') ? await ours(task) : await peers(task);
const rows: EmbedFigures['rows'][number][] = [];
for (const { batch, length } of task.cases) rows.push(await measure(task.texts[length]!.slice(0, batch)));
const shown = await embed(task.texts[task.cases[0]!.length]!.slice(0, 4));
answer({
  rows,
  vectors: shown.map((vector) => Array.from(vector)),
  busyElsewhere: busyElsewhere(),
} satisfies EmbedFigures);

async function measure(texts: readonly string[]): Promise<EmbedFigures['rows'][number]> {
  await embed(texts);
  const before = process.cpuUsage();
  const began = performance.now();
  let runs = 0;
  do {
    await embed(texts);
    runs++;
  } while (performance.now() - began < task.milliseconds);
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(before);
  const count = runs * texts.length;
  return { textsPerSecond: count / seconds, cpuMsPerText: (user + system) / 1000 / count };
}

async function ours({ side, model, threads }: EmbedTask): Promise<Embed> {
  const exact = { activations: 'f32' } as const;
  const fast = { quantize: 'q8_0', activations: 'int8' } as const;
  const loaded = await loadModel(model, { threads, ...(side === 'marimba int8' ? fast : exact) });
  return async (texts) => (await loaded.embed(texts)).map(({ vector }) => vector);
}

/** It pads the texts of a call to one length, which costs nothing here: all have the same. */
async function peers({ side, model, threads }: EmbedTask): Promise<Embed> {
  const { env, pipeline } = await import('@huggingface/transformers');
  env.allowRemoteModels = false;
  env.localModelPath = `${dirname(resolve(model))}/`;
  const embedder = await pipeline('feature-extraction', basename(resolve(model)), {
    dtype: side === 'transformers.js q8' ? 'q8' : 'fp32',
    device: 'cpu',
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
  });
  return async (texts) => {
    const { data } = await embedder(texts, { pooling: 'mean', normalize: true });
    const size = data.length / texts.length;
    return texts.map((_, i) => data.slice(i * size, (i + 1) * size));
  };
}
