// Ctrl-C: the first asks the running work to stop and show what it has, the second ends the process at once.
import { EXIT, Interrupted } from './exit.ts';
import { liveLine } from './live-line.ts';

export interface Interrupt {
  readonly signal: AbortSignal;
  /** Throws Interrupted when Ctrl-C was pressed. */
  check(): void;
  /** Gives Ctrl-C its usual meaning back. */
  release(): void;
}

export function watchInterrupt(): Interrupt {
  const controller = new AbortController();
  const listener = () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    liveLine.stop();
    controller.abort(new Interrupted('stopped'));
  };
  process.on('SIGINT', listener);
  process.on('SIGTERM', listener);
  return {
    signal: controller.signal,
    check() {
      if (controller.signal.aborted) throw new Interrupted('stopped');
    },
    release() {
      liveLine.stop(false);
      process.off('SIGINT', listener);
      process.off('SIGTERM', listener);
    },
  };
}
