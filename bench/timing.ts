// Clocks and memory of a measuring process.

export async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

export const residentBytes = (): number => process.memoryUsage.rss();
/** The most that was ever resident; the system reports KiB. */
export const peakBytes = (): number => process.resourceUsage().maxRSS * 1024;

/** Time for freed memory to go back. */
export const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1000));
