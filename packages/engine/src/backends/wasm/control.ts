// The block of shared words through which the calling thread and the workers talk. Word numbers:

export const CONTROL = {
  /** Raised by the caller for every command; thread 0 waits on it. */
  generation: 0,
  /** First op and the one after the last. */
  start: 1,
  end: 2,
  /** The barrier's own words (assembly/barrier.ts). */
  arrived: 3,
  phase: 4,
  sleepers: 5,
  /** The generation that was last completed; the caller waits on it. */
  done: 6,
  /** What the next generation asks for. */
  command: 7,
  /** 1 while ops are timed. */
  profile: 8,
  /** Raised for commands that all threads take part in; the others wait on it. */
  others: 9,
  /** How many threads take part. */
  participants: 10,
} as const;

export const COMMAND = { run: 0, pause: 1 } as const;
export const CONTROL_BYTES = 64;

/** How long an idle worker watches for the next command before it sleeps: about the time that sampling takes. */
export const IDLE_SPINS = 3000;
