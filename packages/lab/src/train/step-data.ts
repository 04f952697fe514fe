// Writes a batch into the arena for the plan to read: tokens, targets, and one segment for each document,
// with zero recurrent state and cache pages of its own. Memory grows to what the largest batch needs and is
// used again.
import { type ModelSpec, UsageError } from '@marimba/engine';
import { expertsPerToken } from '@marimba/engine/architecture';
import {
  type Arena,
  PAGE_TOKENS,
  SEGMENT,
  SEGMENT_WORDS,
  type StateLayout,
  type StepLayout,
  stepLayout,
} from '@marimba/engine/plan';
import type { TrainingBatch } from '../data/batches.ts';

export class StepData {
  readonly layout: StepLayout;
  readonly address: number;
  /** Address of the targets of the rows that have one: u32. */
  readonly targets: number;
  /** Experts of each row. */
  readonly topK: number;
  readonly #arena: Arena;
  readonly #spec: ModelSpec;
  readonly #state: StateLayout;
  readonly #stateBytes: number;
  readonly #maxTokens: number;
  readonly #states: number[] = [];
  readonly #pages: number[][];
  readonly #tables: number;

  constructor(
    arena: Arena,
    spec: ModelSpec,
    state: StateLayout,
    options: { maxTokens: number; statesPerSegment: number },
  ) {
    const { maxTokens } = options;
    this.#arena = arena;
    this.#spec = spec;
    this.#state = state;
    this.#stateBytes = state.recurrentBytes * options.statesPerSegment;
    this.#maxTokens = maxTokens;
    this.topK = expertsPerToken(spec);
    this.layout = stepLayout(maxTokens, maxTokens, maxTokens);
    this.address = arena.allocate(this.layout.byteLength, 'step data');
    this.targets = arena.allocate(maxTokens * 4, 'targets');
    this.#pages = state.groups.map(() => []);
    // A segment of n tokens has ceil(n / 64) pages: at most one for each token.
    this.#tables = arena.allocate(Math.max(1, state.groups.length) * maxTokens * 4, 'page tables');
  }

  /**
   * Returns the number of rows. Throws UsageError for a batch that does not fit or holds impossible tokens.
   */
  write(batch: TrainingBatch): number {
    const { tokens, targets } = batch;
    const rows = tokens.length;
    this.#check(batch);
    const segments = segmentsOf(batch);
    this.#reserve(segments);
    const { u32, f32 } = this.#arena.views;
    const word = (byteOffset: number) => (this.address + byteOffset) >>> 2;
    const { layout } = this;
    u32.set(tokens, word(layout.tokens));
    const used = this.#pages.map(() => 0);
    segments.forEach(({ start, count }, s) => {
      const recurrent = this.#states[s]!;
      f32.fill(0, recurrent / 4, (recurrent + this.#stateBytes) / 4);
      const at = word(layout.segments) + s * SEGMENT_WORDS;
      u32.fill(0, at, at + SEGMENT_WORDS);
      u32[at + SEGMENT.rowStart] = start;
      u32[at + SEGMENT.rowCount] = count;
      u32[at + SEGMENT.recurrent] = recurrent;
      this.#pages.forEach((pages, g) => {
        const table = this.#tables + (g * this.#maxTokens + used[g]!) * 4;
        const needed = Math.ceil(count / PAGE_TOKENS);
        u32.set(pages.slice(used[g]!, used[g]! + needed), table >>> 2);
        used[g] = used[g]! + needed;
        u32[at + SEGMENT.pageTables + g] = table;
      });
      for (let i = 0; i < count; i++) {
        u32[word(layout.rowSegment) + start + i] = s;
        u32[word(layout.positions) + start + i] = i;
      }
    });
    let scored = 0;
    targets.forEach((target, row) => {
      if (target < 0) return;
      u32[word(layout.logitIndices) + scored] = row;
      u32[(this.targets >>> 2) + scored++] = target;
    });
    u32[word(layout.rows)] = rows;
    u32[word(layout.slots)] = rows * this.topK;
    u32[word(layout.segmentCount)] = segments.length;
    u32[word(layout.logitRows)] = scored;
    return rows;
  }

  #reserve(segments: readonly { count: number }[]): void {
    while (this.#states.length < segments.length)
      this.#states.push(this.#arena.allocate(this.#stateBytes, 'recurrent state'));
    const needed = segments.reduce((sum, { count }) => sum + Math.ceil(count / PAGE_TOKENS), 0);
    this.#pages.forEach((pages, g) => {
      const bytes = this.#state.groups[g]!.pageBytes;
      while (pages.length < needed) {
        const page = this.#arena.allocate(bytes, 'attention cache');
        this.#arena.views.u8.fill(0, page, page + bytes);
        pages.push(page);
      }
    });
  }

  #check({ tokens, targets }: TrainingBatch): void {
    if (tokens.length === 0 || tokens.length > this.#maxTokens || targets.length !== tokens.length)
      throw new UsageError(
        `batch: expected 1 to ${this.#maxTokens} tokens with as many targets, found ${tokens.length} and ${targets.length}`,
      );
    const { vocabularySize } = this.#spec;
    const bad =
      tokens.find((token) => token >= vocabularySize) ?? targets.find((target) => target >= vocabularySize);
    if (bad !== undefined)
      throw new UsageError(
        `batch: token ${bad}: expected ids below the vocabulary size ${vocabularySize}. The tokenizer does not fit the model.`,
      );
  }
}

/** Runs of rows that see each other: documents, and never across a sequence's end. */
function segmentsOf({
  sequences,
  length,
  tokens,
  documentStarts,
}: TrainingBatch): { start: number; count: number }[] {
  const starts = new Set([...documentStarts, ...Array.from({ length: sequences }, (_, i) => i * length)]);
  const sorted = [...starts].filter((start) => start < tokens.length).sort((a, b) => a - b);
  return sorted.map((start, i) => ({ start, count: (sorted[i + 1] ?? tokens.length) - start }));
}
