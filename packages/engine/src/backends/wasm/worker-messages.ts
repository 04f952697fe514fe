// What the backend and its workers say to each other while no program runs.
import type { LoadJob } from '../../model/load-job.ts';
import type { InstalledProgram } from './thread.ts';

export type ToWorker =
  | { readonly kind: 'start'; readonly module: WebAssembly.Module; readonly memory: WebAssembly.Memory; readonly thread: number; readonly threads: number }
  | { readonly kind: 'load'; readonly job: LoadJob }
  | { readonly kind: 'serve'; readonly program: InstalledProgram };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'loaded'; readonly byteLength: number }
  | { readonly kind: 'failed'; readonly name: string; readonly message: string };
