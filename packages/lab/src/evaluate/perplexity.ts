// Perplexity on text: every token of a text predicted from those before it in its window. Each window starts
// from an empty state, after the begin token where the model's texts have one; else its first token is not
// scored. Losses are also given in bits a byte of UTF-8, which do not depend on the tokenizer.
import { UsageError } from '@marimba/engine';
import { readDocuments } from '../data/documents.ts';
import type { Suite, SuiteOptions, SuiteTarget, TextItem } from './items.ts';

const DEFAULT_WINDOW = 1024;

export async function perplexitySuite(
  file: string,
  target: SuiteTarget,
  options: SuiteOptions,
): Promise<Suite> {
  const { tokenizer } = target;
  if (!tokenizer)
    throw new UsageError(`task perplexity: expected a model with a tokenizer, found none in ${target.name}`);
  const window = Math.min(options.window ?? DEFAULT_WINDOW, target.contextLength);
  if (window < 2)
    throw new UsageError(`task perplexity: window: expected at least 2 tokens, found ${window}`);
  const { special, addBos } = tokenizer;
  const begin = addBos && special.bos !== null ? [special.bos] : [];
  const items: TextItem[] = [];
  let left = options.maxTokens ?? Number.POSITIVE_INFINITY;
  let number = 0;
  for await (const { text } of readDocuments([file])) {
    const tokens = tokenizer.encode(text, { addBos: false });
    for (let from = 0; from < tokens.length && left > 0; from += window - begin.length) {
      const part = tokens.slice(from, from + Math.min(window - begin.length, left));
      left -= part.length;
      const scored = begin.length ? part : part.slice(1);
      if (!scored.length) continue;
      const byteLength = scored.reduce((sum, token) => sum + tokenizer.tokenBytes(token).length, 0);
      items.push({
        kind: 'text',
        id: `${number}-${from}`,
        tokens: [...begin, ...part],
        scoredFrom: 1,
        byteLength,
      });
    }
    number++;
    if (left <= 0) break;
  }
  if (!items.length) throw new UsageError(`${file}: expected at least two tokens of text, found fewer`);
  return {
    name: `perplexity:${file}`,
    title: 'Perplexity on text',
    source: 'negative log-likelihood in windows',
    chance: null,
    items,
  };
}
