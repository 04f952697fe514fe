// One kind of event for everything that `loadModel` may take long over: looking a name up, downloading,
// starting threads, reading weights. A page or a command line needs only `phase`, `loaded`, `total` and
// `unit`; the rest is for details.

/** A failed attempt that is made again. */
export interface Retry {
  /** What went wrong: "hub.example.org cannot be reached (ECONNREFUSED)". */
  readonly reason: string;
  /** Milliseconds until the next attempt. */
  readonly delayMs: number;
  /** Attempts that failed so far without progress between them, from 1. */
  readonly attempt: number;
  /** How many may fail before the error is final. */
  readonly maxAttempts: number;
}

/** How far something has come that is counted. */
interface Amount {
  /** Done so far, in `unit`. Falls only when a download starts over. */
  readonly loaded: number;
  /** All there is to do, in `unit`; 0 where a server does not say. */
  readonly total: number;
  /**
   * A sentence for the user about waiting, starting over or an option without effect; null when all is well.
   * Says the same as `retry`, if set.
   */
  readonly note: string | null;
  /** Set when this event reports a failed attempt. */
  readonly retry: Retry | null;
}

/**
 * Asking the hub which commit a name means and which files it has. Reported at once, before the first
 * request.
 */
export interface ResolveProgress extends Amount {
  /** Tag of the union. */
  readonly phase: 'resolve';
  /** What `loaded` and `total` count. */
  readonly unit: 'requests';
  /** What is looked up: `owner/name`. */
  readonly source: string;
}

/** Fetching files, or finding them in the cache. `loaded` and `total` are of all files together. */
export interface DownloadProgress extends Amount {
  /** Tag of the union. */
  readonly phase: 'download';
  /** What `loaded` and `total` count. */
  readonly unit: 'bytes';
  /** The file that this event is about, and its own amounts in bytes. */
  readonly file: { readonly name: string; readonly loaded: number; readonly total: number };
  /** Over the last seconds, from the network only; 0 while nothing arrives. */
  readonly bytesPerSecond: number;
}

/** Compiling the kernels and starting worker threads. */
export interface StartProgress extends Amount {
  /** Tag of the union. */
  readonly phase: 'start';
  /** What `loaded` and `total` count. */
  readonly unit: 'threads';
}

/** Reading weights into memory, quantising and packing them where asked for. Bytes are those of the files. */
export interface WeightsProgress extends Amount {
  /** Tag of the union. */
  readonly phase: 'load';
  /** What `loaded` and `total` count. */
  readonly unit: 'bytes';
}

/** What `onProgress` of `pullModel` is called with. */
export type PullProgress = ResolveProgress | DownloadProgress;

/**
 * What `onProgress` of `loadModel` is called with. Phases come in the order resolve, download, start, load;
 * those that a source does not need are left out. Close an exhaustive `switch (event.phase)` with a default:
 * phases may be added.
 */
export type LoadProgress = PullProgress | StartProgress | WeightsProgress;

/** The sentence for a retry. */
export const retryNote = ({ reason, delayMs }: Pick<Retry, 'reason' | 'delayMs'>): string =>
  `${reason}; trying again in ${Math.round(delayMs / 100) / 10} s`;
