// What is measured: tasks, each run in a process of its own by either side, and the rows that a task's figures fill.

/** One run of one side. Both sides get the same file, threads and tokens. */
export type Task = { readonly model: string; readonly threads: number } & (
  | { readonly kind: 'base'; readonly prompt: number; readonly decode: number }
  | { readonly kind: 'prompt'; readonly tokens: number }
  | { readonly kind: 'sessions'; readonly count: number; readonly steps: number }
  | { readonly kind: 'depth'; readonly position: number; readonly steps: number }
  | { readonly kind: 'chunk'; readonly position: number; readonly tokens: number }
  | { readonly kind: 'state'; readonly position: number }
  | { readonly kind: 'regenerate'; readonly prompt: number; readonly answer: number }
);

/** Row ids and their figures. A side leaves out what it cannot do. */
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

const group = <Kind extends Task['kind']>(
  name: string,
  task: Omit<Extract<Task, { kind: Kind }>, 'model' | 'threads'> & { readonly kind: Kind },
  rows: readonly Row[],
): TaskGroup => ({ name, task, rows });

export const GROUPS: readonly TaskGroup[] = [
  group('base', { kind: 'base', prompt: 256, decode: 64 }, [
    time('loadToFirstToken', 'load to first token'),
    size('settledBytes', 'resident memory, settled'),
    size('peakBytes', 'resident memory, peak'),
    speed('prompt', 'prompt of 256 tokens'),
    speed('decode', 'decode 64 tokens'),
  ]),
  group('prompt', { kind: 'prompt', tokens: 2048 }, [speed('prompt', 'prompt of 2,048 tokens')]),
  ...[1, 2, 4, 8].map((count) =>
    group('sessions', { kind: 'sessions', count, steps: 32 }, [
      speed('decode', `decode, ${count} session${count > 1 ? 's at once' : ''}, all together`),
    ]),
  ),
  ...[1, 16, 64, 128].map((kilo) =>
    group('depth', { kind: 'depth', position: kilo * K, steps: 32 }, [
      speed('decode', `decode at ${kilo}K tokens of context`),
    ]),
  ),
  ...[0, 64].map((kilo) =>
    group('chunk', { kind: 'chunk', position: kilo * K, tokens: 512 }, [
      time('chunk', `512-token prompt at ${kilo === 0 ? '0' : `${kilo}K`} tokens of context`),
    ]),
  ),
  group('state', { kind: 'state', position: 32 * K }, [
    time('save', 'save a 32K-token session to a file'),
    time('restore', 'restore a 32K-token session from a file'),
    time('snapshot', 'snapshot at 32K tokens'),
    time('fork', 'fork at 32K tokens'),
  ]),
  group('regenerate', { kind: 'regenerate', prompt: 2048, answer: 64 }, [
    time('regenerate', 'first token of another answer after 2,048 tokens'),
    time('reread', 'the same by reading everything again'),
  ]),
];

export const GROUP_NAMES = [...new Set(GROUPS.map(({ name }) => name))];

/** The tokens of a prompt, the same for both sides: any but the special first ones. */
export const testTokens = (count: number, offset = 0): number[] =>
  Array.from({ length: count }, (_, i) => 300 + (((i + offset) * 7919) % 3000));
