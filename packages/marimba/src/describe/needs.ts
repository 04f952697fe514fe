// What a known model needs, by the arithmetic of `plan`, and why one cannot run on this machine.
import { totalmem } from 'node:os';
import { readSpec } from '@marimba/engine/architecture';
import { bytes } from '../terminal.ts';
import type { KnownModel } from './known-models.ts';
import { cacheBytesPerToken, memoryAt } from './memory.ts';
import { configOnly, describeSpec } from './source.ts';
import { describeWeights, total } from './weights.ts';

/** WebAssembly addresses no more: weights, state, cache and activations have to fit. */
const ENGINE_LIMIT_BYTES = 2 ** 32;

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
export function whyNotHere(neededBytes: number, machineBytes = totalmem()): string | null {
  const needs = `cannot run here, because it needs ${bytes(neededBytes)} and`;
  if (neededBytes > ENGINE_LIMIT_BYTES)
    return `${needs} WebAssembly addresses at most ${bytes(ENGINE_LIMIT_BYTES)}`;
  return neededBytes > machineBytes ? `${needs} this machine has ${bytes(machineBytes)}` : null;
}
