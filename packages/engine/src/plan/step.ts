// The data of one step, written into the arena before a plan is replayed: which tokens, whose they are, and where their
// sessions' state lies. Layout of the step block, in u32 words from its start:
//
//   0                  rows         number of live rows (tokens) in this step
//   1                  segments     number of live segments
//   2                  logitRows    rows of the head pass that runs next
//   3                  slots        rows * experts per token, for routed layers
//   4 …                segment table: `maxSegments` records of SEGMENT_WORDS
//   …                  tokens[maxRows], rowSegment[maxRows], positions[maxRows], logitIndices[maxLogitRows],
//                      types[maxRows]
//
// A segment is the run of rows that one session contributes. Its record:
export const SEGMENT_WORDS = 16;
export const SEGMENT = {
  rowStart: 0,
  rowCount: 1,
  /** Tokens the session had consumed before this step. */
  position: 2,
  /** Address of the session's recurrent state block. */
  recurrent: 3,
  /**
   * 1: the rows are a draft. Ops compute their results and leave the recurrent state as it is; the same ops, run
   * again on what they read, take in as many rows as turn out right.
   */
  held: 4,
  /** Address of the page table of cache group g at word pageTables + g: one page address per 64 positions. */
  pageTables: 8,
} as const;
export const MAX_CACHE_GROUPS = SEGMENT_WORDS - SEGMENT.pageTables;

export interface StepLayout {
  readonly maxRows: number;
  readonly maxSegments: number;
  readonly maxLogitRows: number;
  readonly byteLength: number;
  /** Byte offsets from the start of the block. */
  readonly rows: number;
  readonly segmentCount: number;
  readonly logitRows: number;
  readonly slots: number;
  readonly segments: number;
  readonly tokens: number;
  readonly rowSegment: number;
  readonly positions: number;
  readonly logitIndices: number;
  /** Token types of encoders: 0, or 1 in the second text of a pair. */
  readonly types: number;
}

export function stepLayout(maxRows: number, maxSegments: number, maxLogitRows: number): StepLayout {
  const segments = 16;
  const tokens = segments + maxSegments * SEGMENT_WORDS * 4;
  const rowSegment = tokens + maxRows * 4;
  const positions = rowSegment + maxRows * 4;
  const logitIndices = positions + maxRows * 4;
  const types = logitIndices + maxLogitRows * 4;
  const byteLength = types + maxRows * 4;
  return {
    maxRows,
    maxSegments,
    maxLogitRows,
    byteLength,
    segments,
    tokens,
    rowSegment,
    positions,
    logitIndices,
    types,
    rows: 0,
    segmentCount: 4,
    logitRows: 8,
    slots: 12,
  };
}
