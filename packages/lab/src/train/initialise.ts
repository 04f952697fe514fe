// First weights from a seed: Jamba's and Mamba's own rules. Matrices are normal with deviation 0.02 (or another), those that write to
// the residual stream divided by sqrt(2 layers) (Radford et al. 2019); Mamba's A = -(1 … N), D = 1, and dt's bias such that
// softplus(bias) is log-uniform in [0.001, 0.1] (Gu & Dao 2023, section 3.6 and their reference code).

import type { ModelSpec } from '@marimba/engine';
import type { Role } from '@marimba/engine/architecture';
import { createRandom } from '@marimba/engine/measure';
import { type Parameter, type ParameterStore, sizeOf } from './parameters.ts';

const DEVIATION = 0.02;

/**
 * "Small init" (Nguyen & Salazar 2019): 0.02 at a hidden size of 1000, more in narrower models, which learn far slower from 0.02
 * (docs/log.md).
 */
export const smallDeviation = (hidden: number): number => Math.sqrt(2 / (5 * hidden));

const DT_MIN = 0.001;
const DT_MAX = 0.1;

const NORMS: ReadonlySet<Role> = new Set<Role>([
  'finalNorm',
  'inputNorm',
  'feedForwardNorm',
  'dtNorm',
  'bNorm',
  'cNorm',
  'qNorm',
  'kNorm',
  'd',
]);
const RESIDUAL: ReadonlySet<Role> = new Set<Role>(['o', 'outProj', 'down', 'expertDown']);

export function initialise(
  store: ParameterStore,
  spec: ModelSpec,
  seed: number,
  deviation = DEVIATION,
): void {
  // A parameter's numbers depend on the seed and its own name only, so models that share layers share their first weights.
  for (const parameter of store.list) {
    const random = createRandom(nameSeed(seed, `${parameter.layer}.${parameter.role}`));
    store.write(
      parameter,
      Float32Array.from(
        { length: sizeOf(parameter.shape) },
        firstValue(parameter, random, deviationOf(parameter, spec, deviation)),
      ),
    );
  }
}

/** FNV-1a over the name, started from the seed. */
function nameSeed(seed: number, name: string): number {
  let hash = (2_166_136_261 ^ Math.imul(seed, 2_654_435_761)) >>> 0;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 16_777_619) >>> 0;
  return hash;
}

const deviationOf = ({ role }: Parameter, spec: ModelSpec, deviation: number): number =>
  RESIDUAL.has(role) ? deviation / Math.sqrt(2 * spec.layers.length) : deviation;

function firstValue(
  { role, shape }: Parameter,
  random: () => number,
  deviation: number,
): (_: unknown, i: number) => number {
  if (NORMS.has(role)) return () => 1;
  if (role === 'a') return (_, i) => Math.log((i % shape[1]!) + 1);
  if (role === 'dtProjBias')
    return () => inverseSoftplus(Math.exp(Math.log(DT_MIN) + random() * Math.log(DT_MAX / DT_MIN)));
  if (role === 'dtProj') return () => (2 * random() - 1) / Math.sqrt(shape[1]!);
  if (role === 'convWeight') return () => (2 * random() - 1) / Math.sqrt(shape[1]!);
  if (role.endsWith('Bias')) return () => 0;
  const normal = normalSource(random);
  return () => normal() * deviation;
}

const inverseSoftplus = (y: number): number => y + Math.log(-Math.expm1(-y));

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
