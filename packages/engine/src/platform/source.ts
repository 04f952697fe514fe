// What a model can be loaded from, and what opening it may take.
import type { Checkpoint } from '../formats/types.ts';
import type { PullListener } from '../hub/progress.ts';

/** A path, URL or hub name; files picked in a browser; or files that are already open. */
export type ModelSource =
  | string
  | URL
  | Blob
  | readonly {
      /** File name, by which config.json and the weights are found. */
      readonly name: string;
      /** Content, read in slices. */
      readonly blob: Blob;
    }[]
  | Checkpoint;

export interface OpenOptions {
  /** For hub names. */
  readonly token?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly onProgress?: PullListener | undefined;
  readonly signal?: AbortSignal | undefined;
}
