// What a known model needs, by the arithmetic of `plan`, and why one cannot run on this machine.
import { availableParallelism } from 'node:os';
import { type CacheType, ModelError, type ModelSpec } from '@marimba/engine';
import { codesByteLength, type MemoryPlan, planMemory, readSpec } from '@marimba/engine/architecture';
import type { MachineMemory } from '@marimba/engine/node';
import { bytes } from '../terminal.ts';
import type { KnownModel } from './known-models.ts';
import { cacheBytesPerToken, memoryAt } from './memory.ts';
import { configOnly, describeSpec } from './source.ts';
import { type DescribedWeight, describeWeights, total } from './weights.ts';

/** Default of the wasm backend. */
const BATCH_TOKENS = 256;

export interface Needs {
  readonly parameters: number;
  /** Of the repository's 16-bit weights. */
  readonly downloadBytes: number;
  /** Quantised to q4_K while loading. */
  readonly weightBytes: number;
  readonly stateBytes: number;
  /** In f16. */
  readonly cacheBytesPerToken: number;
  /** Weights, state and cache of one session. */
  readonly bytesAt4K: number;
  readonly contextLength: number;
}

export function needsOf({ name, config }: KnownModel): Needs {
  const { spec } = readSpec(configOnly(name, config));
  const weights = describeWeights(describeSpec(name, spec).weights, { quantize: 'q4_K' });
  const parameters = total(weights, (w) => w.parameters);
  const weightBytes = total(weights, (w) => w.placed.byteLength);
  const at4K = memoryAt(spec, weightBytes, 'f16', 4096);
  return {
    parameters,
    downloadBytes: parameters * 2,
    weightBytes,
    stateBytes: at4K.recurrentBytes,
    cacheBytesPerToken: cacheBytesPerToken(spec, 'f16'),
    bytesAt4K: at4K.totalBytes,
    contextLength: spec.contextLength,
  };
}

/** "cannot run here, because …"; null where nothing is known to stand in the way. */
export function whyNotHere(neededBytes: number, { totalBytes, freeBytes }: MachineMemory): string | null {
  if (neededBytes > totalBytes)
    return `cannot run here, because it needs ${bytes(neededBytes)} and this machine has ${bytes(totalBytes)}`;
  if (neededBytes > freeBytes)
    return `cannot be loaded now, because it needs ${bytes(neededBytes)} and ${bytes(freeBytes)} are free`;
  return null;
}

/** How a model would be spread over WebAssembly memories, or why it cannot be. */
export function spreadOf(
  spec: ModelSpec,
  weights: readonly DescribedWeight[],
  { cacheType, threads }: { readonly cacheType: CacheType; readonly threads?: number | undefined },
): MemoryPlan | { readonly impossible: string } {
  try {
    return planMemory({
      spec,
      weights,
      cacheType,
      traits: { codesByteLength },
      maxRows: BATCH_TOKENS,
      threads: threads ?? Math.min(availableParallelism(), 8),
    });
  } catch (error) {
    if (error instanceof ModelError) return { impossible: error.message };
    throw error;
  }
}

/** "2 WebAssembly memories of 2.91 to 3.02 GiB" */
export function spreadText({ arenas }: MemoryPlan): string {
  const sizes = arenas.map(({ weightBytes, workBytes }) => weightBytes + workBytes);
  const least = bytes(Math.min(...sizes)).split(' ')[0];
  return `${arenas.length} WebAssembly memories of ${least} to ${bytes(Math.max(...sizes))}`;
}
