// Finds stop strings in text that arrives in pieces, and lets through everything that cannot become part of
// one.
//
// An Aho–Corasick automaton (Aho & Corasick 1975, CACM 18(6)) over UTF-16 units: its state is the longest end
// of the text that begins some stop string, so its depth is exactly what must be held back. Of several stop
// strings the one that is complete first wins, and of those complete at once the longest; where the pieces
// were cut makes no difference. A surrogate pair is never cut: its first half waits for the second, and since
// stop strings are well-formed none begins in the middle of a pair. Halves without a partner come out as
// U+FFFD.

export interface StopMatch {
  /** What can be shown. */
  readonly text: string;
  /** The stop string that followed it, or null. */
  readonly stop: string | null;
}

export interface StopMatcher {
  /** After a match everything further is dropped. */
  push(text: string): StopMatch;
  /** What was still held back. Empty after a match. */
  end(): string;
}

interface Node {
  readonly next: Map<number, Node>;
  readonly depth: number;
  /** Of the longest proper end of this node's text that is also in the tree. */
  fallback: Node | null;
  /** The longest stop string that ends here. */
  stop: string | null;
}

/** `stops` are non-empty, well-formed strings. */
export function createStopMatcher(stops: readonly string[]): StopMatcher {
  const root = buildAutomaton(stops);
  let node = root;
  let held = '';
  let done = false;
  return {
    push(text) {
      if (done) return { text: '', stop: null };
      const all = held + text;
      for (let i = held.length; i < all.length; i++) {
        node = advance(node, all.charCodeAt(i));
        if (node.stop === null) continue;
        done = true;
        held = '';
        return { text: all.slice(0, i + 1 - node.stop.length).toWellFormed(), stop: node.stop };
      }
      const free = all.length - Math.max(node.depth, endsInHalfPair(all) ? 1 : 0);
      held = all.slice(free);
      return { text: all.slice(0, free).toWellFormed(), stop: null };
    },
    end() {
      const rest = held.toWellFormed();
      held = '';
      done = true;
      return rest;
    },
  };
}

function endsInHalfPair(text: string): boolean {
  const unit = text.charCodeAt(text.length - 1);
  return unit >= 0xd800 && unit <= 0xdbff;
}

function advance(node: Node, unit: number): Node {
  for (let at: Node | null = node; at !== null; at = at.fallback) {
    const next = at.next.get(unit);
    if (next) return next;
    node = at;
  }
  return node; // the root
}

function buildAutomaton(stops: readonly string[]): Node {
  const root: Node = { next: new Map(), depth: 0, fallback: null, stop: null };
  for (const stop of stops) {
    let node = root;
    for (let i = 0; i < stop.length; i++) {
      const unit = stop.charCodeAt(i);
      let next = node.next.get(unit);
      if (!next) {
        next = { next: new Map(), depth: node.depth + 1, fallback: null, stop: null };
        node.next.set(unit, next);
      }
      node = next;
    }
    node.stop = stop;
  }
  // Breadth first: a node's fallback is shallower than the node, so it is complete by then.
  const queue = [root];
  for (const node of queue) {
    for (const [unit, child] of node.next) {
      child.fallback = node.fallback ? advance(node.fallback, unit) : root;
      child.stop ??= child.fallback.stop;
      queue.push(child);
    }
  }
  return root;
}
