// Types that both halves of the platform share. Declarations name this file: compilers and bundlers do not all resolve
// `#platform` inside a package.

/** Whether V8 may merge operations to 256 bits where it is known to be right, or must not. */
export type WideSimd = 'auto' | false;

/** A worker thread, as far as the engine uses one. */
export interface WorkerThread {
  post(message: unknown): void;
  /** The next message, or the thread's end. */
  onNext(listener: (message: unknown) => void, failed: (error: Error) => void): void;
  /** The thread died, or ended before it was told to: out of memory, or a bug. Also if that was earlier. */
  onFailure(listener: (error: Error) => void): void;
  /** Whether this thread alone keeps the process alive. */
  hold(on: boolean): void;
  terminate(): Promise<void>;
}

/** The machine's memory. */
export interface MachineMemory {
  readonly totalBytes: number;
  readonly freeBytes: number;
}
