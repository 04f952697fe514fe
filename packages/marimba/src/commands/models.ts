// marimba models: models on the hub that are known to load, and what each needs on this machine.
import { machineMemory } from '@marimba/engine/node';
import type { Command } from 'commander';
import { KNOWN_MODELS, type KnownModel } from '../describe/known-models.ts';
import { type Needs, needsOf, whyNotHere } from '../describe/needs.ts';
import { bytes, cyan, dim, fitTable, printJson, terminalWidth, tokens, yellow } from '../terminal.ts';
import { wrapText } from '../wrap.ts';
import { examples } from './examples.ts';

export function register(program: Command): void {
  program
    .command('models')
    .summary('list models to run, and what each needs here')
    .description(
      'List models on the hub that Marimba can load, with the size of the download, the memory that each takes, and ' +
        'whether it fits this machine.',
    )
    .option('--json', 'print an array instead')
    .addHelpText(
      'after',
      examples(
        [
          ['marimba models', 'what can I run here?'],
          ['marimba plan qwen3-4b --context 32K', 'one of them in detail'],
        ],
        'Sizes are computed from the published shapes: the download of 16-bit weights, the memory of weights that ' +
          'are quantised to q4_K while loading (--quantize q4_K). A GGUF file of Q4_K_M downloads and takes about ' +
          'that memory.',
      ),
    )
    .action(run);
}

interface Listed {
  readonly model: KnownModel;
  readonly needs: Needs;
  readonly cannotRun: string | null;
}

function run({ json }: { json?: boolean }): void {
  const { totalBytes } = machineMemory();
  const list = KNOWN_MODELS.map((model): Listed => {
    const needs = needsOf(model);
    return { model, needs, cannotRun: whyNotHere(needs.bytesAt4K, { totalBytes, freeBytes: totalBytes }) };
  });
  if (json) printJson(list.map(dataOf));
  else process.stdout.write(`${textOf(list)}\n`);
}

const dataOf = ({ model: { config: _, ...model }, needs, cannotRun }: Listed) => ({
  ...model,
  ...needs,
  cannotRun,
});

function textOf(list: readonly Listed[]): string {
  const able = list.filter(({ cannotRun }) => !cannotRun);
  const unable = list.filter(({ cannotRun }) => cannotRun);
  const sections = [
    tableOf(able),
    ...(unable.length ? [unable.map(({ model, cannotRun }) => obstacle(model, cannotRun!)).join('\n')] : []),
    footnote(),
  ];
  return sections.join('\n\n');
}

/** A row of figures for each model, and below it what it is for. */
function tableOf(list: readonly Listed[]): string {
  const titles = ['on the hub', 'downloads', 'takes', 'cache/token', 'state', 'context', 'for plan'];
  const rows = list.map(({ model, needs }) => [
    cyan(model.hub),
    bytes(needs.downloadBytes),
    bytes(needs.bytesAt4K),
    needs.cacheBytesPerToken ? bytes(needs.cacheBytesPerToken) : 'none',
    needs.stateBytes ? bytes(needs.stateBytes) : 'none',
    tokens(needs.contextLength),
    model.name,
  ]);
  const [heading, ...lines] = fitTable([titles.map((title) => dim(title)), ...rows], [6, 5, 4, 3]).split(
    '\n',
  );
  const width = terminalWidth();
  return [
    heading,
    ...lines.flatMap((line, i) => {
      const { goodFor, licence } = list[i]!.model;
      return [line, wrapText(dim(`${goodFor} · ${licence}`), width, '    ')];
    }),
  ].join('\n');
}

const obstacle = ({ hub }: KnownModel, cannotRun: string): string =>
  wrapText(`${hub} ${yellow(cannotRun)}`, terminalWidth(), '  ');

const footnote = (): string =>
  wrapText(
    'Run one with: marimba chat NAME --quantize q4_K. It downloads 16-bit weights, quantises them while loading, and ' +
      `takes that much memory with 4K tokens of context; this machine has ${bytes(machineMemory().totalBytes)}. Sizes are computed ` +
      'from the published shapes. The families are tested on small models against the reference implementations; ' +
      'these models themselves were not run for this list.',
    terminalWidth(),
  );
