// The golden models: tiny checkpoints with outputs that Hugging Face's own code computed (fixtures/golden,
// see its README).
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = (path: string) => fileURLToPath(new URL(`../../../fixtures/golden/${path}`, import.meta.url));

export const GOLDEN_MODELS = [
  'jamba-dense-mqa',
  'jamba-moe',
  'jamba-period4',
  'jamba-corners',
  'mamba-tiny',
  'llama-tiny',
] as const;
export type GoldenModel = (typeof GOLDEN_MODELS)[number];

/** Absolute tolerance on logits, for f32 arithmetic: the references themselves agree to 4.7e-5. */
export const TOLERANCE = 3e-4;

export const PROMPTS = ['len1', 'len7', 'len33', 'len200'] as const;
export type PromptName = (typeof PROMPTS)[number];

export interface Golden {
  readonly prompts: Record<PromptName, number[]>;
  readonly logits_last: Record<PromptName, number[]>;
  readonly greedy: Record<PromptName, { tokens: number[] }>;
}

export const modelFolder = (name: GoldenModel): string => folder(name);
export const ggufFile = (name: GoldenModel, type: 'f32' | 'f16' | 'q8_0'): string =>
  folder(`gguf/${name}.${type}.gguf`);

export const readGolden = (name: GoldenModel): Golden =>
  JSON.parse(readFileSync(folder(`${name}/golden.json`), 'utf8'));

/** Logits and greedy tokens of a GGUF file, from its own rounded weights where it has some. */
export function readGgufGolden(name: GoldenModel, type: 'f32' | 'f16' | 'q8_0') {
  const golden = readGolden(name);
  if (type === 'f32') return { logits_last: golden.logits_last, greedy: golden.greedy.len33.tokens };
  const own = JSON.parse(readFileSync(folder(`gguf/${name}.${type}.golden.json`), 'utf8'));
  return { logits_last: own.logits_last as Golden['logits_last'], greedy: own.greedy_len33 as number[] };
}

/** Logits at every position of the prompt of 33 tokens: [33 × vocabulary]. */
export function readAllLogits(name: GoldenModel): Float32Array {
  const bytes = readFileSync(folder(`${name}/logits_len33.f32`));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`expected ${b.length} values, found ${a.length}`);
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= largest)) largest = difference; // NaN counts as a difference
  }
  return largest;
}

/** Small seeded generator for tests (mulberry32, Tommy Ettinger, public domain). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
