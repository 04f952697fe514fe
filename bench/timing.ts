// Clocks and memory of a measuring process, and what else the machine did meanwhile.
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

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

/** Returns a function that says which share of all processors' time others have taken since. */
export function watchOthers(): () => number {
  const began = performance.now();
  const [all, own, children] = [busyMs(), process.cpuUsage(), childrenMs()];
  return () => {
    const { user, system } = process.cpuUsage(own);
    const others = busyMs() - all - (user + system) / 1000 - (childrenMs() - children);
    return Math.max(0, others / ((performance.now() - began) * cpus().length));
  };
}

const busyMs = (): number =>
  cpus().reduce((sum, { times: { user, nice, sys, irq } }) => sum + user + nice + sys + irq, 0);

/** What children that have ended took, where Linux says it (proc_pid_stat(5): cutime and cstime, in 1/100 s). */
function childrenMs(): number {
  try {
    const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ');
    return (Number(fields[13]) + Number(fields[14])) * 10;
  } catch {
    return 0;
  }
}
