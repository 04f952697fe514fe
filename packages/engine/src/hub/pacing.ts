// When to try again, how long to wait, and when to give up. A download over hours meets cuts, stalls and busy
// servers: those are transient and repeated with exponential backoff and full jitter (so that many clients do
// not return at the same moment); everything else is final at once.

import { HubError } from '../errors.ts';
import type { Retry } from '../progress.ts';

export interface Pacing {
  /** Attempts in a row that may fail; attempts that moved a megabyte forward do not count. */
  readonly maxAttempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  /** A connection that delivers nothing for this long is given up. */
  readonly stallTimeoutMs: number;
  /** The longest `Retry-After` that is waited for. The hub's own windows are five minutes. */
  readonly maxRetryAfterMs: number;
  readonly sleep: (delayMs: number, signal: AbortSignal) => Promise<void>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export const DEFAULT_PACING: Pacing = {
  maxAttempts: 8,
  baseDelayMs: 500,
  maxDelayMs: 30_000,
  stallTimeoutMs: 30_000,
  maxRetryAfterMs: 310_000,
  sleep,
  random: Math.random,
};

/** Progress that resets the count of failures: bounded, because a file has a known number of megabytes. */
const PROGRESS_BYTES = 1 << 20;

/**
 * `unresolved`: the name of the server has no address. `unreachable`: no answer at all. `interrupted`: an
 * answer that ended early, stalled or was damaged. `busy`: 429, 5xx. `range`: the server cannot be asked for
 * a part of the file. `changed`: what it has is not what it had.
 */
export type TransientKind = 'unresolved' | 'unreachable' | 'interrupted' | 'busy' | 'range' | 'changed';

/** May go away by itself. Stays inside the hub folder: callers see a HubError whose cause this is. */
export class TransientError extends Error {
  override readonly name = 'TransientError';
  readonly kind: TransientKind;
  readonly retryAfterMs: number | null;

  constructor(kind: TransientKind, message: string, retryAfterMs: number | null = null) {
    super(message);
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
  }
}

/** True when the hub could not be asked, so that the cache may answer instead. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof HubError && error.cause instanceof TransientError;
}

export interface RetryOptions {
  readonly pacing: Pacing;
  readonly signal: AbortSignal;
  /** For the final message: what was being done. */
  readonly subject: string;
  /** For the final message: what the user can do. */
  readonly remedy: string;
  /** Bytes that are safe so far. */
  readonly progress?: () => number;
  readonly onRetry?: ((retry: Retry) => void) | undefined;
}

/**
 * A name without an address is mistyped, or there is no network: waiting does not help someone who has just
 * asked. Once bytes have arrived the name was right, and the network may come back.
 */
const attemptsFor = (error: TransientError, maxAttempts: number, progress: number): number =>
  error.kind === 'unresolved' && progress === 0 ? 1 : maxAttempts;

/** Runs `task` until it succeeds, fails for good, is aborted, or has failed too often. */
export async function withRetries<T>(options: RetryOptions, task: () => Promise<T>): Promise<T> {
  const { pacing, signal, subject, remedy } = options;
  let failures = 0;
  // The furthest point ever reached, so that starting over again and again is not taken for progress.
  let furthest = options.progress?.() ?? 0;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await task();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TransientError)) throw error;
      const reached = options.progress?.() ?? 0;
      failures = reached - furthest >= PROGRESS_BYTES ? 1 : failures + 1;
      furthest = Math.max(furthest, reached);
      const maxAttempts = attemptsFor(error, pacing.maxAttempts, furthest);
      if (failures >= maxAttempts) {
        const count = `${failures} attempt${failures === 1 ? '' : 's'}`;
        throw new HubError(`${subject}: gave up after ${count}: ${error.message}. ${remedy}`, {
          code: 'unreachable',
          cause: error,
        });
      }
      const delayMs = error.retryAfterMs ?? backoff(pacing, failures);
      options.onRetry?.({ reason: error.message, delayMs, attempt: failures, maxAttempts });
      await pacing.sleep(delayMs, signal);
    }
  }
}

/** Full jitter over the upper half of the exponential delay: never zero, never in step with others. */
function backoff(pacing: Pacing, failures: number): number {
  const ceiling = Math.min(pacing.maxDelayMs, pacing.baseDelayMs * 2 ** (failures - 1));
  return ceiling * (0.5 + 0.5 * pacing.random());
}

/** Waits; rejects with the signal's reason as soon as it is aborted. */
export function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, delayMs);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** A signal that also fires when nothing has been touched for `timeoutMs`. Call `stop` when done. */
export interface StallGuard {
  readonly signal: AbortSignal;
  touch(): void;
  stop(): void;
}

export function guardAgainstStall(parent: AbortSignal, timeoutMs: number): StallGuard {
  const controller = new AbortController();
  const stalled = () => {
    const seconds = Math.round(timeoutMs / 100) / 10;
    controller.abort(new TransientError('interrupted', `no data arrived for ${seconds} s`));
  };
  let timer = setTimeout(stalled, timeoutMs);
  return {
    signal: AbortSignal.any([parent, controller.signal]),
    touch() {
      clearTimeout(timer);
      timer = setTimeout(stalled, timeoutMs);
    },
    stop() {
      clearTimeout(timer);
    },
  };
}
