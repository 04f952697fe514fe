// marimba inspect MODEL: what a model is, from its headers alone.
import { type CacheType, type Checkpoint, layerStrip, type ModelSpec, type Tokenizer } from '@marimba/engine';
import { quantizeNote, readEmbeddingRules, readText } from '@marimba/engine/architecture';
import { machineMemory } from '@marimba/engine/node';
import { stateLayout } from '@marimba/engine/plan';
import type { Command } from 'commander';
import { OPTIONAL_MODEL } from '../bundled.ts';
import { cacheBytesPerToken } from '../describe/memory.ts';
import { spreadOf, spreadText, whyNotHere } from '../describe/needs.ts';
import { describeCheckpoint } from '../describe/source.ts';
import { countLayers, drawStrip } from '../describe/strip.ts';
import {
  activeParameters,
  type DescribedWeight,
  describeWeights,
  sumBy,
  total,
} from '../describe/weights.ts';
import { watchInterrupt } from '../interrupt.ts';
import { openModelFiles } from '../open.ts';
import { addHubOptions, type ModelFlags, quantizeOption } from '../options.ts';
import { bold, bytes, count, dim, printJson, table, tokens, yellow } from '../terminal.ts';
import { definitions, wrapText } from '../wrap.ts';
import { examples } from './examples.ts';

const CACHE_TYPES: readonly CacheType[] = ['f32', 'f16', 'q8'];

export function register(program: Command): void {
  const command = program
    .command('inspect')
    .summary('show what is inside a model')
    .description(
      'Show what is inside a model: layers, parameters, bytes, tokenizer, state. Reads headers only.',
    )
    .argument(...OPTIONAL_MODEL)
    .option('--json', 'print an object instead')
    .addOption(quantizeOption());
  addHubOptions(command)
    .addHelpText(
      'after',
      examples([
        ['marimba inspect model.gguf', 'a file'],
        ['marimba inspect ./model --quantize q4_K', 'the memory it would take when quantised on loading'],
        ['marimba inspect ./model --json | jq .bytes', 'for scripts'],
      ]),
    )
    .action(run);
}

async function run(source: string, flags: ModelFlags & { json?: boolean }): Promise<void> {
  const interrupt = watchInterrupt();
  const checkpoint = await openModelFiles(
    source,
    { token: flags.token, endpoint: flags.endpoint },
    interrupt,
  );
  try {
    const { spec, weights: found, notes } = describeCheckpoint(checkpoint);
    const weights = describeWeights(found, { quantize: flags.quantize });
    const note = quantizeNote(found, flags.quantize ?? null);
    if (note) process.stderr.write(`${note}\n`);
    const data = await inspect(checkpoint, spec, weights, notes);
    if (flags.json) printJson(data);
    else process.stdout.write(render(data, spec, weights));
  } finally {
    await checkpoint.close();
    interrupt.release();
  }
}

async function inspect(
  checkpoint: Checkpoint,
  spec: ModelSpec,
  weights: readonly DescribedWeight[],
  notes: readonly string[],
) {
  const { tokenizer, chatTemplate, notes: textNotes } = await readText(checkpoint, spec);
  const fast = weights.filter(({ placed }) => placed.layout.packed);
  const general = weights.filter(({ placed, kind }) => !placed.layout.packed && kind === 'matrix');
  const memoryOf = ({ placed }: DescribedWeight) => placed.byteLength;
  const summary = (list: readonly DescribedWeight[]) => ({
    bytes: total(list, memoryOf),
    weights: Object.fromEntries(
      sumBy(
        list,
        ({ role, placed }) => `${role} ${placed.layout.type}`,
        () => 1,
      ),
    ),
  });
  return {
    name: checkpoint.name,
    format: checkpoint.kind,
    family: spec.name,
    layers: layerStrip(spec),
    layerCount: spec.layers.length,
    hiddenSize: spec.hiddenSize,
    vocabularySize: spec.vocabularySize,
    tiedHead: spec.tiedHead,
    contextLength: spec.contextLength,
    parameters: {
      total: total(weights, (w) => w.parameters),
      activePerToken: activeParameters(weights),
      byPart: Object.fromEntries(
        sumBy(
          weights,
          (w) => w.part,
          (w) => w.parameters,
        ),
      ),
    },
    bytes: {
      file: total(weights, (w) => w.fileBytes),
      memory: total(weights, memoryOf),
      byPart: Object.fromEntries(sumBy(weights, (w) => w.part, memoryOf)),
      byType: Object.fromEntries(sumBy(weights, (w) => w.placed.layout.type, memoryOf)),
    },
    paths: { int8: summary(fast), general: summary(general) },
    ...memoryHere(spec, weights),
    tokenizer: tokenizer ? await describeTokenizer(checkpoint, tokenizer) : null,
    chatTemplate: chatTemplate?.name ?? null,
    chatTemplateError: chatTemplate?.error ?? null,
    endTokens: spec.endTokens,
    notes: [...new Set([...notes, ...textNotes])],
    state: describeState(spec),
    embedding: await describeEmbedding(checkpoint, spec),
  };
}

/** How it would be spread over memories, what the machine has, and what stands in the way. */
function memoryHere(spec: ModelSpec, weights: readonly DescribedWeight[]) {
  const spread = spreadOf(spec, weights, { cacheType: 'f16' });
  const machine = machineMemory();
  if ('impossible' in spread)
    return { spread: null, machine, cannotRun: `cannot run here: ${spread.impossible}` };
  return { spread, machine, cannotRun: whyNotHere(spread.weightBytes + spread.workBytes, machine) };
}

/** How texts become vectors; null for models of which nothing says so. */
async function describeEmbedding(checkpoint: Checkpoint, spec: ModelSpec) {
  const { pooling, normalize, dimensions, maxTokens, prompts, defaultPrompt } = await readEmbeddingRules(
    checkpoint,
    spec,
  );
  return pooling ? { pooling, normalize, dimensions, maxTokens, prompts, defaultPrompt } : null;
}

async function describeTokenizer(checkpoint: Checkpoint, tokenizer: Tokenizer) {
  const { bos, eos, unknown, pad } = tokenizer.special;
  const named = (token: number | null) =>
    token === null ? null : { id: token, text: tokenizer.tokenText(token) };
  return {
    kind: await tokenizerKind(checkpoint),
    vocabularySize: tokenizer.vocabularySize,
    addBos: tokenizer.addBos,
    special: { bos: named(bos), eos: eos.map(named), unknown: named(unknown), pad: named(pad) },
    addedTokens: tokenizer.addedTokens().length,
  };
}

async function tokenizerKind(checkpoint: Checkpoint): Promise<string> {
  if (checkpoint.kind === 'gguf') {
    const pre = checkpoint.metadata.get('tokenizer.ggml.pre');
    return [checkpoint.metadata.get('tokenizer.ggml.model'), pre]
      .filter((part) => typeof part === 'string')
      .join(' ');
  }
  const model = (await checkpoint.tokenizerJson())?.model;
  const kind = typeof model === 'object' && model !== null && 'type' in model ? model.type : null;
  return typeof kind === 'string' ? kind : 'BPE';
}

function describeState(spec: ModelSpec) {
  const { recurrentBytes, groups } = stateLayout(spec, 'f16');
  return {
    recurrentBytes,
    cacheBytesPerToken: Object.fromEntries(CACHE_TYPES.map((type) => [type, cacheBytesPerToken(spec, type)])),
    windows: groups.flatMap(({ window }) => window ?? []),
  };
}

type Data = Awaited<ReturnType<typeof inspect>>;

function render(data: Data, spec: ModelSpec, weights: readonly DescribedWeight[]): string {
  const { parameters, state } = data;
  const sections: string[] = [
    `${bold(data.name)}  ${dim(`${data.family}, ${data.format === 'gguf' ? 'GGUF' : 'Hugging Face folder'}`)}`,
    [...drawStrip(spec), `  ${countLayers(spec)}`].join('\n'),
    table(facts(data)),
    ...(data.cannotRun ? [wrapText(yellow(`This model ${data.cannotRun}.`))] : []),
    `${bold('Weights')}\n${table(weightRows(weights))}`,
    `${bold('Arithmetic')}\n${pathLines(data)}`,
    ...(keepsNothing(state) ? [] : [`${bold('State')}\n${stateLines(state)}`]),
    `${bold('Text')}\n${textLines(data)}`,
    ...(data.embedding ? [`${bold('Embedding')}\n${embeddingLines(data.embedding)}`] : []),
  ];
  if (parameters.activePerToken !== parameters.total)
    sections.splice(
      3,
      0,
      dim(`  A token passes through ${count(parameters.activePerToken)} of the parameters.`),
    );
  return `${sections.join('\n\n')}\n`;
}

/** Encoders read a text whole, and carry nothing on. */
const keepsNothing = ({ recurrentBytes, cacheBytesPerToken }: Data['state']): boolean =>
  !recurrentBytes && Object.values(cacheBytesPerToken).every((n) => n === 0);

const stateLines = (state: Data['state']): string =>
  table([
    ['recurrent, fixed', bytes(state.recurrentBytes)],
    ...Object.entries(state.cacheBytesPerToken).map(([type, n]) => [`cache per token, ${type}`, bytes(n)]),
    ...(state.windows.length ? [['attention windows', state.windows.join(', ')]] : []),
  ]);

function embeddingLines(embedding: NonNullable<Data['embedding']>): string {
  const { pooling, normalize, dimensions, maxTokens, prompts, defaultPrompt } = embedding;
  const rows: [string, string][] = [
    ['dimensions', `${dimensions}${normalize ? ', unit length' : ''}`],
    ['pooling', pooling],
    ['longest text', `${maxTokens} tokens`],
    ...Object.entries(prompts).map(([name, text]): [string, string] => [
      `prompt ${name}${name === defaultPrompt ? ' (default)' : ''}`,
      text === '' ? 'nothing' : JSON.stringify(text),
    ]),
  ];
  return definitions(rows, (text) => text);
}

function facts(data: Data): string[][] {
  return [
    ['parameters', count(data.parameters.total)],
    ['hidden size', `${data.hiddenSize}`],
    ['vocabulary', `${data.vocabularySize}${data.tiedHead ? ', tied head' : ''}`],
    ['context', `${tokens(data.contextLength)} tokens`],
    ['in the file', bytes(data.bytes.file)],
    ['in memory', bytes(data.bytes.memory)],
    ...(data.spread && data.spread.arenas.length > 1 ? [['spread over', spreadText(data.spread)]] : []),
    ['this machine', `${bytes(data.machine.freeBytes)} free of ${bytes(data.machine.totalBytes)}`],
  ];
}

function weightRows(weights: readonly DescribedWeight[]): string[][] {
  const parameters = sumBy(
    weights,
    (w) => w.part,
    (w) => w.parameters,
  );
  const memory = sumBy(
    weights,
    (w) => w.part,
    (w) => w.placed.byteLength,
  );
  const types = (part: string) => {
    const list = weights.filter((w) => w.part === part && w.kind === 'matrix');
    return [...new Set(list.map((w) => w.placed.layout.type))].join(' ') || 'F32';
  };
  const all = total(weights, (w) => w.placed.byteLength);
  return [
    ['part', 'parameters', 'in memory', 'share', 'formats'].map((title) => dim(title)),
    ...[...parameters].map(([part, n]) => [
      part,
      count(n),
      bytes(memory.get(part) ?? 0),
      `${(((memory.get(part) ?? 0) / all) * 100).toFixed(1)}%`,
      types(part),
    ]),
  ];
}

function pathLines({ paths }: Data): string {
  const list = (weights: Record<string, number>) =>
    Object.entries(weights)
      .map(([name, n]) => (n > 1 ? `${name} ×${n}` : name))
      .join(', ');
  const rows = [['int8 dot products', bytes(paths.int8.bytes)]];
  if (paths.general.bytes > 0) rows.push(['general path, slower', bytes(paths.general.bytes)]);
  const rest =
    paths.general.bytes > 0
      ? `\n${wrapText(dim(`general: ${list(paths.general.weights)}`), undefined, '  ')}`
      : '';
  return table(rows) + rest;
}

function textLines(data: Data): string {
  const { tokenizer } = data;
  const notes = data.notes.map((note): [string, string] => ['note', note]);
  if (!tokenizer)
    return definitions(
      [
        ['tokenizer', 'none: this model takes and gives token ids'],
        ['end tokens', data.endTokens.join(', ') || 'none'],
        ...notes,
      ],
      (text) => text,
    );
  const name = (token: { id: number; text: string } | null) =>
    token ? `${token.text} (${token.id})` : 'none';
  const rows: [string, string][] = [
    [
      'tokenizer',
      `${tokenizer.kind}, ${tokenizer.vocabularySize} tokens, ${tokenizer.addedTokens} of them added`,
    ],
    ['begins with', `${name(tokenizer.special.bos)}${tokenizer.addBos ? '' : ', not added by itself'}`],
    ['ends at', tokenizer.special.eos.map(name).join(', ') || 'none'],
    ['chat template', data.chatTemplateError ? 'not valid' : data.chatTemplate ? 'yes' : 'no'],
    ...notes,
  ];
  return definitions(rows, (text) => text);
}
