// What the backend and its workers say to each other while no program runs.
import type { LoadJob } from '../../model/load-job.ts';
import type { InstalledProgram } from './thread.ts';

export type ToWorker =
  | {
      readonly kind: 'start';
      readonly module: WebAssembly.Module;
      readonly memory: WebAssembly.Memory;
      readonly thread: number;
    }
  | { readonly kind: 'load'; readonly job: LoadJob }
  | { readonly kind: 'serve'; readonly program: InstalledProgram }
  | { readonly kind: 'probe'; readonly address: number; readonly byteLength: number };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'probed' }
  | { readonly kind: 'loaded'; readonly byteLength: number }
  | { readonly kind: 'failed'; readonly name: string; readonly message: string };
