// `npm run bench:browser`: load, prompt and decoding in headless Chromium, this engine and @wllama/wllama
// (llama.cpp compiled to WebAssembly) alternately, each in a fresh browser, on cross-origin isolated pages
// with two threads; and this engine on a page without isolation, where it has the calling thread only.
//
// Both run a Llama-shaped file of 1B parameters, and both try the full-size Jamba; a side that fails says so
// and leaves the other's figures standing. The files are Q4_K_M by default: wllama multiplies Q4_0 without
// SIMD and would be half as fast on it, which would say little.
import { writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Spread, spreadOf } from '@marimba/engine/measure';
import { defaultCacheFolder } from '@marimba/engine/node';
import { findChromium, startChromium } from '../packages/engine/test/browser/chromium.ts';
import { serve } from '../packages/engine/test/browser/serve.ts';
import { buildKernels } from '../scripts/build-kernels.ts';
import {
  type BrowserFigures,
  type BrowserTask,
  measureOursInPage,
  measureWllamaInPage,
} from './browser-page.ts';
import { describeMachine } from './machine.ts';
import { syntheticModel } from './make-synthetic.ts';
import { installPeers } from './peer-installation.ts';
import { MIXES } from './synthetic-parts.ts';
import { JAMBA_3B, LLAMA_1B } from './synthetic-shapes.ts';

const HELP = `Usage: npm run bench:browser -- [options]

  --model FILE   a GGUF file for both, instead of the synthetic ones
  --repeat N     repetitions on each side (default 3); the page without isolation is measured once
  --threads N    threads on isolated pages (default 2)
  --output FILE  where the figures go as JSON (default: the cache folder)
  --mix NAME     q4_0 or q4_K_M (default) for the synthetic files
  --small        only the Llama-shaped file

On two cores a repetition takes about 2 minutes for the Llama-shaped file and 1 for the Jamba.
`;

interface Contender {
  readonly name: string;
  readonly isolated: boolean;
  /** The most repetitions. */
  readonly most?: number;
  readonly run: (task: BrowserTask) => Promise<BrowserFigures>;
}

const OURS: Contender = { name: 'ours', isolated: true, run: measureOursInPage };
const OURS_ALONE: Contender = {
  name: 'ours, not isolated',
  isolated: false,
  most: 1,
  run: measureOursInPage,
};
const WLLAMA: Contender = { name: 'wllama', isolated: true, run: measureWllamaInPage };

interface Result {
  readonly model: string;
  readonly contender: string;
  readonly description: string;
  readonly loadMs: Spread;
  readonly promptTokensPerSecond: Spread;
  readonly decodeTokensPerSecond: Spread;
}

type Figure = 'loadMs' | 'promptTokensPerSecond' | 'decodeTokensPerSecond';

async function runInBrowser(
  contender: Contender,
  model: string,
  task: Omit<BrowserTask, 'url'>,
): Promise<BrowserFigures> {
  const executable = findChromium();
  if (!executable)
    throw new Error('bench:browser: expected a Chromium, found none. Install one or set CHROMIUM_PATH.');
  const root = join(import.meta.dirname, '..');
  const pages = { '/': '<!doctype html><title>bench</title>' };
  const served = await serve({ root, isolated: contender.isolated, files: { '/model.gguf': model }, pages });
  const browser = await startChromium(executable);
  try {
    const page = await browser.newPage();
    page.on('crash', () => process.stderr.write(`${contender.name}: the page crashed\n`));
    await page.goto(served.origin);
    return await page.evaluate(contender.run, { url: `${served.origin}/model.gguf`, ...task });
  } finally {
    await browser.close();
    await served.close();
  }
}

async function compare(
  model: string,
  contenders: readonly Contender[],
  repeat: number,
  task: Omit<BrowserTask, 'url'>,
): Promise<Result[]> {
  const runs = new Map<Contender, BrowserFigures[]>(contenders.map((contender) => [contender, []]));
  const failed = new Set<Contender>();
  for (let i = 0; i < repeat; i++) {
    for (const contender of contenders) {
      if (i >= (contender.most ?? repeat) || failed.has(contender)) continue;
      process.stderr.write(`${basename(model)}  ${contender.name}  ${i + 1} of ${repeat}\n`);
      try {
        runs.get(contender)!.push(await runInBrowser(contender, model, task));
      } catch (error) {
        failed.add(contender);
        process.stderr.write(
          `${contender.name}: ${error instanceof Error ? error.message : String(error)}\n`,
        );
      }
    }
  }
  return [...runs].flatMap(([contender, figures]) => {
    if (figures.length === 0) return [];
    const of = (name: Figure) => spreadOf(figures.map((f) => f[name]));
    return [
      {
        model: basename(model),
        contender: contender.name,
        description: figures[0]!.description,
        loadMs: of('loadMs'),
        promptTokensPerSecond: of('promptTokensPerSecond'),
        decodeTokensPerSecond: of('decodeTokensPerSecond'),
      },
    ];
  });
}

function format(results: readonly Result[]): string {
  const cell = ({ min, median, max }: Spread, digits: number) =>
    `${median.toFixed(digits)} (${min.toFixed(digits)} … ${max.toFixed(digits)})`;
  return results
    .map(
      (r) =>
        `${r.model}  ${r.contender}\n  ${r.description}\n  load ${cell(r.loadMs, 0)} ms, prompt ` +
        `${cell(r.promptTokensPerSecond, 1)} tokens/s, decode ${cell(r.decodeTokensPerSecond, 1)} tokens/s`,
    )
    .join('\n');
}

/** This engine's medians over wllama's, for each file. */
function ratios(results: readonly Result[]): string {
  return [...new Set(results.map(({ model }) => model))]
    .map((model) => {
      const of = (contender: Contender) =>
        results.find((r) => r.model === model && r.contender === contender.name);
      const [ours, peer] = [of(OURS), of(WLLAMA)];
      if (!ours || !peer) return `${model}: no ratios, one side has no figures`;
      const ratio = (name: Figure) => `${(ours[name].median / peer[name].median).toFixed(2)}×`;
      return `${model}: ours / wllama: load ${ratio('loadMs')}, prompt ${ratio('promptTokensPerSecond')}, decode ${ratio('decodeTokensPerSecond')}`;
    })
    .join('\n');
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      model: { type: 'string' },
      repeat: { type: 'string', default: '3' },
      threads: { type: 'string', default: '2' },
      output: { type: 'string' },
      mix: { type: 'string', default: 'q4_K_M' },
      small: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const mix = MIXES.find((name) => name === values.mix);
  if (!mix) throw new Error(`--mix: expected one of ${MIXES.join(', ')}, found ${values.mix}`);
  await buildKernels();
  installPeers();
  const machine = describeMachine();
  const repeat = Number(values.repeat);
  const task = { prompt: 256, steps: 48, threads: Number(values.threads) };
  const shared = values.model ? resolve(values.model) : await syntheticModel(mix, LLAMA_1B);
  const results = await compare(shared, [OURS, WLLAMA, OURS_ALONE], repeat, task);
  if (!values.model && !values.small) {
    const jamba = await syntheticModel(mix, JAMBA_3B);
    results.push(...(await compare(jamba, [OURS, WLLAMA, OURS_ALONE], repeat, task)));
  }
  const output = values.output ?? join(defaultCacheFolder(), 'bench', 'browser.json');
  await writeFile(output, `${JSON.stringify({ machine, ...task, repeat, results }, null, 2)}\n`);
  process.stdout.write(`${format(results)}\n${ratios(results)}\nFigures: ${output}\n`);
}

await main();
