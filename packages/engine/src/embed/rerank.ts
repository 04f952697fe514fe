// Documents in the order in which they answer a query. A decoder is asked whether a document does, in the form of
// Qwen3-Reranker (Zhang et al. 2025, arXiv:2506.05176): the score is the share of "yes" against "no" as the next
// token. What comes before a document is read once, and each document goes on from a copy of that state. A
// cross-encoder reads query and document as one text, and has a head that scores it (classifier.ts).

import { UsageError } from '../errors.ts';
import { refuseUnknown } from '../generate/options.ts';
import type { SessionState } from '../state/session-state.ts';
import type { Tokenizer } from '../tokenizer/types.ts';
import { type EmbedHost, type EmbedProgress, groupsOf, readGroup, whole } from './embed.ts';
import { type DenseProjection, pool, project } from './pooling.ts';

/** Options of `model.rerank`. `undefined` is the default everywhere. */
export interface RerankOptions {
  /** What the query asks of a document. Default: the one that Qwen3-Reranker was trained with. */
  readonly instruction?: string | undefined;
  /** Returns only the best so many. Default: all. */
  readonly topN?: number | undefined;
  /** Longest query with document in tokens; the document's end is cut. Default: the model's context. */
  readonly maxTokens?: number | undefined;
  /** Rejects with the signal's reason; nothing of the call goes on then. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each group of documents. */
  readonly onProgress?: ((progress: EmbedProgress) => void) | undefined;
}

/** A document and how well it answers. */
export interface RankedDocument {
  /** Its place in the list that was given. */
  readonly index: number;
  /** From 0 to 1: the sigmoid of `logit`. */
  readonly score: number;
  /** The logit of yes minus that of no, or what a cross-encoder's head gives. */
  readonly logit: number;
  /** Tokens of query and document with what stands around them. */
  readonly tokenCount: number;
  /** Whether the document was longer, and its end was cut. */
  readonly truncated: boolean;
}

const OPTION_NAMES: Record<keyof RerankOptions, true> = {
  instruction: true,
  topN: true,
  maxTokens: true,
  signal: true,
  onProgress: true,
};

const INSTRUCTION = 'Given a web search query, retrieve relevant passages that answer the query';
const SYSTEM =
  'Judge whether the Document meets the requirements based on the Query and the Instruct provided. ' +
  'Note that the answer can only be "yes" or "no".';
const BEFORE = `<|im_start|>system\n${SYSTEM}<|im_end|>\n<|im_start|>user\n`;
const AFTER = '<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n';

/** Sorted by score, the best first; equal ones in the order that they were given in. */
export async function rerankDocuments(
  host: EmbedHost,
  query: string,
  documents: readonly string[],
  options: RerankOptions = {},
): Promise<RankedDocument[]> {
  host.assertOpen();
  check(query, documents, options);
  const topN = options.topN === undefined ? documents.length : whole('topN', options.topN, 1, 2 ** 31);
  const maxTokens = whole('maxTokens', options.maxTokens, host.contextLength, host.contextLength);
  const { ranking } = host.embedding;
  const found = ranking
    ? await crossEncode(host, ranking, query, documents, { ...options, maxTokens })
    : await ask(host, query, documents, { ...options, maxTokens });
  return found
    .map((one, index) => ({ index, score: 1 / (1 + Math.exp(-one.logit)), ...one }))
    .sort((a, b) => b.logit - a.logit || a.index - b.index)
    .slice(0, topN);
}

type Scored = Omit<RankedDocument, 'index' | 'score'>;
type Limited = RerankOptions & { readonly maxTokens: number };

/** Asks a decoder about each document. */
async function ask(
  host: EmbedHost,
  query: string,
  documents: readonly string[],
  { maxTokens, ...options }: Limited,
): Promise<Scored[]> {
  const form = formOf(host);
  const head = `<Instruct>: ${options.instruction ?? INSTRUCTION}\n<Query>: ${query}\n<Document>:`;
  const { shared, texts } = prepare(host, form, { head, documents, maxTokens });
  options.signal?.throwIfAborted();
  const logits = await scores(host, form, shared, texts, options);
  return texts.map(({ tokens, truncated }, i) => ({
    logit: logits[i]!,
    tokenCount: shared.length + tokens.length,
    truncated,
  }));
}

/** Query and document as one text, with what the tokenizer puts around and between a pair. */
async function crossEncode(
  host: EmbedHost,
  ranking: readonly DenseProjection[],
  query: string,
  documents: readonly string[],
  { maxTokens, instruction, signal, onProgress }: Limited,
): Promise<Scored[]> {
  if (instruction !== undefined)
    throw new UsageError('instruction: expected none, as this reranker reads a query and a document alone');
  const { tokenizer, spec } = host;
  if (!tokenizer) throw new UsageError(`${host.name} has no tokenizer`);
  const { before, after } = tokenizer.frame;
  const between = spec.family === 'roberta' ? [...after, ...after] : after;
  const encode = (text: string) => tokenizer.encode(text, { addBos: false });
  const first = [...before, ...encode(query), ...between];
  const room = maxTokens - first.length - after.length;
  if (room < 1)
    throw new UsageError(
      `rerank: expected a query of fewer than ${maxTokens} tokens, with room for a document, found ${first.length}`,
    );
  // The second text has a token type of its own where there are two.
  const second = (spec.encoder?.tokenTypes ?? 0) > 1 ? 1 : 0;
  const pairs = documents.map((document) => {
    const all = encode(document);
    const tokens = [...first, ...all.slice(0, room), ...after];
    const types = tokens.map((_, i) => (i < first.length ? 0 : second));
    return { tokens, types, truncated: all.length > room };
  });
  const results: Scored[] = [];
  let done = 0;
  for (const group of groupsOf(pairs)) {
    const wanted = { output: 'hidden', logits: 'all' } as const;
    const rows = await readGroup(
      host,
      group.map((i) => pairs[i]!),
      wanted,
      signal,
    );
    group.forEach((i, g) => {
      const { tokens, truncated } = pairs[i]!;
      const [logit] = ranking.reduce(project, pool(rows[g]!, spec.hiddenSize, 'cls'));
      results[i] = { logit: logit!, tokenCount: tokens.length, truncated };
    });
    done += group.length;
    onProgress?.({ done, total: pairs.length });
  }
  return results;
}

/** The fixed parts of a prompt, and the tokens whose logits are compared. */
interface Form {
  readonly tokenizer: Tokenizer;
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly yes: number;
  readonly no: number;
}

function formOf({ tokenizer, name }: EmbedHost): Form {
  const [yes, no, start] = ['yes', 'no', '<|im_start|>'].map((text) => tokenizer?.tokenId(text) ?? null);
  if (!tokenizer || yes === null || no === null || start === null)
    throw new UsageError(
      `${name} cannot rerank: expected a model whose vocabulary has yes, no and <|im_start|>, as Qwen3-Reranker's has`,
    );
  const parse = (text: string) => tokenizer.encode(text, { addBos: false, specialTokens: 'parse' });
  return { tokenizer, before: parse(BEFORE), after: parse(AFTER), yes: yes!, no: no! };
}

interface Rest {
  /** The document and what follows it. */
  readonly tokens: readonly number[];
  readonly truncated: boolean;
}

/** What all documents share, and what each goes on with. Cut documents keep what follows them. */
function prepare(
  host: EmbedHost,
  { tokenizer, before, after }: Form,
  { head, documents, maxTokens }: { head: string; documents: readonly string[]; maxTokens: number },
): { shared: number[]; texts: Rest[] } {
  const encode = (text: string) => tokenizer.encode(text, { addBos: false });
  const question = encode(head);
  const room = maxTokens - before.length - after.length;
  if (room <= question.length)
    throw new UsageError(
      `rerank: expected at most ${Math.max(0, room - 1)} tokens of instruction and query, found ${question.length}: ` +
        'shorten them, or give a larger maxTokens',
    );
  const wholes = documents.map((document) => encode(`${head} ${document}`));
  // A document may change how the end of the question is cut into tokens: then less of it is shared.
  const common = wholes.reduce((most, tokens) => commonLength(question, tokens, most), question.length);
  const shared = [...before, ...question.slice(0, common)];
  host.checkTokens(shared, 0);
  const texts = wholes.map((tokens) => ({
    tokens: [...tokens.slice(common, room), ...after],
    truncated: tokens.length > room,
  }));
  return { shared, texts };
}

function commonLength(a: readonly number[], b: readonly number[], most: number): number {
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}

/** The logit of yes minus that of no, of each document. */
async function scores(
  host: EmbedHost,
  { yes, no }: Form,
  shared: readonly number[],
  texts: readonly Rest[],
  { signal, onProgress }: RerankOptions,
): Promise<number[]> {
  const results: number[] = [];
  if (!texts.length) return results;
  const { runtime } = host;
  const start = runtime.createState();
  try {
    await runtime.step([{ state: start, tokens: shared, logits: 'none' }], signal);
    let done = 0;
    for (const group of groupsOf(texts)) {
      host.assertOpen();
      const states: SessionState[] = [];
      try {
        for (const _ of group) states.push(start.fork());
        const pieces = group.map((i, g) => ({
          state: states[g]!,
          tokens: texts[i]!.tokens,
          logits: 'last' as const,
        }));
        const rows = await runtime.step(pieces, signal);
        group.forEach((i, g) => (results[i] = rows[g]![yes]! - rows[g]![no]!));
      } finally {
        for (const state of states) state.dispose();
      }
      done += group.length;
      onProgress?.({ done, total: texts.length });
    }
  } finally {
    start.dispose();
  }
  return results;
}

function check(query: string, documents: readonly string[], options: RerankOptions): void {
  refuseUnknown('option', options, OPTION_NAMES);
  if (typeof query !== 'string')
    throw new UsageError(`rerank: query: expected a string, found ${typeof query}`);
  if (!Array.isArray(documents) || documents.some((document) => typeof document !== 'string'))
    throw new UsageError('rerank: documents: expected an array of strings, found another value');
  const { instruction } = options;
  if (instruction !== undefined && typeof instruction !== 'string')
    throw new UsageError(`instruction: expected a string, found ${typeof instruction}`);
}
