// Runs a loaded model: owns the plan, its place in the arena, and step(), through which all tokens go.
import { nextTurn } from '#platform';
import { expertsPerToken, type ModelSpec } from '../architecture/spec.ts';
import type { Backend, StepLoad } from '../backends/backend.ts';
import { ModelError } from '../errors.ts';
import { floatsAt } from '../memory/memory-views.ts';
import { encodePlan, placeBuffers } from '../plan/encode.ts';
import { type Plan, PlanBuilder, type RowSet } from '../plan/plan.ts';
import { SEGMENT, SEGMENT_WORDS, type StepLayout, stepLayout } from '../plan/step.ts';
import { PagePool } from '../state/page-pool.ts';
import { RecurrentBlocks } from '../state/recurrent-blocks.ts';
import { SessionState, type StateMemory } from '../state/session-state.ts';
import type { StateLayout } from '../state/state-layout.ts';
import { forward, type PlacedWeights } from './forward.ts';

/** Which logits a piece of a step returns; a number n: those of the last n tokens. */
export type LogitsWanted = 'none' | 'last' | 'all' | number;

/** Number of last tokens whose logits a piece returns. */
export function logitRows({ tokens, logits }: Pick<Piece, 'tokens' | 'logits'>): number {
  if (logits === 'none') return 0;
  if (logits === 'last') return Math.min(1, tokens.length);
  return logits === 'all' ? tokens.length : Math.min(logits, tokens.length);
}

export interface Piece {
  readonly state: SessionState;
  readonly tokens: readonly number[];
  readonly logits: LogitsWanted;
  /** Receives the logits, of exactly their size. Default: a new array. */
  readonly into?: Float32Array | undefined;
  /** Called after each replay with the number of tokens consumed so far. */
  readonly consumed?: (count: number) => void;
  /** Called when a replay failed half-way: the state is not to be used before it is restored or reset. */
  readonly failed?: () => void;
}

const MAX_SEGMENTS = 64;
const MAX_LOGIT_ROWS = 32;
const ALIGNMENT = 64;

/** A submitted piece that is not finished. */
interface ActivePiece {
  readonly piece: Piece;
  /** Index of the first token whose logits are wanted. */
  readonly firstLogit: number;
  readonly logits: Float32Array | null;
  consumed: number;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (logits: Float32Array | null) => void;
  readonly reject: (reason: unknown) => void;
}

const left = ({ piece, consumed }: ActivePiece): number => piece.tokens.length - consumed;

/** A run of one piece's tokens inside one replay. */
interface Share {
  readonly active: ActivePiece;
  readonly from: number;
  readonly count: number;
}

/** A share with its place in the replay. */
interface Segment extends Share {
  readonly rowStart: number;
}

export class Runtime {
  readonly backend: Backend;
  readonly layout: StateLayout;
  readonly plan: Plan;
  readonly stateMemory: StateMemory;
  readonly activationBytes: number;
  readonly #spec: ModelSpec;
  readonly #step: StepLayout;
  /** Routed slots per row. */
  readonly #topK: number;
  readonly #stepAddress: number;
  readonly #logitsAddress: number;
  /** Makes the plan known to the backend's threads. */
  readonly install: () => Promise<void>;
  /** Passes over the weights so far. */
  replays = 0;
  #active: ActivePiece[] = [];
  #replaying: Promise<void> | null = null;

  constructor(backend: Backend, spec: ModelSpec, weights: PlacedWeights, layout: StateLayout) {
    this.backend = backend;
    this.layout = layout;
    this.#spec = spec;
    this.stateMemory = {
      arena: backend.arena,
      pages: new PagePool(backend.arena),
      recurrent: new RecurrentBlocks(backend.arena, layout.recurrentBytes),
    };
    this.plan = forward(new PlanBuilder(backend.traits), spec, weights, layout);
    this.#topK = expertsPerToken(spec);
    const rows: Record<RowSet, number> = {
      rows: backend.maxRows,
      slots: backend.maxRows * this.#topK,
      logitRows: MAX_LOGIT_ROWS,
    };
    this.#step = stepLayout(backend.maxRows, MAX_SEGMENTS, MAX_LOGIT_ROWS);
    this.#stepAddress = backend.arena.allocate(this.#step.byteLength, 'step data');
    const placement = placeBuffers(this.plan, (set) => rows[set]);
    const activations = backend.arena.allocate(placement.byteLength, 'activations');
    const scratchBytes = this.plan.ops.reduce((max, op) => Math.max(max, backend.scratchBytes(op)), 0);
    const scratch = backend.arena.allocate(scratchBytes + ALIGNMENT, 'scratch');
    this.activationBytes = placement.byteLength + scratchBytes;
    const { words, starts } = encodePlan(this.plan, {
      step: this.#stepAddress,
      stepLayout: this.#step,
      activations,
      placement,
      scratch,
      scratchBytes,
    });
    const program = backend.arena.allocate(words.byteLength, 'program');
    backend.arena.views.u32.set(words, program >>> 2);
    this.#logitsAddress = activations + placement.offsets[this.plan.logits.buffer]!;
    const records = starts.map((start) => program + start * 4);
    this.install = () => backend.install({ records, headStart: this.plan.headStart, ops: this.plan.ops });
  }

  static async create(
    backend: Backend,
    spec: ModelSpec,
    weights: PlacedWeights,
    layout: StateLayout,
  ): Promise<Runtime> {
    const runtime = new Runtime(backend, spec, weights, layout);
    await runtime.install();
    return runtime;
  }

  createState(): SessionState {
    return new SessionState(this.layout, this.stateMemory);
  }

  /**
   * Feeds every piece's tokens to its session. Resolves to each piece's logits, [tokens][vocabulary]. Pieces
   * of concurrent calls share passes over the weights; no result depends on the other pieces. Settles once
   * none of these pieces is under way, also when it rejects.
   */
  async step(pieces: readonly Piece[], signal?: AbortSignal): Promise<(Float32Array | null)[]> {
    const results = Promise.allSettled(pieces.map((piece) => this.#submit(piece, signal)));
    this.#replaying ??= this.#replay();
    return (await results).map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
  }

  /** Resolves when no step is running. */
  async idle(): Promise<void> {
    await this.#replaying;
  }

  #submit(piece: Piece, signal: AbortSignal | undefined): Promise<Float32Array | null> {
    const rows = logitRows(piece);
    const logits =
      piece.logits === 'none' ? null : (piece.into ?? new Float32Array(rows * this.#spec.vocabularySize));
    return new Promise((resolve, reject) => {
      this.#active.push({
        piece,
        firstLogit: piece.tokens.length - rows,
        logits,
        consumed: 0,
        signal,
        resolve,
        reject,
      });
    });
  }

  /** Replays the plan until no piece has tokens left. Calls made meanwhile join at the next replay. */
  async #replay(): Promise<void> {
    await null; // let everything that is submitted in the same turn join the first replay
    for (;;) {
      for (const { signal, reject } of this.#active.filter((a) => a.signal?.aborted)) reject(signal?.reason);
      this.#active = this.#active.filter((a) => !a.signal?.aborted);
      if (!this.#active.length) {
        // Here and not when the promise settles: a step that comes in between would wait for ever.
        this.#replaying = null;
        return this.stateMemory.recurrent.prepare();
      }
      const taking = this.#prepared(this.#nextSegments());
      if (!taking.length) continue;
      const waiting = this.#active.length - taking.length;
      let isWritten = false;
      try {
        this.#writeStep(taking);
        isWritten = true;
        this.replays++;
        await this.#run(taking);
      } catch (error) {
        for (const { active } of taking) {
          if (isWritten) active.piece.failed?.();
          active.reject(error);
        }
        this.#active = this.#active.filter((a) => !taking.some(({ active }) => active === a));
        continue;
      }
      for (const { active } of taking) active.piece.consumed?.(active.consumed);
      for (const done of this.#active.filter((a) => a.consumed === a.piece.tokens.length))
        done.resolve(done.logits);
      this.#active = this.#active.filter((a) => a.consumed < a.piece.tokens.length);
      // Finished callers may submit their next token: without this turn, two groups of sessions would
      // alternate for ever.
      if (this.#active.length && this.#active.length < taking.length + waiting) await nextTurn();
    }
  }

  /** Fills one replay with waiting tokens: an equal share per piece, the rest to the longest. */
  #nextSegments(): Share[] {
    const waiting = [...this.#active]
      .sort((x, y) => left(x) - left(y))
      .slice(0, Math.min(MAX_SEGMENTS, this.backend.maxRows));
    let room = this.backend.maxRows;
    return waiting.map((active, i) => {
      const count = Math.min(left(active), Math.floor(room / (waiting.length - i)));
      room -= count;
      return { active, from: active.consumed, count };
    });
  }

  /** Those whose states have room for their tokens. A session that finds no memory fails alone. */
  #prepared(segments: readonly Share[]): Segment[] {
    const prepared: Segment[] = [];
    let rowStart = 0;
    for (const segment of segments) {
      try {
        segment.active.piece.state.prepare(segment.count);
      } catch (error) {
        segment.active.reject(error);
        this.#active = this.#active.filter((other) => other !== segment.active);
        continue;
      }
      prepared.push({ ...segment, rowStart });
      rowStart += segment.count;
    }
    return prepared;
  }

  #writeStep(segments: readonly Segment[]): void {
    const { u32 } = this.backend.arena.views;
    const word = (byteOffset: number) => (this.#stepAddress + byteOffset) >>> 2;
    const { tokens, rowSegment, positions } = this.#step;
    segments.forEach(({ active, from, count, rowStart }, s) => {
      const { state, tokens: list } = active.piece;
      const at = word(this.#step.segments) + s * SEGMENT_WORDS;
      u32[at + SEGMENT.rowStart] = rowStart;
      u32[at + SEGMENT.rowCount] = count;
      u32[at + SEGMENT.position] = state.position;
      u32[at + SEGMENT.recurrent] = state.recurrent;
      u32.set(state.tableAddresses, at + SEGMENT.pageTables);
      for (let i = 0; i < count; i++) {
        const token = list[from + i]!;
        if (!(token >= 0 && token < this.#spec.vocabularySize))
          throw new ModelError(
            `token ${token}: expected an id below the vocabulary size ${this.#spec.vocabularySize}`,
          );
        u32[word(tokens) + rowStart + i] = token;
        u32[word(rowSegment) + rowStart + i] = s;
        u32[word(positions) + rowStart + i] = state.position + i;
      }
    });
    const rows = segments.reduce((sum, s) => sum + s.count, 0);
    u32[word(this.#step.rows)] = rows;
    u32[word(this.#step.slots)] = rows * this.#topK;
    u32[word(this.#step.segmentCount)] = segments.length;
  }

  /**
   * Runs the plan for the step as written, then the head for the rows that want logits, and copies the logits
   * out.
   */
  async #run(segments: readonly Segment[]): Promise<void> {
    const { headStart, ops } = this.plan;
    const wanted = this.#wantedLogits(segments);
    const first = wanted.slice(0, MAX_LOGIT_ROWS);
    this.#writeLogitRows(first);
    await this.backend.run(0, first.length ? ops.length : headStart, this.#load(segments, first.length));
    for (const { active, count } of segments) {
      active.piece.state.advance(count);
      active.consumed += count;
    }
    this.#readLogits(first);
    for (let start = MAX_LOGIT_ROWS; start < wanted.length; start += MAX_LOGIT_ROWS) {
      const batch = wanted.slice(start, start + MAX_LOGIT_ROWS);
      this.#writeLogitRows(batch);
      await this.backend.run(headStart, ops.length, this.#load(segments, batch.length));
      this.#readLogits(batch);
    }
  }

  #wantedLogits(segments: readonly Segment[]): WantedLogits[] {
    const wanted: WantedLogits[] = [];
    for (const { active, from, count, rowStart } of segments) {
      const { firstLogit, logits } = active;
      if (!logits) continue;
      for (let i = Math.max(firstLogit, from); i < from + count; i++)
        wanted.push({
          row: rowStart + i - from,
          into: logits,
          at: (i - firstLogit) * this.#spec.vocabularySize,
        });
    }
    return wanted;
  }

  #load(segments: readonly Segment[], logitRows: number): StepLoad {
    const rows = segments.reduce((sum, s) => sum + s.count, 0);
    const depth = segments.reduce(
      (deepest, s) => Math.max(deepest, s.active.piece.state.position + s.count),
      0,
    );
    return { rows, slots: rows * this.#topK, logitRows, depth };
  }

  #writeLogitRows(batch: readonly WantedLogits[]): void {
    const { u32 } = this.backend.arena.views;
    u32[(this.#stepAddress + this.#step.logitRows) >>> 2] = batch.length;
    u32.set(
      batch.map((w) => w.row),
      (this.#stepAddress + this.#step.logitIndices) >>> 2,
    );
  }

  #readLogits(batch: readonly WantedLogits[]): void {
    const { views } = this.backend.arena;
    const size = this.#spec.vocabularySize;
    batch.forEach(({ into, at }, i) =>
      into.set(floatsAt(views, this.#logitsAddress + i * size * 4, size), at),
    );
  }
}

/** A row of the step whose logits go to `into`, from index `at`. */
interface WantedLogits {
  readonly row: number;
  readonly into: Float32Array;
  readonly at: number;
}
