// marimba tokenizer: learn a byte-level BPE vocabulary from text, and look at what a tokenizer does.
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FormatError, UsageError } from '@marimba/engine';
import type { Command } from 'commander';
import { collect, wholeNumber } from '../options.ts';
import { StatusLine } from '../status-line.ts';
import { plural, printJson } from '../terminal.ts';
import { examples } from './examples.ts';

interface TrainFlags {
  readonly vocabulary: number;
  readonly out: string;
  readonly special?: string[];
  readonly minFrequency: number;
  readonly json?: boolean;
}

interface CountFlags {
  readonly tokenizer: string;
  readonly json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('tokenizer')
    .summary('learn a vocabulary from text')
    .description('Learn a byte-level BPE vocabulary, or measure one.')
    .addHelpText(
      'after',
      examples([
        [
          'marimba tokenizer train corpus/ --vocabulary 4096 --out model/',
          'learn a vocabulary from a folder of texts',
        ],
        [
          'marimba tokenizer count book.txt --tokenizer model/tokenizer.json',
          'how well a vocabulary fits another text',
        ],
      ]),
    );
  command
    .command('train')
    .description(
      'Learn a vocabulary and write tokenizer.json, in the form that Hugging Face tokenizers read.',
    )
    .argument('<INPUT...>', 'text files, JSONL files (field "text") or folders of them')
    .option('--vocabulary <N>', 'size of the vocabulary', wholeNumber(257, 1_000_000), 8192)
    .option('--out <FOLDER>', 'folder for tokenizer.json and tokenizer_config.json', '.')
    .option(
      '--special <TOKEN>',
      'a special token; the first one ends documents; may be repeated (default: <|endoftext|>)',
      collect,
    )
    .option('--min-frequency <N>', 'merge no pair that occurs less often', wholeNumber(1), 2)
    .option('--json', 'print an object instead')
    .addHelpText(
      'after',
      examples([
        ['marimba tokenizer train corpus/ --vocabulary 4096 --out model/', 'from a folder of texts'],
      ]),
    )
    .action(train);
  command
    .command('count')
    .description('Count the tokens of texts.')
    .argument('<INPUT...>', 'text files, JSONL files or folders of them')
    .requiredOption('--tokenizer <FILE>', 'a tokenizer.json')
    .option('--json', 'print an object instead')
    .action(count);
}

async function train(inputs: string[], flags: TrainFlags): Promise<void> {
  const { readDocuments, trainTokenizer } = await import('@marimba/lab');
  const { writeWhole } = await import('@marimba/lab/tools');
  const status = new StatusLine();
  const texts: string[] = [];
  let bytes = 0;
  for await (const { text } of readDocuments(inputs)) {
    texts.push(text);
    bytes += Buffer.byteLength(text);
    status.show(`Reading: ${plural(texts.length, 'document')}, ${plural(bytes, 'byte')}`);
  }
  const trained = trainTokenizer(texts, {
    vocabularySize: flags.vocabulary,
    minFrequency: flags.minFrequency,
    specialTokens: flags.special,
    onProgress: (made, wanted) => status.show(`Merging: ${made} of ${wanted} symbols`),
  });
  status.clear();
  const path = join(flags.out, 'tokenizer.json');
  await mkdir(dirname(path), { recursive: true });
  await writeWhole(path, `${JSON.stringify(trained.json, null, 1)}\n`);
  await writeWhole(join(flags.out, 'tokenizer_config.json'), `${JSON.stringify(trained.config, null, 1)}\n`);
  const tokens = texts.reduce((sum, text) => sum + trained.tokenizer.encode(text).length, 0);
  const report = {
    path,
    vocabularySize: trained.tokenizer.vocabularySize,
    documents: texts.length,
    bytes,
    tokens,
    bytesPerToken: bytes / tokens,
  };
  if (flags.json) printJson(report);
  else
    process.stdout.write(
      `${path}: ${plural(report.vocabularySize, 'token')}, ${report.bytesPerToken.toFixed(2)} bytes per token on this text\n`,
    );
  if (report.vocabularySize < flags.vocabulary)
    process.stderr.write(
      `The text has no more pairs that occur ${flags.minFrequency} times: the vocabulary is smaller than ${flags.vocabulary}.\n`,
    );
}

async function count(inputs: string[], flags: CountFlags): Promise<void> {
  const { readTokenizer, tokenise } = await import('@marimba/lab/tools');
  const text = await readFile(flags.tokenizer, 'utf8').catch(() => {
    throw new UsageError(`${flags.tokenizer}: expected a tokenizer.json, found nothing that can be read`);
  });
  const tokenizer = readTokenizer(parse(text, flags.tokenizer), null, flags.tokenizer);
  const hash = createHash('sha256').update(text).digest('hex');
  const data = await tokenise(inputs, { tokenizer, tokenizerHash: hash });
  const bytes = data.byteLengths.reduce((sum, b) => sum + b, 0);
  // Each document's end token is not part of its text.
  const documents = data.byteLengths.length;
  const tokens = data.tokens.length - documents;
  if (flags.json) printJson({ documents, bytes, tokens, bytesPerToken: bytes / tokens });
  else
    process.stdout.write(
      `${plural(documents, 'document')}, ${plural(bytes, 'byte')}, ${plural(tokens, 'token')}: ` +
        `${(bytes / tokens).toFixed(2)} bytes per token\n`,
    );
}

function parse(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${file}: expected JSON, found ${(error as Error).message}`);
  }
}
