// marimba embed MODEL: texts as vectors, for search, clustering and comparison.
import { writeFile } from 'node:fs/promises';
import { type Embedding, type EmbedOptions, type Model, type Pooling, UsageError } from '@marimba/engine';
import { type Command, Option } from 'commander';
import { watchInterrupt } from '../interrupt.ts';
import { loadForCommand } from '../open.ts';
import { addModelOptions, loadOptions, type ModelFlags, wholeNumber } from '../options.ts';
import { Progress } from '../progress.ts';
import { plural, printJson } from '../terminal.ts';
import { readLines } from '../texts.ts';
import { examples } from './examples.ts';

interface EmbedFlags extends ModelFlags {
  readonly file?: string;
  readonly pooling?: Pooling;
  readonly prompt?: string;
  readonly dimensions?: number;
  readonly normalize?: boolean;
  readonly output?: string;
  readonly compare?: boolean;
  readonly json?: boolean;
}

const POOLINGS: readonly Pooling[] = ['mean', 'cls', 'last', 'max', 'weightedMean', 'meanSqrt'];

export function register(program: Command): void {
  const command = program
    .command('embed')
    .summary('turn texts into vectors')
    .description('Turn texts into vectors with an embedder: a line of numbers for each text.')
    .argument('<MODEL>', 'file, folder or hub name of an embedder')
    .argument('[TEXT...]', 'the texts; none: each line of --file')
    .option('--file <FILE>', 'each line is a text; - is standard input')
    .addOption(
      new Option(
        '--pooling <KIND>',
        'how the states of tokens become one vector (default: as the files say)',
      ).choices(POOLINGS),
    )
    .option('--prompt <NAME>', "what the texts begin with: a name among the model's prompts, such as query")
    .option('--dimensions <N>', 'keep the first N numbers, for models made for it', wholeNumber(1))
    .option('--no-normalize', 'leave vectors at the length they have')
    .option('--compare', 'print the cosine of each text with the first instead of vectors')
    .option('--output <FILE>', 'write raw little-endian float32, one row per text')
    .option('--json', 'print an object instead');
  addModelOptions(command)
    .addHelpText(
      'after',
      examples([
        ['marimba embed ./all-MiniLM-L6-v2 "why is the sky blue?"', 'one vector'],
        ['marimba embed ./all-MiniLM-L6-v2 "a cat" "a kitten" "a car" --compare', 'how alike texts are'],
        ['marimba embed model.gguf --file passages.txt --output passages.f32', 'a file of many'],
      ]),
    )
    .action(run);
}

async function run(source: string, given: string[], flags: EmbedFlags): Promise<void> {
  const texts = [...given, ...(flags.file ? readLines(flags.file, 'embed') : [])];
  if (!texts.length) throw new UsageError('embed: expected a text, or --file FILE with one on each line');
  const interrupt = watchInterrupt();
  const model = await loadForCommand(source, loadOptions(flags), interrupt);
  const progress = new Progress();
  try {
    const embeddings = await model.embed(texts, {
      ...optionsOf(flags),
      signal: interrupt.signal,
      onProgress: ({ done, total }) => {
        if (total > 64) progress.show('Embedding', done, total, '', (count) => plural(count, 'text'));
      },
    });
    progress.clear();
    await report(model, texts, embeddings, flags);
  } catch (error) {
    interrupt.check();
    throw error;
  } finally {
    progress.clear();
    interrupt.release();
    await model.close();
  }
}

const optionsOf = ({ pooling, prompt, dimensions, normalize }: EmbedFlags): EmbedOptions => ({
  pooling,
  prompt,
  dimensions,
  normalize: normalize === false ? false : undefined,
});

async function report(
  model: Model,
  texts: readonly string[],
  embeddings: readonly Embedding[],
  flags: EmbedFlags,
): Promise<void> {
  const cut = embeddings.filter(({ truncated }) => truncated).length;
  if (cut) {
    const most = `${model.embedding.maxTokens} tokens`;
    process.stderr.write(
      `${cut} of ${plural(texts.length, 'text')} had more than ${most}: their ends were cut.\n`,
    );
  }
  const dimensions = embeddings[0]!.vector.length;
  if (flags.output) {
    await writeFile(flags.output, Buffer.concat(embeddings.map(({ vector }) => littleEndian(vector))));
    process.stderr.write(`Wrote ${texts.length} × ${dimensions} float32 to ${flags.output}\n`);
  }
  const cosines = flags.compare
    ? embeddings.map(({ vector }) => cosine(embeddings[0]!.vector, vector))
    : null;
  if (flags.json)
    printJson({
      dimensions,
      ...(flags.output ? { output: flags.output } : {}),
      embeddings: embeddings.map(({ vector, tokenCount, truncated }, i) => ({
        text: texts[i],
        tokenCount,
        truncated,
        ...(cosines ? { cosine: cosines[i] } : {}),
        ...(flags.output ? {} : { vector: Array.from(vector) }),
      })),
    });
  else if (cosines) for (const [i, value] of cosines.entries()) print(`${value.toFixed(4)}  ${texts[i]}`);
  else if (!flags.output) for (const { vector } of embeddings) print(Array.from(vector).join(' '));
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b) || 1);
}

function littleEndian(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setFloat32(i * 4, value, true));
  return bytes;
}
