// Finds added tokens in a text: at every position the longest that starts there, leftmost first. A trie over
// UTF-16 units keeps the cost at (text length × longest token) however many thousand added tokens there are.

import type { AddedToken } from './types.ts';

interface Node {
  readonly next: Map<number, Node>;
  token: AddedToken | null;
}

/** A part of a text: a token number, or a stretch of text still to be tokenized. */
export type Part = { readonly token: number } | { readonly text: string; readonly start: number };

const endsWithWord = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]$/v;
const startsWithWord = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]/v;
const whitespace = /^\p{White_Space}$/v;

export class AddedTokenMatcher {
  readonly root: Node = { next: new Map(), token: null };
  readonly isEmpty: boolean;

  constructor(tokens: Iterable<AddedToken>) {
    let isEmpty = true;
    for (const token of tokens) {
      if (token.content === '') continue;
      this.#insert(token);
      isEmpty = false;
    }
    this.isEmpty = isEmpty;
  }

  #insert(token: AddedToken): void {
    let node = this.root;
    for (let i = 0; i < token.content.length; i++) {
      const unit = token.content.charCodeAt(i);
      let child = node.next.get(unit);
      if (child === undefined) node.next.set(unit, (child = { next: new Map(), token: null }));
      node = child;
    }
    node.token = token;
  }

  /** The longest token that starts exactly at `position`. */
  longestAt(text: string, position: number): AddedToken | null {
    let node = this.root;
    let found: AddedToken | null = null;
    for (let i = position; i < text.length; i++) {
      const child = node.next.get(text.charCodeAt(i));
      if (child === undefined) break;
      node = child;
      if (node.token !== null) found = node.token;
    }
    return found;
  }

  /**
   * Cuts a text into tokens and the stretches between them. What `guard` stands in front of is not a token.
   */
  split(text: string, guard = ''): Part[] {
    if (this.isEmpty) return text === '' ? [] : [{ text, start: 0 }];
    const parts: Part[] = [];
    let done = 0;
    let position = 0;
    while (position < text.length) {
      const token = this.root.next.has(text.charCodeAt(position)) ? this.longestAt(text, position) : null;
      if (token === null) {
        position++;
        continue;
      }
      if (guard !== '' && text.startsWith(guard, position - guard.length) && position >= guard.length) {
        position++;
        continue;
      }
      const end = position + token.content.length;
      if (
        token.singleWord &&
        (endsWithWord.test(text.slice(Math.max(done, position - 2), position)) ||
          startsWithWord.test(text.slice(end, end + 2)))
      ) {
        position = end;
        continue;
      }
      const from = token.lstrip ? spaceBefore(text, position, done) : position;
      if (from > done) parts.push({ text: text.slice(done, from), start: done });
      parts.push({ token: token.id });
      done = position = token.rstrip ? spaceAfter(text, end) : end;
    }
    if (done < text.length) parts.push({ text: text.slice(done), start: done });
    return parts;
  }
}

function spaceBefore(text: string, end: number, least: number): number {
  while (end > least && whitespace.test(text[end - 1]!)) end--;
  return end;
}

function spaceAfter(text: string, start: number): number {
  while (start < text.length && whitespace.test(text[start]!)) start++;
  return start;
}
