// The pieces that sessions submit to a runtime, and what the next replay takes of those that wait.
import type { SessionState } from '../state/session-state.ts';
import { MAX_SEGMENTS } from './step-block.ts';

/** Which logits a piece of a step returns; a number n: those of the last n tokens. */
export type LogitsWanted = 'none' | 'last' | 'all' | number;

/** Number of last tokens whose logits a piece returns. */
export function logitRows({ tokens, logits }: Pick<Piece, 'tokens' | 'logits'>): number {
  if (logits === 'none') return 0;
  if (logits === 'last') return Math.min(1, tokens.length);
  return logits === 'all' ? tokens.length : Math.min(logits, tokens.length);
}

/** What a row of a step's result is: a score of each token, or the last hidden state after the final norm. */
export type StepOutput = 'logits' | 'hidden';

export interface Piece {
  readonly state: SessionState;
  readonly tokens: readonly number[];
  /** Of which tokens a row is wanted. */
  readonly logits: LogitsWanted;
  /** Default `logits`. */
  readonly output?: StepOutput | undefined;
  /** Of encoders: the token type of each token. Default: 0 for all. */
  readonly types?: readonly number[] | undefined;
  /**
   * The tokens are a draft: their logits are wanted, and the state stays where it is until `accept` takes some
   * of them in. At most `draftRows` tokens.
   */
  readonly draft?: boolean | undefined;
  /** Receives the logits, of exactly their size. Default: a new array. */
  readonly into?: Float32Array | undefined;
  /** Called after each replay with the number of tokens consumed so far; not for a draft. */
  readonly consumed?: (count: number) => void;
  /**
   * Called when a replay failed half-way: the state is not to be used before it is restored or reset. Not for a
   * draft, which leaves the state as it was.
   */
  readonly failed?: () => void;
}

export const outputOf = ({ output = 'logits' }: Piece): StepOutput => output;

/** A submitted piece that is not finished. */
export interface ActivePiece {
  readonly piece: Piece;
  /** Index of the first token whose logits are wanted. */
  readonly firstLogit: number;
  readonly logits: Float32Array | null;
  consumed: number;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (logits: Float32Array | null) => void;
  readonly reject: (reason: unknown) => void;
}

/** A run of one piece's tokens inside one replay. */
export interface Share {
  readonly active: ActivePiece;
  readonly from: number;
  readonly count: number;
}

/** A share with its place in the replay. */
export interface Segment extends Share {
  readonly rowStart: number;
}

/** Pieces of up to this many tokens may join a pass with drafts; longer ones have passes of their own. */
const FEW_TOKENS = 4;

const left = ({ piece, consumed }: ActivePiece): number => piece.tokens.length - consumed;
const isLong = (active: ActivePiece): boolean => left(active) > FEW_TOKENS;

export const isDraft = ({ piece }: ActivePiece): boolean => piece.draft === true;
export const hasDrafts = (shares: readonly Share[]): boolean => shares.some(({ active }) => isDraft(active));
export const rowsOf = (shares: readonly Share[]): number => shares.reduce((sum, { count }) => sum + count, 0);

/** Decides what each replay takes. */
export class Turns {
  readonly #maxRows: number;
  readonly #draftRows: number;
  readonly #readsWhole: boolean;
  /** Whether the last replay had drafts while long pieces were waiting: then it is their turn. */
  #wasDrafting = false;

  /** `readsWhole`: a piece is read in one replay, so none may be longer than `maxRows`. */
  constructor(maxRows: number, draftRows: number, readsWhole: boolean) {
    this.#maxRows = maxRows;
    this.#draftRows = draftRows;
    this.#readsWhole = readsWhole;
  }

  /** A replay has drafts, and pieces of few tokens beside them, or no drafts. Where both wait, they take turns. */
  next(active: readonly ActivePiece[]): Share[] {
    if (this.#readsWhole) return whole(active, this.#maxRows);
    const others = active.filter((piece) => !isDraft(piece));
    const isCrowded = others.some(isLong);
    const drafting = others.length < active.length && !(isCrowded && this.#wasDrafting);
    this.#wasDrafting = drafting && isCrowded;
    if (!drafting) return equalShares(others, this.#maxRows);
    return whole(
      active.filter((piece) => isDraft(piece) || !isLong(piece)),
      this.#draftRows,
    );
  }
}

/** As many pieces as have room with all their tokens, in their order. */
function whole(active: readonly ActivePiece[], maxRows: number): Share[] {
  let room = maxRows;
  return active.slice(0, MAX_SEGMENTS).flatMap((piece) => {
    const count = left(piece);
    if (count > room) return [];
    room -= count;
    return [{ active: piece, from: piece.consumed, count }];
  });
}

/** Fills a replay with waiting tokens: an equal share per piece, the rest to the longest. */
function equalShares(active: readonly ActivePiece[], maxRows: number): Share[] {
  const waiting = [...active].sort((x, y) => left(x) - left(y)).slice(0, Math.min(MAX_SEGMENTS, maxRows));
  let room = maxRows;
  return waiting.map((piece, i) => {
    const count = Math.min(left(piece), Math.floor(room / (waiting.length - i)));
    room -= count;
    return { active: piece, from: piece.consumed, count };
  });
}
