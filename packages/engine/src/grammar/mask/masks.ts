// Which tokens may come next, as bits. A walk through the vocabulary's trie follows the machine byte by byte
// and leaves out what it does not allow. What makes it fast is what is kept: the mask of a state, and for a
// place in a lexeme the tokens that stay inside of it, whatever is around it. Only tokens that leave the
// lexeme are walked again for each state, and inside strings most of the vocabulary is allowed by its slice
// without a walk.
import { DEAD, type Lexeme, type Machine } from '../machine.ts';
import type { Dfa } from '../regular/dfa.ts';
import { NODE_SIZE, type TokenTrie } from './token-trie.ts';
import type { GrammarVocabulary } from './vocabulary.ts';

/** Bits of tokens: token t is bit t % 32 of word t / 32. Nobody but its maker writes it. */
export type Mask = Uint32Array;

/** Bytes that the masks of one vocabulary may take. 150,000 tokens: 19 KB a mask. */
const CACHE_BYTES = 48 * 2 ** 20;

interface LexemeMask {
  /** Tokens after which the lexeme goes on. */
  readonly inside: Mask;
  /**
   * Where tokens leave it, in pairs: the root of a subtree that is to be walked with the machine itself, or −1 for
   * a byte on the way to one; that byte with its depth above it. So what is not allowed costs no look at the trie.
   */
  readonly leaving: Int32Array;
  readonly trie: TokenTrie;
}

/** The masks of all grammars over one vocabulary. */
export class Masks {
  readonly vocabulary: GrammarVocabulary;
  readonly #lexemes = new WeakMap<Dfa, Map<number, LexemeMask>>();
  readonly #states = new WeakMap<Machine, Map<number, Mask>>();
  /** Inside of quotes, without the ordinary tokens. */
  readonly #parts = new WeakMap<Dfa, Map<number, LexemeMask>>();
  readonly #reaches = new WeakMap<Dfa, Map<number, number>>();
  readonly #kept: Keeper;
  readonly #stack: Int32Array;
  readonly #path: Int32Array;
  readonly #exited: Uint8Array;

  constructor(vocabulary: GrammarVocabulary, cacheBytes = CACHE_BYTES) {
    this.vocabulary = vocabulary;
    this.#kept = new Keeper(cacheBytes);
    const { depth } = vocabulary.trie;
    this.#stack = new Int32Array(depth + 2);
    this.#path = new Int32Array(depth + 2);
    this.#exited = new Uint8Array(depth + 2);
  }

  /**
   * The tokens that may follow in a state: those after which the machine lives. Whether an end token may is
   * `machine.accepts`. Shared by all who ask: not to be written. Empty only where the text is complete, or
   * where no token has the bytes that must come.
   */
  of(machine: Machine, state: number): Mask {
    if (machine.twin !== undefined) state = machine.twin(state);
    const ofMachine = entry(this.#states, machine);
    const known = ofMachine.get(state);
    if (known !== undefined) return known;
    const mask = this.#make(machine, state);
    ofMachine.set(state, mask);
    this.#kept.add(mask.byteLength, () => ofMachine.delete(state));
    return mask;
  }

  #make(machine: Machine, state: number): Mask {
    const lexeme = machine.lexeme(state);
    if (lexeme === null) {
      const mask = new Uint32Array(this.vocabulary.words);
      const { trie } = this.vocabulary;
      this.#stack[0] = state;
      this.#walkAll(trie, machine, mask);
      return this.#withTwins(trie, mask);
    }
    const { inside, leaving, trie } = this.#lexemeMask(lexeme);
    const mask = inside.slice();
    if (lexeme.isLast) return mask;
    const { nodes } = trie;
    this.#stack[0] = state;
    for (let i = 0; i < leaving.length; i += 2) {
      const at = leaving[i];
      const depth = leaving[i + 1] >> 8;
      const next = machine.step(this.#stack[depth], leaving[i + 1] & 255);
      if (next === DEAD) continue;
      this.#stack[depth + 1] = alike(machine, next);
      if (at < 0) continue;
      addToken(nodes[at], mask);
      this.#walk(trie, at + NODE_SIZE, nodes[at + 1], machine, mask);
    }
    return this.#withTwins(trie, mask);
  }

  /** Adds the tokens of the whole trie; the machine is in the first state of the stack. */
  #walkAll(trie: TokenTrie, machine: Machine, mask: Mask): void {
    const { nodes, roots } = trie;
    const [start] = this.#stack;
    for (let byte = 0; byte < 256; byte++) {
      const at = roots[byte];
      if (at < 0) continue;
      const state = machine.step(start, byte);
      if (state === DEAD) continue;
      this.#stack[1] = alike(machine, state);
      addToken(nodes[at], mask);
      this.#walk(trie, at + NODE_SIZE, nodes[at + 1], machine, mask);
    }
  }

  /** Adds the tokens of the nodes from `from` to `to`, whose states begin in the stack. */
  #walk(trie: TokenTrie, from: number, to: number, machine: Machine, mask: Mask): void {
    const { nodes } = trie;
    const stack = this.#stack;
    for (let at = from; at < to; ) {
      const head = nodes[at];
      const depth = nodes[at + 2];
      const state = machine.step(stack[depth], head & 255);
      if (state === DEAD) {
        at = nodes[at + 1];
        continue;
      }
      stack[depth + 1] = alike(machine, state);
      addToken(head, mask);
      at += NODE_SIZE;
    }
  }

  #withTwins({ twins }: TokenTrie, mask: Mask): Mask {
    for (let i = 0; i < twins.length; i += 2) {
      const [one, other] = [twins[i], twins[i + 1]];
      if (((mask[one >> 5] >>> (one & 31)) & 1) === 1) mask[other >> 5] |= 1 << (other & 31);
    }
    return mask;
  }

  #lexemeMask(lexeme: Lexeme): LexemeMask {
    const { dfa, state } = lexeme;
    const ofDfa = entry(this.#lexemes, dfa);
    const known = ofDfa.get(state);
    if (known !== undefined) return known;
    const isQuoted = lexeme.isQuoted === true && dfa.isOrdinaryOnly(state);
    const made = isQuoted ? this.#quotedMask(dfa, state) : this.#unquotedMask(dfa, state);
    this.#keep(ofDfa, state, made);
    return made;
  }

  #keep(ofDfa: Map<number, LexemeMask>, state: number, made: LexemeMask): void {
    ofDfa.set(state, made);
    this.#kept.add(made.inside.byteLength + made.leaving.byteLength, () => ofDfa.delete(state));
  }

  /** Inside of quotes: ordinary tokens by their length, the others by a walk. */
  #quotedMask(dfa: Dfa, state: number): LexemeMask {
    const { ordinary } = this.vocabulary;
    const trie = ordinary.others;
    const parts = entry(this.#parts, dfa);
    // Counts that none of these tokens can use up are alike. How far they reach is seen without the counts.
    const alike = dfa.withinReach(state, this.#reachOf(dfa, dfa.withinReach(state, 0)));
    let part = parts.get(alike);
    if (part === undefined) {
      const inside = new Uint32Array(this.vocabulary.words);
      const leaving = this.#scan(trie, dfa, alike, inside).leaving;
      part = { inside: this.#withTwins(trie, inside), leaving: Int32Array.from(leaving), trie };
      this.#keep(parts, alike, part);
    }
    const inside = this.vocabulary.ordinaryUpTo(dfa.ordinaryCharacters(state)).slice();
    for (let word = 0; word < inside.length; word++) inside[word] |= part.inside[word];
    return { inside, leaving: part.leaving, trie };
  }

  /** The bytes that a token can take inside of quotes, at most. */
  #reachOf(dfa: Dfa, state: number): number {
    const ofDfa = entry(this.#reaches, dfa);
    const known = ofDfa.get(state);
    if (known !== undefined) return known;
    const scratch = new Uint32Array(this.vocabulary.words);
    const { reach } = this.#scan(this.vocabulary.ordinary.others, dfa, state, scratch);
    ofDfa.set(state, reach);
    return reach;
  }

  #unquotedMask(dfa: Dfa, state: number): LexemeMask {
    const { ordinary, byteSlices, trie: whole } = this.vocabulary;
    const slice =
      dfa.ordinaryCharacters(state) === Number.POSITIVE_INFINITY
        ? ordinary
        : byteSlices.find(({ bytes, length }) => dfa.allowsAny(state, bytes, length));
    const trie = slice?.others ?? whole;
    const inside = slice?.bits.slice() ?? new Uint32Array(this.vocabulary.words);
    const { leaving } = this.#scan(trie, dfa, state, inside);
    return { inside: this.#withTwins(trie, inside), leaving: Int32Array.from(leaving), trie };
  }

  /** Adds the tokens that stay inside of a lexeme; returns where others leave it, and how deep it went. */
  #scan(trie: TokenTrie, dfa: Dfa, state: number, inside: Mask): { leaving: number[]; reach: number } {
    const { nodes } = trie;
    const [stack, path, exited] = [this.#stack, this.#path, this.#exited];
    const leaving: number[] = [];
    stack[0] = state;
    exited[0] = dfa.exits(state) ? 1 : 0;
    let reach = 0;
    let noted = 0; // nodes of the path that are in the list already
    for (let at = 0; at < nodes.length; ) {
      const head = nodes[at];
      const depth = nodes[at + 2];
      if (depth < noted) noted = depth;
      const next = dfa.step(stack[depth], head & 255);
      if (next === DEAD) {
        if (exited[depth] === 1) {
          for (; noted < depth; noted++) leaving.push(-1, (nodes[path[noted]] & 255) | (noted << 8));
          leaving.push(at, (head & 255) | (depth << 8));
        }
        at = nodes[at + 1];
        continue;
      }
      if (depth >= reach) reach = depth + 1;
      stack[depth + 1] = next;
      path[depth] = at;
      exited[depth + 1] = exited[depth] === 1 || dfa.exits(next) ? 1 : 0;
      addToken(head, inside);
      at += NODE_SIZE;
    }
    return { leaving, reach };
  }
}

function entry<Key extends object, Value>(
  maps: WeakMap<Key, Map<number, Value>>,
  key: Key,
): Map<number, Value> {
  const known = maps.get(key);
  if (known !== undefined) return known;
  const made = new Map<number, Value>();
  maps.set(key, made);
  return made;
}

/** Drops what was kept longest when there is more than the budget. */
class Keeper {
  readonly #budget: number;
  readonly #entries: { readonly bytes: number; readonly drop: () => void }[] = [];
  #first = 0;
  #bytes = 0;

  constructor(budget: number) {
    this.#budget = budget;
  }

  add(bytes: number, drop: () => void): void {
    this.#entries.push({ bytes, drop });
    this.#bytes += bytes;
    while (this.#bytes > this.#budget && this.#first < this.#entries.length - 1) {
      const oldest = this.#entries[this.#first++];
      oldest.drop();
      this.#bytes -= oldest.bytes;
    }
    if (this.#first > 1024 && this.#first * 2 > this.#entries.length) {
      this.#entries.splice(0, this.#first);
      this.#first = 0;
    }
  }
}

/** Adds the token of a node, if it has one. */
function addToken(head: number, mask: Mask): void {
  const token = (head >> 8) - 1;
  if (token >= 0) mask[token >> 5] |= 1 << (token & 31);
}

const alike = (machine: Machine, state: number): number =>
  machine.twin === undefined ? state : machine.twin(state);

/** Whether a token is in a mask. */
export const allows = (mask: Mask, token: number): boolean => ((mask[token >> 5] >>> (token & 31)) & 1) === 1;
