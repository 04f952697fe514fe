// Drafts by looking up: where did the latest tokens occur before, and what followed? Free of cost where a
// text quotes itself: code edits, summaries, tool results ("prompt lookup decoding", A. Saxena 2023; in
// llama.cpp `lookup`, in transformers `prompt_lookup_num_tokens`).
//
// For every length n an index holds, by the hash of n tokens, the latest position after them, and remembers
// the one before. It follows the history as it grows; after a rewind it is cut back to where the histories
// part.

import { UsageError } from '../errors.ts';

export interface NgramDraftOptions {
  /** The longest match that is tried, and tried first. Default 4. */
  maxNgram?: number | undefined;
  /** Shorter matches draft nothing. Default 2. */
  minNgram?: number | undefined;
  /** The longest draft. Default 8. */
  maxDraft?: number | undefined;
}

export interface NgramDraft {
  /**
   * What followed the latest earlier occurrence of the last tokens; empty when there is none. `tokens` is the
   * whole history.
   */
  draft(tokens: readonly number[]): number[];
}

interface NgramIndex {
  readonly length: number;
  /** By hash: the latest position that follows such an n-gram. */
  readonly latest: Map<number, number>;
  /** By position: the value of `latest` that it replaced, or −1. */
  readonly replaced: number[];
}

/** Never drafts anything. */
export const noDraft: NgramDraft = { draft: () => [] };

/** Throws UsageError for lengths below 1 and for minNgram above maxNgram. */
export function createNgramDraft(options: NgramDraftOptions = {}): NgramDraft {
  const { maxNgram = 4, minNgram = 2, maxDraft = 8 } = options;
  for (const [name, value] of Object.entries({ maxNgram, minNgram, maxDraft })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new UsageError(`option ${name}: expected an integer of at least 1, found ${value}.`);
    }
  }
  if (minNgram > maxNgram) {
    throw new UsageError(`option minNgram: expected at most maxNgram (${maxNgram}), found ${minNgram}.`);
  }
  const history: number[] = [];
  const indexes: NgramIndex[] = [];
  for (let length = maxNgram; length >= minNgram; length--) {
    indexes.push({ length, latest: new Map(), replaced: [] });
  }
  return {
    draft(tokens) {
      follow(history, indexes, tokens);
      for (const index of indexes) {
        const start = find(index, history);
        if (start >= 0) return history.slice(start, start + maxDraft);
      }
      return [];
    },
  };
}

/** Brings the history and its indexes to `tokens`, redoing only what differs. */
function follow(history: number[], indexes: readonly NgramIndex[], tokens: readonly number[]): void {
  // Compared as a whole: 0.6 ms for 262,144 tokens, and a change in the middle is never missed.
  let shared = 0;
  while (shared < history.length && shared < tokens.length && history[shared] === tokens[shared]) shared++;
  while (history.length > shared) {
    for (const index of indexes) removeLast(index, history);
    history.pop();
  }
  for (let position = shared; position < tokens.length; position++) {
    history.push(tokens[position]);
    for (const index of indexes) addLast(index, history);
  }
}

function addLast(index: NgramIndex, history: readonly number[]): void {
  const position = history.length;
  if (position < index.length) return;
  const hash = hashBefore(history, position, index.length);
  index.replaced[position] = index.latest.get(hash) ?? -1;
  index.latest.set(hash, position);
}

function removeLast(index: NgramIndex, history: readonly number[]): void {
  const position = history.length;
  if (position < index.length) return;
  const hash = hashBefore(history, position, index.length);
  const before = index.replaced[position];
  if (before < 0) index.latest.delete(hash);
  else index.latest.set(hash, before);
}

/** The position after the latest earlier occurrence of the last n tokens, or −1. */
function find(index: NgramIndex, history: readonly number[]): number {
  const end = history.length;
  if (end < index.length) return -1;
  // The n-gram at the very end is in the index itself: what it replaced is the earlier one.
  for (let at = index.replaced[end]; at >= 0; at = index.replaced[at]) {
    if (sameBefore(history, at, end, index.length)) return at;
  }
  return -1;
}

/** Different n-grams may share a hash. */
function sameBefore(history: readonly number[], a: number, b: number, length: number): boolean {
  for (let i = 1; i <= length; i++) if (history[a - i] !== history[b - i]) return false;
  return true;
}

/** FNV-1a over whole tokens, 32 bits. */
function hashBefore(history: readonly number[], end: number, length: number): number {
  let hash = 0x811c9dc5;
  for (let i = end - length; i < end; i++) hash = Math.imul(hash ^ history[i], 0x01000193);
  return hash;
}
