// A run that is killed at random moments, again and again, ends with the bits of a run that never was.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createRandom } from '@marimba/engine/measure';

const KILLS = 10;
const root = mkdtempSync(join(tmpdir(), 'marimba-resume-'));
after(() => rmSync(root, { recursive: true, force: true }));

/**
 * Runs the child; kills it `delayMs` after it has printed `lines` lines. Resolves to whether it came to its
 * end.
 */
function runChild(folder: string, kill: { lines: number; delayMs: number } | null): Promise<boolean> {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('./resume-child.ts', import.meta.url)), folder],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let seen = 0;
  let finished = false;
  child.stdout.on('data', (data: Buffer) => {
    const text = data.toString();
    seen += text.split('\n').length - 1;
    if (text.includes('end ')) finished = true;
    if (kill && seen >= kill.lines) setTimeout(() => child.kill('SIGKILL'), kill.delayMs);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) =>
      code !== 0 && !child.killed ? reject(new Error(`child: exit code ${code}`)) : resolve(finished),
    );
  });
}

const lastCheckpoint = (folder: string): Uint8Array => {
  const names = readdirSync(join(folder, 'checkpoints')).filter((name) => name.endsWith('.checkpoint'));
  return readFileSync(join(folder, 'checkpoints', names.sort().at(-1)!));
};

const logLines = (folder: string) =>
  readFileSync(join(folder, 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; step: number; loss?: number });

it(`ends with identical weights after ${KILLS} kills`, { timeout: 600_000 }, async () => {
  const whole = join(root, 'whole');
  assert.ok(await runChild(whole, null));
  const cut = join(root, 'cut');
  const random = createRandom(20);
  let finished = false;
  for (let kill = 0; kill < KILLS; kill++) {
    assert.ok(!finished, 'the run was over before all kills: make it longer');
    finished = await runChild(cut, {
      lines: 2 + Math.floor(random() * 12),
      delayMs: Math.floor(random() * 15),
    });
  }
  if (!finished) finished = await runChild(cut, null);
  assert.ok(finished);
  assert.deepEqual(lastCheckpoint(cut), lastCheckpoint(whole));
  const losses = (folder: string) =>
    logLines(folder).flatMap((line) => (line.kind === 'step' ? [[line.step, line.loss]] : []));
  assert.deepEqual(losses(cut), losses(whole), 'every step is in the record once, with the same loss');
});

it('goes on from the checkpoint before when the last one is damaged', { timeout: 300_000 }, async () => {
  const folder = join(root, 'whole');
  const expected = lastCheckpoint(folder);
  const names = readdirSync(join(folder, 'checkpoints')).sort();
  const path = join(folder, 'checkpoints', names.at(-1)!);
  const damaged = Uint8Array.from(expected);
  damaged[damaged.length - 5] = damaged[damaged.length - 5]! ^ 1;
  writeFileSync(path, damaged);
  assert.ok(await runChild(folder, null));
  assert.deepEqual(lastCheckpoint(folder), expected);
});
