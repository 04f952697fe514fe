// Which product multiplies packed weights, by type and by rows of activations, and the measurement that says so. The
// kernels' choice is written from this table: dropping a line drops a shape. All shapes make the same sums in the same
// order.
import { types } from '../build/vocabulary.ts';
import { LAYOUTS } from '../layouts/index.ts';

/** Where a shape serves: what V8 and the processor make of vectors. */
const PROCESSORS = {
  any: '',
  /** V8 merges pairs of vectors into 256-bit instructions. */
  wide: 'wideTiles',
  /** And the byte dot is one instruction: eight accumulators of 256 bits under way, not four. */
  wideDot: 'isWide()',
} as const;

interface Shape {
  readonly types: readonly string[];
  /** Rows of activations, from and to; more than `most` are many. */
  readonly rows: readonly [least: number, most: number];
  readonly on: keyof typeof PROCESSORS;
  /** The kernel, and the file that has it. */
  readonly form: 'decode' | 'decodeFour' | 'direct' | 'few' | 'half' | 'panelWide' | 'panel';
  /**
   * Measured against the line that would serve without it: from memory, on two threads of a Zen 5 where nothing else is
   * said.
   */
  readonly because: string;
}

const MANY = Number.POSITIVE_INFINITY;
const STREAMED = ['Q4_0', 'Q4_K'];
/** Types whose codes are looked up: V8 merges nothing that a look-up's result goes into. */
const LOOKED_UP: readonly string[] = LAYOUTS.filter(({ levels }) => levels).map(({ type }) => type);
const MERGED = types.filter((type) => !LOOKED_UP.includes(type));

/** The first line that fits serves. */
export const SHAPES: readonly Shape[] = [
  {
    types: STREAMED,
    rows: [1, 1],
    on: 'wide',
    form: 'decodeFour',
    because:
      'Four streams keep more lines under way: 1.2 to 1.37 x (Q4_0), 1.15 to 1.2 x (Q4_K) of tile after tile. ' +
      'Q6_K has three streams a tile already: four tiles at once 0.86 to 0.94 x, two 0.98 to 1.04 x. (log: ' +
      '2026-11-26-four-streams)',
  },
  { types, rows: [1, 1], on: 'any', form: 'decode', because: 'One row is bound by memory: one contiguous stream.' },
  {
    types: STREAMED,
    rows: [5, 16],
    on: 'wideDot',
    form: 'few',
    because:
      'Four streams: 8 rows of Q4_0 1.2 x, of Q4_K 1.14 to 1.19 x; 6 rows 1.13 and 1.24 x; 16 rows 1.1 x of ' +
      'tile after tile. Q6_K 0.79 to 0.93 x. (log: 2026-11-26-five-to-sixteen-rows)',
  },
  {
    types: MERGED,
    rows: [2, 16],
    on: 'wideDot',
    form: 'direct',
    because:
      'No panel to make: 8 rows of Q4_0 156 GMAC/s (131 with one), of Q4_K 116 (106); 2 rows 133 to 150 (51 to ' +
      '54). At 256 rows the panel is 1.05 x better. (log: 2026-11-26-ranges-and-prefetchers, few-rows)',
  },
  {
    types: MERGED,
    rows: [2, 4],
    on: 'any',
    form: 'half',
    because:
      'No panel to make: 2, 3, 4 rows of Q4_0 1.6, 1.4, 1.3 x, of Q4_K 1.55, 1.4, 1.3 x. Emulated dots need ' +
      'registers of their own: 16 outputs would spill (4 rows 1.08 x, 8 rows 1.00 x, 16 rows 0.89 x). (log: ' +
      '2026-11-int8-kernels, 2026-11-25-int8-avx2)',
  },
  {
    types: LOOKED_UP,
    rows: [2, MANY],
    on: 'any',
    form: 'panel',
    because:
      'In 128 bits, tile by tile, 2 and 4 rows of IQ4_NL reach 21 and 26 GMAC/s, of MXFP4 34 and 45: no more than with a ' +
      'panel, whose bytes are looked up once, and whose product is merged. (A Zen 4 without a byte dot.)',
  },
  {
    types,
    rows: [5, MANY],
    on: 'wideDot',
    form: 'panelWide',
    because:
      'Eight accumulators hide the four cycles of a dot: 256 rows of Q4_0 148 GMAC/s (122 with 8 outputs), of ' +
      'Q4_K 130 (111). (log: 2026-11-26-ranges-and-prefetchers)',
  },
  {
    types,
    rows: [5, MANY],
    on: 'any',
    form: 'panel',
    because: 'In 128-bit registers a tile of 16 outputs needs 22 of 16: 59 GMAC/s where 8 outputs have 70.',
  },
];

const most = (form: Shape['form']): number => shapeOf(form).rows[1];
function shapeOf(form: Shape['form']): Shape {
  const shape = SHAPES.find((shape) => shape.form === form);
  if (!shape) throw new Error(`shapes: expected a line of the form ${form}, found none`);
  return shape;
}

/** The condition of a line, for a `type` and `rows`. */
function condition({ types: some, rows: [least, most], on }: Shape): string {
  const type = some.length < types.length ? `(${some.map((name) => `type == ${name}`).join(' || ')})` : '';
  // One row: its callers ask for nothing else.
  const range = most === 1 ? [] : [`rows > ${least - 1}`, most === MANY ? '' : `rows <= ${most}`];
  return [PROCESSORS[on], type, ...range].filter(Boolean).join(' && ');
}

export default `

/** Rows up to which four tiles at once are multiplied by more than one row. */
@inline export const FEW_ROWS: i32 = ${most('few')};

/** Whether vectors of 256 bits and a byte dot of one instruction are at hand. */
@inline export function isWide(): bool {
  return ASC_FEATURE_RELAXED_SIMD && !PAIR_DOT && wideTiles;
}

/** One row times four tiles at once. */
@inline export function decodesFour(type: i32): bool {
  return ${condition(shapeOf('decodeFour'))};
}

/** A few rows times four tiles at once. */
@inline export function multipliesFour(type: i32, rows: i32): bool {
  return ${condition(shapeOf('few'))};
}

/** Rows up to which weights are multiplied as they lie: a panel would cost more than it saves. */
@inline export function directRows(type: i32): i32 {
  if (${LOOKED_UP.map((type) => `type == ${type}`).join(' || ')}) return 1;
  return isWide() ? ${most('direct')} : ${most('half')};
}
`;
