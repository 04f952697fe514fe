// Writes the constants that the plan and the kernels share, so that each is said once.
import { CACHE_TYPE_ID, PAGE_SHIFT, PAGE_TOKENS } from '../../../../plan/cache-layout.ts';
import {
  ATTENTION_BACKWARD_QUERIES,
  ATTENTION_ITEM_BYTES,
  ATTENTION_QUERIES,
  ATTENTION_SPLITS,
  DELTA_BACKWARD_CHUNK,
  DELTA_BACKWARD_COLUMNS,
  DELTA_COLUMNS,
  PRODUCT_BYTES,
  RAW_PANEL_OUTPUTS,
  RAW_PIECE,
  SCAN_BACKWARD_CHUNK,
  SCAN_CHANNELS,
  SSD_HELD_ROWS,
  SSD_PLACES,
} from '../../../../plan/ops/scratch.ts';
import { OPTIMIZER_STATE, SUM_CHUNK } from '../../../../plan/ops/training.ts';
import { SEGMENT, SEGMENT_WORDS } from '../../../../plan/step.ts';

const NUMBERS = {
  ATTENTION_BACKWARD_QUERIES,
  ATTENTION_ITEM_BYTES,
  ATTENTION_QUERIES,
  ATTENTION_SPLITS,
  CACHE_F16: CACHE_TYPE_ID.f16,
  CACHE_F32: CACHE_TYPE_ID.f32,
  CACHE_Q8: CACHE_TYPE_ID.q8,
  DELTA_BACKWARD_CHUNK,
  DELTA_BACKWARD_COLUMNS,
  DELTA_COLUMNS,
  PAGE_SHIFT,
  PAGE_TOKENS,
  PANEL_OUTPUTS: RAW_PANEL_OUTPUTS,
  PIECE: RAW_PIECE,
  PRODUCT_BYTES,
  SCAN_BACKWARD_CHUNK,
  SCAN_CHANNELS,
  SSD_HELD_ROWS,
  SSD_PLACES,
  SUM_CHUNK,
};

const upper = (name: string): string => name.replace(/([A-Z])/g, '_$1').toUpperCase();
const words = (prefix: string, places: Readonly<Record<string, number>>): [string, number][] =>
  Object.entries(places).map(([name, word]) => [`${prefix}_${upper(name)}`, word * 4]);

/** Byte offsets in records of words. */
const OFFSETS = [
  ...words('STATE', OPTIMIZER_STATE),
  ...words('SEGMENT', SEGMENT),
  ['SEGMENT_BYTES', SEGMENT_WORDS * 4] as const,
];

export const constantsSource = (): string =>
  [
    '// Generated from plan/ by build/constants.ts.',
    ...Object.entries(NUMBERS).map(([name, value]) => `@inline export const ${name}: i32 = ${value};`),
    ...OFFSETS.map(([name, offset]) => `@inline export const ${name}: usize = ${offset};`),
    '',
  ].join('\n');
