// marimba rerank MODEL: documents in the order in which they answer a query.
import type { Command } from 'commander';
import { watchInterrupt } from '../interrupt.ts';
import { loadForCommand } from '../open.ts';
import { addModelOptions, loadOptions, type ModelFlags, wholeNumber } from '../options.ts';
import { Progress } from '../progress.ts';
import { dim, plural, printJson, table } from '../terminal.ts';
import { readLines, readText } from '../texts.ts';
import { examples } from './examples.ts';

interface RerankFlags extends ModelFlags {
  readonly query: string;
  readonly instruction?: string;
  readonly lines?: boolean;
  readonly top?: number;
  readonly json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('rerank')
    .summary('sort documents by how well they answer')
    .description('Sort documents by how well they answer a query, with a reranker.')
    .argument('<MODEL>', 'file, folder or hub name of a reranker')
    .argument('<FILE...>', 'the documents, a file each; - is standard input')
    .requiredOption('--query <TEXT>', 'what the documents are to answer')
    .option('--instruction <TEXT>', 'what the query asks of a document, where the model reads instructions')
    .option('--lines', 'each line of the files is a document')
    .option('--top <N>', 'print the best N only', wholeNumber(1))
    .option('--json', 'print an object instead');
  addModelOptions(command)
    .addHelpText(
      'after',
      examples([
        ['marimba rerank ./Qwen3-Reranker-0.6B --query "how are bars tuned?" docs/*.md', 'files'],
        ['marimba rerank ./ms-marco-MiniLM --query "tuning" --lines passages.txt --top 5', 'lines of a file'],
      ]),
    )
    .action(run);
}

interface Document {
  readonly name: string;
  readonly text: string;
}

async function run(source: string, files: string[], flags: RerankFlags): Promise<void> {
  const documents = files.flatMap((file) => documentsOf(file, flags.lines === true));
  const interrupt = watchInterrupt();
  const model = await loadForCommand(source, loadOptions(flags), interrupt);
  const progress = new Progress();
  try {
    const ranked = await model.rerank(
      flags.query,
      documents.map(({ text }) => text),
      {
        instruction: flags.instruction,
        topN: flags.top,
        signal: interrupt.signal,
        onProgress: ({ done, total }) =>
          progress.show('Reading', done, total, '', (count) => plural(count, 'document')),
      },
    );
    progress.clear();
    const rows = ranked.map((one) => ({ ...one, document: documents[one.index]!.name }));
    if (flags.json) return printJson({ query: flags.query, documents: rows });
    const titles = ['score', 'tokens', 'document'].map((title) => dim(title));
    const cells = rows.map(({ score, tokenCount, truncated, document }) => [
      score.toFixed(4),
      `${tokenCount}${truncated ? ', cut' : ''}`,
      document,
    ]);
    process.stdout.write(`${table([titles, ...cells])}\n`);
  } catch (error) {
    interrupt.check();
    throw error;
  } finally {
    progress.clear();
    interrupt.release();
    await model.close();
  }
}

function documentsOf(file: string, lines: boolean): Document[] {
  if (!lines) return [{ name: file, text: readText(file, 'rerank') }];
  return readLines(file, 'rerank').map((text) => ({
    name: text.length > 60 ? `${text.slice(0, 59)}…` : text,
    text,
  }));
}
