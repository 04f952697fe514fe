// What is measured: tasks, each run in a process of its own by either side, and the rows that a task's
// figures fill.

/** One run of one side. Both sides get the same file, threads and tokens. */
export type Task = { readonly model: string; readonly threads: number } & (
  | { readonly kind: 'base'; readonly prompt: number; readonly decode: number }
  | { readonly kind: 'conversation'; readonly prompt: number; readonly answer: number }
  | { readonly kind: 'sessions'; readonly counts: readonly number[]; readonly steps: number }
  | {
      readonly kind: 'depth';
      readonly cache: 'f16' | 'q8';
      readonly positions: readonly number[];
      readonly steps: number;
      /** A prompt of `chunk` tokens is read at these positions. */
      readonly chunkAt: readonly number[];
      readonly chunk: number;
    }
  | { readonly kind: 'state'; readonly position: number }
);
export type TaskOf<Kind extends Task['kind']> = Extract<Task, { kind: Kind }>;

/**
 * Row ids and their figures; a side leaves out what it cannot do. `ID.read` beside a row: bytes per second
 * that it could not do without reading. `busyElsewhere`: the share of all processors' time that other
 * programs took meanwhile.
 */
export type Figures = Readonly<Record<string, number>>;

export interface Row {
  readonly id: string;
  readonly title: string;
  readonly unit: 'ms' | 'tokens/s' | 'bytes';
  /** Whether more is better; decides nothing but how the ratio is explained. */
  readonly higherIsBetter: boolean;
}

export interface TaskGroup {
  /** What `--rows` names. */
  readonly name: string;
  readonly task: Omit<Task, 'model' | 'threads'> & { readonly kind: Task['kind'] };
  readonly rows: readonly Row[];
}

const time = (id: string, title: string): Row => ({ id, title, unit: 'ms', higherIsBetter: false });
const speed = (id: string, title: string): Row => ({ id, title, unit: 'tokens/s', higherIsBetter: true });
const size = (id: string, title: string): Row => ({ id, title, unit: 'bytes', higherIsBetter: false });
const K = 1024;

const kilo = (position: number): string => (position === 0 ? '0' : `${position / K}K`);

const group = <Kind extends Task['kind']>(
  name: string,
  task: Omit<TaskOf<Kind>, 'model' | 'threads'> & { readonly kind: Kind },
  rows: readonly Row[],
): TaskGroup => ({ name, task, rows });

const COUNTS = [1, 2, 4, 8];
const DEPTHS = [1, 16, 64, 128].map((n) => n * K);
const CHUNK_AT = [0, 64 * K];

const depthGroup = (name: string, cache: 'f16' | 'q8', suffix: string): TaskGroup =>
  group(name, { kind: 'depth', cache, positions: DEPTHS, steps: 16, chunkAt: CHUNK_AT, chunk: 512 }, [
    ...DEPTHS.map((position) =>
      speed(`decodeAt${position}`, `decode at ${kilo(position)} of context${suffix}`),
    ),
    ...CHUNK_AT.map((position) =>
      time(`chunkAt${position}`, `512-token prompt at ${kilo(position)} of context${suffix}`),
    ),
  ]);

export const GROUPS: readonly TaskGroup[] = [
  group('base', { kind: 'base', prompt: 256, decode: 64 }, [
    time('loadToFirstToken', 'load to first token'),
    size('settledBytes', 'resident memory, settled'),
    size('peakBytes', 'resident memory, peak'),
    speed('prompt', 'prompt of 256 tokens'),
    speed('decode', 'decode 64 tokens'),
  ]),
  group('conversation', { kind: 'conversation', prompt: 2048, answer: 64 }, [
    speed('prompt', 'prompt of 2,048 tokens'),
    time('regenerate', 'another answer after 2,048 tokens, to its first token'),
    time('reread', 'the same by reading everything again'),
  ]),
  group('sessions', { kind: 'sessions', counts: COUNTS, steps: 32 }, [
    ...COUNTS.map((n) =>
      speed(`decode${n}`, `decode, ${n} session${n > 1 ? 's at once' : ''}, all together`),
    ),
  ]),
  depthGroup('depth', 'f16', ''),
  depthGroup('depth-q8', 'q8', ', 8-bit cache'),
  group('state', { kind: 'state', position: 32 * K }, [
    time('save', 'save a 32K-token session to a file'),
    time('restore', 'restore a 32K-token session from a file'),
    time('snapshot', 'snapshot at 32K tokens'),
    time('fork', 'fork at 32K tokens'),
  ]),
];

/** Beside prompts and decoding, how much is resident once the depth is reached. */
const at32K = group(
  'at32K',
  { kind: 'depth', cache: 'f16', positions: [32 * K], steps: 16, chunkAt: [32 * K], chunk: 512 },
  [
    speed(`decodeAt${32 * K}`, 'decode at 32K of context'),
    time(`chunkAt${32 * K}`, '512-token prompt at 32K of context'),
    size('residentAtDepth', 'resident memory at 32K of context'),
  ],
);

/** Only where they are asked for by name: what the hybrids are compared by. */
export const OTHER_GROUPS: readonly TaskGroup[] = [
  group('at512', { kind: 'base', prompt: 512, decode: 64 }, [
    speed('prompt', 'prompt of 512 tokens'),
    speed('decode', 'decode 64 tokens at 512 of context'),
    size('peakBytes', 'resident memory, peak'),
  ]),
  at32K,
];

/** One side's figure over another figure of the same side and repetition. */
export interface Derived {
  readonly title: string;
  readonly group: string;
  readonly id: string;
  readonly over: string;
}

export const DERIVED: readonly Derived[] = [
  { title: '8 sessions ÷ 1 session', group: 'sessions', id: 'decode8', over: 'decode1' },
  { title: 'decode at 128K ÷ at 1K', group: 'depth', id: `decodeAt${128 * K}`, over: `decodeAt${K}` },
  { title: '512 tokens at 64K ÷ at 0, time', group: 'depth', id: `chunkAt${64 * K}`, over: 'chunkAt0' },
  {
    title: 'decode at 128K ÷ at 1K, 8-bit cache',
    group: 'depth-q8',
    id: `decodeAt${128 * K}`,
    over: `decodeAt${K}`,
  },
  {
    title: '512 tokens at 64K ÷ at 0, time, 8-bit cache',
    group: 'depth-q8',
    id: `chunkAt${64 * K}`,
    over: 'chunkAt0',
  },
  { title: 'another answer ÷ reading again, time', group: 'conversation', id: 'regenerate', over: 'reread' },
  { title: 'resident memory ÷ file', group: 'base', id: 'settledBytes', over: 'fileBytes' },
];

export const GROUP_NAMES = [...GROUPS, ...OTHER_GROUPS].map(({ name }) => name);

/** The tokens of a prompt, the same for both sides: any but the special first ones. */
export const testTokens = (count: number, offset = 0): number[] =>
  Array.from({ length: count }, (_, i) => 300 + (((i + offset) * 7919) % 3000));
