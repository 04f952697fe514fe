// One task of the kind `base`, run by llama.cpp's own llama-bench: two processes of it, one that reads the
// prompt, one that decodes at its end. Memory is the most that the second ever held.
import { execFile } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { answer, readTask } from './children.ts';
import type { Figures, TaskOf } from './tasks.ts';
import { watchOthers } from './timing.ts';

const POLL_MS = 20;

const task = readTask<TaskOf<'base'> & { readonly llamaBench: string }>();
const busyElsewhere = watchOthers();
answer({ ...(await measure()), busyElsewhere: busyElsewhere() });

async function measure(): Promise<Figures> {
  const { prompt, decode, model } = task;
  const read = await run(['-p', `${prompt}`, '-n', '0']);
  const written = await run(['-p', '0', '-n', `${decode}`, '-d', `${prompt}`]);
  return {
    prompt: read.tokensPerSecond,
    decode: written.tokensPerSecond,
    peakBytes: written.peakBytes,
    fileBytes: statSync(model).size,
  };
}

/** One measurement after its own warm-up. */
function run(options: readonly string[]): Promise<{ tokensPerSecond: number; peakBytes: number }> {
  return new Promise((resolve, reject) => {
    const common = ['-m', task.model, '-t', `${task.threads}`, '-r', '1', '-o', 'jsonl'];
    let peakBytes = 0;
    const child = execFile(task.llamaBench, [...common, ...options], (error, output) => {
      clearInterval(poll);
      if (error) return reject(error);
      const { avg_ts: tokensPerSecond } = JSON.parse(output.trim().split('\n').at(-1)!);
      resolve({ tokensPerSecond, peakBytes });
    });
    const poll = setInterval(() => (peakBytes = Math.max(peakBytes, heldBytes(child.pid))), POLL_MS);
  });
}

/** The most that a process ever held (Linux); 0 once it has ended. */
function heldBytes(pid: number | undefined): number {
  try {
    const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}
