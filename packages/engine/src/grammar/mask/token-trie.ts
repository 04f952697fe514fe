// The texts of a vocabulary as a trie in one typed array, in the order in which a walk meets its nodes: a
// child follows its parent, and a node knows where its subtree ends, so skipping what a grammar does not
// allow is one assignment.

/** Numbers per node: the last byte with the token above it, the node after the subtree, the depth. */
export const NODE_SIZE = 3;

/** A token and what it writes. */
export interface TokenText {
  readonly token: number;
  readonly bytes: Uint8Array;
}

export class TokenTrie {
  /**
   * Per node: byte | (token + 1) << 8; index of the first number after its subtree; bytes before this one.
   */
  readonly nodes: Int32Array;
  /**
   * First byte → its node, −1 where no token begins with it. Apart, since the first nodes lie far from each other
   * and most of them are not allowed: a walk would wait for memory 256 times.
   */
  readonly roots: Int32Array;
  /** Bytes of the longest token. */
  readonly depth: number;
  /** Pairs of tokens with the same bytes: the one that is in the trie, and another one. */
  readonly twins: Int32Array;

  /** Of tokens with at least one byte each, as `sortTokens` orders them. Ids must be below 2^23. */
  constructor(entries: readonly TokenText[]) {
    this.depth = entries.reduce((most, { bytes }) => Math.max(most, bytes.length), 0);
    const bound = entries.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const nodes = new Int32Array(bound * NODE_SIZE);
    const open = new Int32Array(this.depth + 1);
    const twins: number[] = [];
    let at = 0;
    let before: Uint8Array = new Uint8Array(0);
    for (const { token, bytes } of entries) {
      const common = commonLength(before, bytes);
      if (common === bytes.length) {
        twins.push((nodes[open[common - 1]] >> 8) - 1, token);
        continue;
      }
      for (let d = common; d < before.length; d++) nodes[open[d] + 1] = at;
      for (let d = common; d < bytes.length; d++) {
        open[d] = at;
        nodes[at] = bytes[d];
        nodes[at + 2] = d;
        at += NODE_SIZE;
      }
      nodes[at - NODE_SIZE] |= (token + 1) << 8;
      before = bytes;
    }
    for (let d = 0; d < before.length; d++) nodes[open[d] + 1] = at;
    this.nodes = nodes.slice(0, at);
    this.roots = new Int32Array(256).fill(-1);
    for (let node = 0; node < at; node = nodes[node + 1]) this.roots[nodes[node] & 255] = node;
    this.twins = Int32Array.from(twins);
  }

  get nodeCount(): number {
    return this.nodes.length / NODE_SIZE;
  }
}

/**
 * Orders by bytes, then by id. Six bytes at once as a number: three times faster than byte by byte (150,000).
 */
export function sortTokens(entries: TokenText[]): void {
  const heads = new Map(entries.map((entry) => [entry, head(entry.bytes)] as const));
  entries.sort((a, b) => heads.get(a)! - heads.get(b)! || compare(a.bytes, b.bytes) || a.token - b.token);
}

/** The first six bytes, most significant first, each plus one so that shorter comes before longer. */
function head(bytes: Uint8Array): number {
  let value = 0;
  for (let i = 0; i < 6; i++) value = value * 257 + (i < bytes.length ? bytes[i] + 1 : 0);
  return value;
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const common = commonLength(a, b);
  return (a[common] ?? -1) - (b[common] ?? -1);
}

function commonLength(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length);
  let length = 0;
  while (length < shorter && a[length] === b[length]) length++;
  return length;
}
