// Runs a loaded model: owns the plan, its place in the arena, and step(), through which all tokens go.
import { nextTurn } from '#platform';
import { expertsPerToken, type ModelSpec, readsWhole } from '../architecture/spec.ts';
import type { Backend, StepLoad } from '../backends/backend.ts';
import { ModelError } from '../errors.ts';
import { floatsAt } from '../memory/memory-views.ts';
import { type Crossing, type Plan, PlanBuilder, type RowSet } from '../plan/plan.ts';
import { SessionState, StateMemory } from '../state/session-state.ts';
import type { StateLayout } from '../state/state-layout.ts';
import { DRAFT_ROWS, Drafts } from './drafts.ts';
import { forward, type PlacedWeights } from './forward.ts';
import {
  type ActivePiece,
  hasDrafts,
  isDraft,
  logitRows,
  outputOf,
  type Piece,
  rowsOf,
  type Segment,
  type Share,
  type StepOutput,
  Turns,
} from './pieces.ts';
import { type BufferPlace, type PlacedPlan, placePlan, Workplace } from './placed-plan.ts';
import { MAX_LOGIT_ROWS } from './step-block.ts';

/** Tokens of a draft that its session has decided on. */
interface Acceptance {
  readonly state: SessionState;
  readonly count: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export class Runtime {
  readonly backend: Backend;
  readonly layout: StateLayout;
  readonly plan: Plan;
  readonly stateMemory: StateMemory;
  /** Tokens of a draft, at most. */
  readonly draftRows: number;
  readonly #spec: ModelSpec;
  readonly #weights: PlacedWeights;
  /** One in each arena. */
  readonly #workplaces: readonly Workplace[];
  readonly #placed: PlacedPlan;
  /** Null until the first draft. */
  #drafts: Drafts | null = null;
  /** Routed slots per row. */
  readonly #topK: number;
  /** Passes over the weights so far. */
  replays = 0;
  #active: ActivePiece[] = [];
  #acceptances: Acceptance[] = [];
  readonly #turns: Turns;
  #replaying: Promise<void> | null = null;

  constructor(backend: Backend, spec: ModelSpec, weights: PlacedWeights, layout: StateLayout) {
    this.backend = backend;
    this.layout = layout;
    this.#spec = spec;
    this.stateMemory = new StateMemory(layout, backend.arenas);
    this.plan = forward(new PlanBuilder(backend.traits), spec, weights, layout);
    this.#weights = weights;
    this.#topK = expertsPerToken(spec);
    this.draftRows = Math.min(DRAFT_ROWS, backend.maxRows);
    this.#turns = new Turns(backend.maxRows, this.draftRows, readsWhole(spec));
    this.#workplaces = layout.arenas.map((_, arena) => new Workplace(backend, this.plan, arena));
    this.#placed = placePlan(this.plan, this.#rows(backend.maxRows), this.#workplaces);
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

  /** Values of the plans, what waits of drafts, and scratch. */
  get activationBytes(): number {
    const scratch = this.#workplaces.reduce((sum, { scratchBytes }) => sum + scratchBytes, 0);
    return this.#placed.byteLength + scratch + (this.#drafts?.byteLength ?? 0);
  }

  /** Makes the plans known to the backend's threads. */
  async install(): Promise<void> {
    const { placed, stateOps = [] } = this.#drafts ?? {};
    const ops = placed?.plan.ops ?? [];
    const { records = [], arenas = [] } = placed ?? {};
    await this.backend.install({
      records: [...this.#placed.records, ...records, ...stateOps.map((i) => records[i]!)],
      arenas: [...this.#placed.arenas, ...arenas, ...stateOps.map((i) => arenas[i]!)],
      headStart: this.plan.headStart,
      ops: [...this.plan.ops, ...ops, ...stateOps.map((i) => ops[i]!)],
    });
  }

  createState(): SessionState {
    return new SessionState(this.stateMemory);
  }

  /**
   * Feeds every piece's tokens to its session. Resolves to each piece's rows, [tokens][vocabulary] of logits or
   * [tokens][hidden size]. Pieces of concurrent calls share passes over the weights; no result depends on the
   * other pieces. Settles once none of these pieces is under way, also when it rejects.
   */
  async step(pieces: readonly Piece[], signal?: AbortSignal): Promise<(Float32Array | null)[]> {
    const results = Promise.allSettled(pieces.map((piece) => this.#submit(piece, signal)));
    this.#replaying ??= this.#replay();
    return (await results).map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
  }

  /** Takes in the first `count` tokens of the last draft that the state was given, and forgets the rest. */
  accept(state: SessionState, count: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#acceptances.push({ state, count, resolve, reject });
      this.#replaying ??= this.#replay();
    });
  }

  /** Resolves when no step is running. */
  async idle(): Promise<void> {
    await this.#replaying;
  }

  #submit(piece: Piece, signal: AbortSignal | undefined): Promise<Float32Array | null> {
    if (piece.draft && piece.tokens.length > this.draftRows)
      throw new Error(`draft: expected at most ${this.draftRows} tokens, found ${piece.tokens.length}`);
    const rows = logitRows(piece);
    const logits =
      piece.logits === 'none'
        ? null
        : (piece.into ?? new Float32Array(rows * this.#rowSize(outputOf(piece))));
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
      for (const acceptance of this.#acceptances.splice(0)) await this.#accept(acceptance);
      for (const { signal, reject } of this.#active.filter((a) => a.signal?.aborted)) reject(signal?.reason);
      this.#active = this.#active.filter((a) => !a.signal?.aborted);
      if (!this.#active.length) {
        if (this.#acceptances.length) continue;
        // Here and not when the promise settles: a step that comes in between would wait for ever.
        this.#replaying = null;
        return this.stateMemory.prepare();
      }
      const taking = this.#prepared(this.#turns.next(this.#active));
      if (!taking.length) continue;
      const waiting = this.#active.length - taking.length;
      let isWritten = false;
      try {
        if (hasDrafts(taking)) await this.#openDrafts();
        this.#writeStep(taking);
        isWritten = true;
        this.replays++;
        await this.#run(taking);
      } catch (error) {
        for (const { active } of taking) {
          if (isDraft(active)) this.#drafts?.forget(active.piece.state);
          else if (isWritten) active.piece.failed?.();
          active.reject(error);
        }
        this.#active = this.#active.filter((a) => !taking.some(({ active }) => active === a));
        continue;
      }
      for (const { active } of taking) if (!isDraft(active)) active.piece.consumed?.(active.consumed);
      for (const done of this.#active.filter((a) => a.consumed === a.piece.tokens.length))
        done.resolve(done.logits);
      this.#active = this.#active.filter((a) => a.consumed < a.piece.tokens.length);
      // Finished callers may submit their next token: without this turn, two groups of sessions would
      // alternate for ever.
      if (this.#active.length && this.#active.length < taking.length + waiting) await nextTurn();
    }
  }

  /** Those whose states have room for their tokens. A session that finds no memory fails alone. */
  #prepared(shares: readonly Share[]): Segment[] {
    const prepared: Segment[] = [];
    let rowStart = 0;
    for (const share of shares) {
      try {
        share.active.piece.state.prepare(share.count);
      } catch (error) {
        share.active.reject(error);
        this.#active = this.#active.filter((other) => other !== share.active);
        continue;
      }
      prepared.push({ ...share, rowStart });
      rowStart += share.count;
    }
    return prepared;
  }

  #writeStep(segments: readonly Segment[]): void {
    for (const { active, from, count, rowStart } of segments) {
      const tokens = active.piece.tokens.slice(from, from + count);
      const bad = tokens.find((token) => !(token >= 0 && token < this.#spec.vocabularySize));
      if (bad !== undefined)
        throw new ModelError(
          `token ${bad}: expected an id below the vocabulary size ${this.#spec.vocabularySize}`,
        );
      for (const { step } of this.#workplaces) step.writeTokens(tokens, rowStart);
      if (this.#spec.encoder?.tokenTypes) {
        const types = active.piece.types?.slice(from, from + count);
        for (const { step } of this.#workplaces) step.writeTypes(types, rowStart, count);
      }
    }
    const rows = rowsOf(segments);
    const ofStates = segments.map(({ active, count, rowStart }) => ({
      state: active.piece.state,
      rowStart,
      rowCount: count,
      held: isDraft(active),
    }));
    for (const { step } of this.#workplaces) step.writeSegments(ofStates, rows, rows * this.#topK);
  }

  /** Records the plan of passes with drafts, before the first, and makes room for what they keep. */
  async #openDrafts(): Promise<void> {
    if (!this.#drafts) {
      const { backend, layout } = this;
      const plan = forward(
        new PlanBuilder(backend.traits, { keepStateInputs: true }),
        this.#spec,
        this.#weights,
        layout,
      );
      this.#drafts = new Drafts(plan, this.#rows(this.draftRows), this.#workplaces);
      try {
        await this.install();
      } catch (error) {
        this.#drafts.placed.free();
        this.#drafts = null;
        throw error;
      }
    }
    this.#drafts.makeRoom();
  }

  async #accept({ state, count, resolve, reject }: Acceptance): Promise<void> {
    try {
      const drafts = this.#drafts;
      if (!drafts) throw new Error('drafts: expected a draft that was read, found none');
      const start = this.plan.ops.length + drafts.placed.plan.ops.length;
      const load = { rows: count, slots: 0, logitRows: 0, depth: 0 };
      await drafts.accept(state, count, () => this.backend.run(start, start + drafts.stateOps.length, load));
      resolve();
    } catch (error) {
      reject(error);
    }
  }

  /** Runs the plan for the step as written, then the head for the rows that are wanted, and copies them out. */
  async #run(segments: readonly Segment[]): Promise<void> {
    const drafts = hasDrafts(segments) ? this.#drafts : null;
    const placed = drafts?.placed ?? this.#placed;
    const base = drafts ? this.plan.ops.length : 0;
    const { ops, headStart, logits, hidden } = placed.plan;
    const outputs = {
      logits: { end: ops.length, value: logits, size: this.#rowSize('logits') },
      hidden: { ...hidden!, size: this.#rowSize('hidden') },
    };
    // Where the body computes the states of all rows, there is no head to replay.
    const direct = outputs.hidden.value.set === 'rows';
    const batches = direct ? [] : this.#wantedRows(segments);
    // The first batch runs on from the body: one wake-up less for each token that is decoded.
    const [first] = batches;
    this.#writeLogitRows(first?.rows ?? []);
    const stop = first ? outputs[first.output].end : headStart;
    await this.#runOps(placed, base, 0, stop, this.#load(segments, first?.rows.length ?? 0));
    for (const { active, rowStart, count } of segments) {
      if (isDraft(active)) drafts!.hold(active.piece.state, rowStart, count);
      else active.piece.state.advance(count);
      active.consumed += count;
    }
    if (direct) {
      const { value, size } = outputs.hidden;
      const rows = this.#wantedRows(segments).flatMap((batch) => batch.rows);
      this.#readRows(rows, placed.placeOf(value.buffer), size, { direct });
    }
    for (const { output, rows } of batches) {
      const { value, size, end } = outputs[output];
      if (rows !== first!.rows) {
        this.#writeLogitRows(rows);
        await this.#runOps(placed, base, headStart, end, this.#load(segments, rows.length));
      }
      // The final norm of models that scale their logits has the factor in it.
      const factor = output === 'hidden' ? 1 / this.#spec.logitScale : 1;
      this.#readRows(rows, placed.placeOf(value.buffer), size, { factor });
    }
  }

  /**
   * Runs the ops from `from` to `to` of a plan whose first is op `base` of the program, part by part; values
   * that cross to another arena are copied in between.
   */
  async #runOps(placed: PlacedPlan, base: number, from: number, to: number, load: StepLoad): Promise<void> {
    for (const { start, end, entry } of placed.parts) {
      if (end <= from || start >= to) continue;
      if (entry && start >= from) crossRows(placed, entry, load[entry.to.set]);
      await this.backend.run(base + Math.max(start, from), base + Math.min(end, to), load);
    }
  }

  #writeLogitRows(wanted: readonly WantedRow[]): void {
    const rows = wanted.map(({ row }) => row);
    for (const { step } of this.#workplaces) step.writeLogitRows(rows);
  }

  /** What a replay of the head takes at a time: rows of one kind. */
  #wantedRows(segments: readonly Segment[]): { output: StepOutput; rows: WantedRow[] }[] {
    const wanted: Record<StepOutput, WantedRow[]> = { logits: [], hidden: [] };
    for (const { active, from, count, rowStart } of segments) {
      const { firstLogit, logits, piece } = active;
      if (!logits) continue;
      const output = outputOf(piece);
      for (let i = Math.max(firstLogit, from); i < from + count; i++)
        wanted[output].push({
          row: rowStart + i - from,
          into: logits,
          at: (i - firstLogit) * this.#rowSize(output),
        });
    }
    return (['logits', 'hidden'] as const).flatMap((output) =>
      Array.from({ length: Math.ceil(wanted[output].length / MAX_LOGIT_ROWS) }, (_, i) => ({
        output,
        rows: wanted[output].slice(i * MAX_LOGIT_ROWS, (i + 1) * MAX_LOGIT_ROWS),
      })),
    );
  }

  #rowSize(output: StepOutput): number {
    return output === 'logits' ? this.#spec.vocabularySize : this.#spec.hiddenSize;
  }

  #load(segments: readonly Segment[], logitRows: number): StepLoad {
    const rows = rowsOf(segments);
    const depth = segments.reduce(
      (deepest, s) => Math.max(deepest, s.active.piece.state.position + s.count),
      0,
    );
    return { rows, slots: rows * this.#topK, logitRows, depth };
  }

  /** Copies rows out; `direct`: of the step, else of a replay of the head. */
  #readRows(
    batch: readonly WantedRow[],
    { arena, address }: BufferPlace,
    size: number,
    { direct = false, factor = 1 }: { readonly direct?: boolean; readonly factor?: number },
  ): void {
    const { views } = arena;
    batch.forEach(({ into, at, row }, i) => {
      into.set(floatsAt(views, address + (direct ? row : i) * size * 4, size), at);
      if (factor !== 1) for (let j = at; j < at + size; j++) into[j] = into[j]! * factor;
    });
  }

  #rows(rows: number): Record<RowSet, number> {
    return { rows, slots: rows * this.#topK, logitRows: MAX_LOGIT_ROWS };
  }
}

/** A row of the step whose result goes to `into`, from index `at`. */
interface WantedRow {
  readonly row: number;
  readonly into: Float32Array;
  readonly at: number;
}

/** Copies the live rows of a value from one arena to another: microseconds per row, on the calling thread. */
function crossRows({ placeOf }: PlacedPlan, { from, to }: Crossing, rows: number): void {
  const [source, target] = [placeOf(from.buffer), placeOf(to.buffer)];
  const values = floatsAt(source.arena.views, source.address, rows * from.stride);
  floatsAt(target.arena.views, target.address, values.length).set(values);
}
