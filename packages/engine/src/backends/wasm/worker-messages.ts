// What the backend and its workers say to each other while no program runs.

import type { ErrorRecord } from '../../errors.ts';
import type { LinearMemory } from '../../memory/arena.ts';
import type { LoadJob } from '../load/load-job.ts';
import type { InstalledProgram } from './thread.ts';

/**
 * What a probe does: read `count` bytes in one stream, or in four; or multiply bytes or f32 for `count`
 * rounds.
 */
export type ProbeKernel = 'readBytes' | 'readQuarters' | 'multiplyBytes' | 'multiplyFloats';

export type ToWorker =
  | {
      readonly kind: 'start';
      readonly module: WebAssembly.Module;
      readonly memory: LinearMemory;
      readonly thread: number;
      /** Whether products are cut for 256-bit operations. */
      readonly wide: boolean;
    }
  | {
      readonly kind: 'load';
      /** All jobs; each is claimed by one thread, through a word of the control block. */
      readonly jobs: readonly LoadJob[];
      readonly control: number;
      /** Of this thread, in each arena; see load-job.ts. */
      readonly stages: readonly { readonly address: number; readonly byteLength: number }[];
    }
  | { readonly kind: 'serve'; readonly program: InstalledProgram }
  /** Memory of one more arena. There is no answer. */
  | { readonly kind: 'memory'; readonly memory: LinearMemory }
  | {
      readonly kind: 'probe';
      readonly kernel: ProbeKernel;
      readonly address: number;
      readonly count: number;
    };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'probed' }
  /** Another `byteLength` bytes are in place. */
  | { readonly kind: 'progress'; readonly byteLength: number }
  | { readonly kind: 'loaded' }
  | { readonly kind: 'failed'; readonly error: ErrorRecord };
