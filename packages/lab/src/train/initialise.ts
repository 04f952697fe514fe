// First weights from a seed. Each kind of layer says what its tensors start from (`initial` in engine:
// layers/). Matrices are normal with deviation 0.02 (or another), those that write to the residual stream
// divided by sqrt(2 layers) (Radford et al. 2019).

import type { ModelSpec } from '@marimba/engine';
import { sizeOf } from '@marimba/engine/architecture';
import { createRandom } from '@marimba/engine/measure';
import type { Parameter, ParameterStore } from './parameters.ts';

const DEVIATION = 0.02;

/**
 * "Small init" (Nguyen & Salazar 2019): 0.02 at a hidden size of 1000, more in narrower models, which learn
 * far slower from 0.02 (docs/log/2026-11-training-small-models.md).
 */
export const smallDeviation = (hidden: number): number => Math.sqrt(2 / (5 * hidden));

export function initialise(
  store: ParameterStore,
  spec: ModelSpec,
  seed: number,
  deviation = DEVIATION,
): void {
  // A parameter's numbers depend on the seed and its own name only, so models that share layers share their
  // first weights.
  for (const parameter of store.list) {
    const random = createRandom(nameSeed(seed, `${parameter.layer}.${parameter.role}`));
    const value = firstValue(parameter, spec.layers.length, random, deviation);
    store.write(
      parameter,
      Float32Array.from({ length: sizeOf(parameter.shape) }, (_, i) => value(i)),
    );
  }
}

/** FNV-1a over the name, started from the seed. */
function nameSeed(seed: number, name: string): number {
  let hash = (2_166_136_261 ^ Math.imul(seed, 2_654_435_761)) >>> 0;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 16_777_619) >>> 0;
  return hash;
}

/** What a parameter's `initial` (engine: layers/layer.ts) says. */
function firstValue(
  { kind, initial = kind === 'matrix' ? 'normal' : 'zeros' }: Parameter,
  layers: number,
  random: () => number,
  deviation: number,
): (index: number) => number {
  switch (initial) {
    case 'ones':
      return () => 1;
    case 'zeros':
      return () => 0;
    case 'normal':
      return scaled(normalSource(random), deviation);
    case 'residual':
      return scaled(normalSource(random), deviation / Math.sqrt(2 * layers));
    default:
      return initial(random);
  }
}

const scaled = (source: () => number, deviation: number) => (): number => source() * deviation;

/** Box–Muller. */
function normalSource(random: () => number): () => number {
  let spare: number | null = null;
  return () => {
    if (spare !== null) {
      const value = spare;
      spare = null;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}
