// Times the two phases of generation: a prompt, and decoding with any number of sessions at once. For
// measurements only.
import { createRandom } from '../generate/random.ts';
import type { Model } from '../model/model.ts';
import type { Session } from '../model/session.ts';

/** Random tokens in place of a text, without end tokens; the same for the same seed. */
export function sampleTokens(model: Model, count: number, seed = 1): number[] {
  const random = createRandom(seed);
  const ends = new Set(model.endTokens);
  const tokens: number[] = [];
  while (tokens.length < count) {
    const token = Math.floor(random() * model.vocabularySize);
    // A tiny vocabulary may consist of end tokens alone.
    if (!ends.has(token) || model.vocabularySize <= ends.size) tokens.push(token);
  }
  return tokens;
}

export function mostLikely(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}

/** Evaluates `tokens` and chooses the next one. Returns both the milliseconds and that token. */
export async function timePrompt(
  session: Session,
  tokens: readonly number[],
): Promise<{ elapsedMs: number; next: number }> {
  const began = performance.now();
  const next = mostLikely(await session.prefill(tokens));
  return { elapsedMs: performance.now() - began, next };
}

/** Milliseconds of each of `steps` steps, in which every session evaluates one token and chooses the next. */
export async function timeDecode(
  model: Model,
  sessions: readonly Session[],
  first: readonly number[],
  steps: number,
): Promise<{ stepMs: number[]; tokens: number[][] }> {
  const tokens = first.map((token) => [token]);
  const rows: (Float32Array | undefined)[] = [];
  const stepMs: number[] = [];
  for (let step = 0; step < steps; step++) {
    const began = performance.now();
    const results = await model.step(
      sessions.map((session, i) => ({ session, tokens: [tokens[i]!.at(-1)!], into: rows[i] })),
    );
    for (const [i, { logits }] of results.entries()) {
      tokens[i]!.push(mostLikely(logits!));
      rows[i] = logits!;
    }
    stepMs.push(performance.now() - began);
  }
  return { stepMs, tokens: tokens.map((list) => list.slice(1)) };
}
