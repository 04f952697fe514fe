// `npm run bench:arenas [SMALL LARGE]`: what a model beyond 4 GiB costs for lying in several WebAssembly memories.
// Both models decode in turns in one process; per second the large one must read about as many bytes as the small
// one, which lies in one memory. Then the large one is loaded again over one memory more: the same logits.
//
// Default: synthetic files of Qwen3.5-4B's and 9B's shapes (q4_K_M, 2.5 and 5.2 GiB), made once. Wants 10 GiB free.
import { loadModel, type Model } from '@marimba/engine';
import {
  coreOf,
  costOfPlan,
  decodePasses,
  mostLikely,
  sampleTokens,
  spreadOf,
  timeDecode,
} from '@marimba/engine/measure';
import { syntheticModel } from './make-synthetic.ts';
import { HYBRIDS } from './synthetic-hybrids.ts';
import { watchOthers } from './timing.ts';

const ROUNDS = 7;
const STEPS = 8;
const PROMPT = 64;
const THREADS = 2;

interface Measured {
  readonly model: Model;
  /** Read per token. */
  readonly bytes: number;
  decode(): Promise<number>;
}

async function open(path: string): Promise<Measured> {
  const model = await loadModel(path, { threads: THREADS, contextLength: 4096 });
  const session = model.createSession();
  let next = mostLikely(await session.prefill(sampleTokens(model, PROMPT)));
  const passes = decodePasses(1, 1, PROMPT);
  return {
    model,
    bytes: costOfPlan(coreOf(model).runtime.plan, passes).streamedBytes,
    /** Milliseconds per token. */
    async decode() {
      const { stepMs, tokens } = await timeDecode(model, [session], [next], STEPS);
      next = tokens[0]!.at(-1)!;
      return spreadOf(stepMs).median;
    },
  };
}

const arenasOf = (model: Model) => coreOf(model).runtime.backend.arenas;

async function inTurns(measured: readonly Measured[]): Promise<number[]> {
  const others = watchOthers();
  const speeds = measured.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++)
    for (const [i, { bytes, decode }] of measured.entries()) speeds[i]!.push(bytes / (await decode()) / 1e6);
  process.stdout.write(`others took ${(others() * 100).toFixed(0)} % of the processors\n`);
  return measured.map(({ model, bytes }, i) => {
    const { min, median, max } = spreadOf(speeds[i]!);
    process.stdout.write(
      `${model.name}: ${arenasOf(model).length} memories, ${(bytes / 1e9).toFixed(2)} GB per token, ` +
        `${((median / bytes) * 1e9).toFixed(2)} tokens/s, ${median.toFixed(1)} GB/s (${min.toFixed(1)}–${max.toFixed(1)})\n`,
    );
    return median;
  });
}

async function logitsOf(path: string, cuts?: readonly number[]): Promise<Float32Array> {
  await using model = await loadModel(path, { threads: THREADS, contextLength: 4096, cuts });
  return await model.createSession().prefill(sampleTokens(model, PROMPT));
}

const [small, large] = process.argv.slice(2);
const shape = (name: string) => syntheticModel('q4_K_M', HYBRIDS.find((one) => one.name === name)!);
const paths = [small ?? (await shape('qwen3.5-4b')), large ?? (await shape('qwen3.5-9b'))] as const;
const measured = [await open(paths[0]), await open(paths[1])];
const [one, several] = await inTurns(measured);
process.stdout.write(`GB/s of the large model ÷ the small one's: ${(several! / one!).toFixed(3)}\n`);
const { layout } = coreOf(measured[1]!.model).runtime;
const cuts = [...layout.cuts, layout.spec.layers.length - 1];
for (const { model } of measured) await model.close();
const [expected, found] = [await logitsOf(paths[1]), await logitsOf(paths[1], cuts)];
const same = expected.every((value, i) => Object.is(value, found[i]));
process.stdout.write(`logits over ${cuts.length + 1} memories: ${same ? 'the same' : 'DIFFERENT'}\n`);
if (!same) process.exitCode = 1;
