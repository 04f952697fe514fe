// Full-size model files for measuring speed: the shapes of real models, random weights. What such a model
// says means nothing; how long it takes, and what it needs, is the real model's. Made once, kept in Marimba's
// cache folder.
//
//   node bench/make-synthetic.ts q4_0|q4_K_M|TYPE [MODEL [FILE]]
//
// Weights are random bits with block scales of one size for all, chosen so that activations neither vanish
// nor explode.
import { mkdir, open, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TensorType } from '@marimba/engine';
import { createGgufWriter, TENSOR_TYPES, writeF16 } from '@marimba/engine/formats';
import { xoshiro128 } from '@marimba/engine/measure';
import { defaultCacheFolder } from '@marimba/engine/node';
import { HYBRIDS } from './synthetic-hybrids.ts';
import { type Blueprint, MIXES, type Mix, type PlannedTensor } from './synthetic-parts.ts';
import { JAMBA_3B, JAMBA_SMALL, LLAMA_1B, LLAMA_1B_HALF } from './synthetic-shapes.ts';

/** The path of such a file, made now if it is not there. */
export async function syntheticModel(mix: Mix, blueprint: Blueprint = JAMBA_3B): Promise<string> {
  const path = join(defaultCacheFolder(), 'bench', `synthetic-${blueprint.name}-${mix}-v1.gguf`);
  const found = await stat(path).catch(() => null);
  if (!found) {
    process.stderr.write(`Making ${path} (once) …\n`);
    await writeSynthetic(path, mix, blueprint);
  }
  return path;
}

/** Writes under another name first, so that an interrupted file is never taken for a whole one. */
export async function writeSynthetic(path: string, mix: Mix, blueprint: Blueprint): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const planned = blueprint.tensors(mix);
  const { header, tensors, byteLength } = createGgufWriter({
    metadata: blueprint.metadata(mix),
    tensors: planned,
  });
  const next = xoshiro128([1, 2, 3, 4]);
  const file = await open(`${path}.partial`, 'w');
  try {
    await file.write(header, 0, header.byteLength, 0);
    for (const [i, tensor] of planned.entries()) {
      const bytes = tensorBytes(tensor, tensors[i]!.byteLength, next);
      await file.write(bytes, 0, bytes.byteLength, tensors[i]!.offset);
    }
    await file.truncate(byteLength);
  } finally {
    await file.close();
  }
  await rename(`${path}.partial`, path);
}

/** Where a block keeps its f16 scales, and the size of a scale that gives weights of standard deviation 1. */
const SCALES: { readonly [type in TensorType]?: readonly (readonly [offset: number, value: number])[] } = {
  F16: [],
  BF16: [],
  Q4_0: [[0, 1 / 4.6]],
  // −7.5 centres the nibbles, −15.5 codes of five bits.
  Q4_1: [
    [0, 1 / 4.6],
    [2, -7.5 / 4.6],
  ],
  Q5_0: [[0, 1 / 9.2]],
  Q5_1: [
    [0, 1 / 9.2],
    [2, -15.5 / 9.2],
  ],
  Q8_0: [[0, 1 / 74]],
  // Nibbles of scales and minima average 7.5.
  Q2_K: [
    [80, 1 / 9.8],
    [82, 1.5 / 9.8],
  ],
  Q3_K: [[108, 1 / 42]],
  // Six-bit scales and minima average 32.
  Q4_K: [
    [0, 1 / 4.6 / 32],
    [2, 7.5 / 4.6 / 32],
  ],
  Q5_K: [
    [0, 1 / 9.2 / 32],
    [2, 15.5 / 9.2 / 32],
  ],
  Q6_K: [[208, 1 / 18.5 / 74]],
  IQ4_NL: [[0, 1 / 72]],
  IQ4_XS: [[0, 1 / 72 / 18.5]],
  MXFP4: [],
  TQ1_0: [[52, 1 / 0.82]],
  TQ2_0: [[64, 1 / 1.2]],
  IQ2_XXS: [[0, 1 / 53]],
  IQ2_XS: [[0, 1 / 55]],
  IQ2_S: [[0, 1 / 56]],
  IQ3_XXS: [[0, 1 / 142]],
  IQ3_S: [[0, 1 / 142]],
  IQ1_S: [[0, 1 / 7.2]],
  NVFP4: [],
  Q1_0: [[0, 1]],
  Q2_0: [[0, 1 / 1.23]],
};
/** Types of which files can be made. */
export const SYNTHETIC_TYPES = Object.keys(SCALES) as readonly TensorType[];

/**
 * Bits of both halves of a word that are kept, and those that are set: signs and mantissas of floats near
 * 1/45.
 */
const FLOATS: { readonly [type in TensorType]?: readonly [kept: number, set: number] } = {
  F16: [0x83ff83ff, 0x24002400],
  BF16: [0x807f807f, 0x3c803c80],
};
/** The standard deviation of MXFP4's values; its scale is a power of two. */
const MXFP4_DEVIATION = 5.85;
/** That of NVFP4's for the smallest scale; the first four bytes of a block are multiples of it, up to seven. */
const NVFP4_DEVIATION = 5.85 / 1024;

function tensorBytes(tensor: PlannedTensor, byteLength: number, next: () => number): Uint8Array {
  const bytes = new Uint8Array(byteLength);
  if (tensor.fill !== 'noise') {
    const floats = new Float32Array(bytes.buffer);
    for (let i = 0; i < floats.length; i++) floats[i] = elementOf(tensor.fill, i, next);
    return bytes;
  }
  const words = new Uint32Array(bytes.buffer, 0, byteLength >>> 2);
  const [kept, set] = FLOATS[tensor.type] ?? [-1, 0];
  for (let i = 0; i < words.length; i++) words[i] = (next() & kept) | set;
  const { blockBytes } = TENSOR_TYPES[tensor.type];
  // Products of normalised inputs then have a variance of one as well.
  const deviation = 1 / Math.sqrt(tensor.shape.at(-1)!);
  for (const [offset, value] of SCALES[tensor.type]!)
    for (let at = offset; at < byteLength; at += blockBytes) writeF16(bytes, at, value * deviation);
  if (tensor.type === 'MXFP4')
    for (let at = 0; at < byteLength; at += blockBytes)
      bytes[at] = 128 + Math.round(Math.log2(deviation / MXFP4_DEVIATION));
  if (tensor.type === 'NVFP4')
    for (let at = 0; at < byteLength; at += blockBytes)
      bytes.fill(Math.min(7, Math.round(deviation / NVFP4_DEVIATION)), at, at + 4);
  return bytes;
}

function elementOf(fill: Exclude<PlannedTensor['fill'], 'noise'>, index: number, next: () => number): number {
  if (fill === 'smallNoise') return (next() / 2 ** 32 - 0.5) * 0.5;
  if (typeof fill === 'object') return -((index % fill.decay) + 1);
  return fill;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const known = [JAMBA_3B, JAMBA_SMALL, LLAMA_1B, LLAMA_1B_HALF, ...HYBRIDS];
  const [, , mixName, modelName = JAMBA_3B.name, file] = process.argv;
  const mix = [...MIXES, ...SYNTHETIC_TYPES].find((name) => name === mixName);
  const blueprint = known.find(({ name }) => name === modelName);
  if (!mix || !blueprint) {
    const names = known.map(({ name }) => name).join('|');
    throw new Error(`usage: node bench/make-synthetic.ts ${MIXES.join('|')}|TYPE [${names} [FILE]]`);
  }
  if (file) await writeSynthetic(file, mix, blueprint);
  process.stdout.write(`${file ?? (await syntheticModel(mix, blueprint))}\n`);
}
