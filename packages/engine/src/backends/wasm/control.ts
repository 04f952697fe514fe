// The block of shared words through which the calling thread and the workers talk. Word numbers:

export const CONTROL = {
  /** Raised by the caller for every command; thread 0 waits on it. */
  generation: 0,
  /** Raised for commands that all threads may take part in; the others wait on it. */
  others: 1,
  /** What the next generation asks for. */
  command: 2,
  /** How far the run is: see `progress` below. */
  progress: 3,
  /** The op after the last. */
  end: 4,
  /** Threads asleep until the run advances. */
  sleepers: 5,
  /** The run that was last completed; the caller waits on it. */
  done: 6,
  /** 1 while ops are timed. */
  profile: 7,
  /** The generation that the open run belongs to. Set before anything is opened. */
  run: 8,
  /** While loading: jobs handed out so far. */
  nextJob: 9,
} as const;

export const COMMAND = { run: 0, pause: 1 } as const;
export const CONTROL_BYTES = 64;

/**
 * How long an idle worker watches for the next command before it sleeps: about the time that sampling takes.
 */
export const IDLE_SPINS = 3000;

/**
 * Progress in one word, so that it changes atomically: the run it belongs to (7 bits), the op that is open
 * (16), and how many threads are inside that op (8).
 */
export const progress = (run: number, op: number, inside: number): number =>
  ((run & 127) << 24) | (op << 8) | inside;
export const openOp = (word: number): number => (word >>> 8) & 0xffff;
export const threadsInside = (word: number): number => word & 0xff;
/** No op is open: between runs. */
export const CLOSED = progress(0, 0xffff, 0);
export const MAX_OPS = 0xfffe;
