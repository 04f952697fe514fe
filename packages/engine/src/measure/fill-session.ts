// Moves a session to a depth without evaluating that many tokens: fills its state with random values of
// realistic size. What it then generates means nothing; the time it takes is that of a real context of that
// length. For measurements only.

import { UsageError } from '../errors.ts';
import { createRandom, type Random } from '../generate/random.ts';
import { coreOf, type Model } from '../model/model.ts';
import { type Session, timelineOf } from '../model/session.ts';
import {
  type CACHE_TYPE_ID,
  type CacheType,
  headPlaneBytes,
  PAGE_SHIFT,
  PAGE_TOKENS,
} from '../plan/cache-layout.ts';
import type { ArenaState } from '../state/arena-state.ts';
import type { CacheGroup } from '../state/state-layout.ts';

/** Positions filled at once; windows release their oldest pages in between. */
const CHUNK = 4096;
/** Number of different random pages: more would only take longer to fill. */
const TEMPLATES = 4;

/**
 * Advances `session` by `count` positions of random tokens, random cache pages and a random recurrent state.
 */
export function fillSession(model: Model, session: Session, count: number, seed = 1): void {
  if (!Number.isInteger(count) || count < 0 || session.position + count > model.contextLength)
    throw new UsageError(
      `fill: expected 0 to ${model.contextLength - session.position} positions within the context, found ${count}`,
    );
  const random = createRandom(seed);
  const { layout, backend } = coreOf(model).runtime;
  const templates = layout.arenas.map(({ groups }) =>
    groups.map((group) =>
      Array.from({ length: TEMPLATES }, () => randomPage(layout.cacheType, group, random)),
    ),
  );
  const timeline = timelineOf(session);
  const { state } = timeline;
  timeline.claim('await the filling first');
  try {
    for (let done = 0; done < count; done += CHUNK) {
      const length = Math.min(CHUNK, count - done);
      state.prepare(length);
      for (const [a, part] of state.parts.entries())
        copyPages(part, length, templates[a]!, backend.arenas[a]!.views.u8);
      state.advance(length);
      timeline.consumed(Array.from({ length }, () => Math.floor(random() * model.vocabularySize)));
    }
    for (const { recurrentBytes } of count > 0 ? state.parts : []) {
      const floats = new Float32Array(
        recurrentBytes.buffer,
        recurrentBytes.byteOffset,
        recurrentBytes.length / 4,
      );
      for (let i = 0; i < floats.length; i++) floats[i] = random() - 0.5;
    }
  } finally {
    timeline.release();
  }
}

function copyPages(state: ArenaState, length: number, templates: Uint8Array[][], memory: Uint8Array): void {
  const first = Math.ceil(state.position / PAGE_TOKENS); // a partly filled page keeps its contents
  const last = (state.position + length - 1) >> PAGE_SHIFT;
  templates.forEach((choices, g) => {
    const pages = state.pages(g);
    for (let i = first; i <= last; i++) memory.set(choices[i % choices.length]!, pages[i]);
  });
}

/** One page of a group: keys and values of every layer, each KV head's plane in the cache's own format. */
function randomPage(type: CacheType, { pageBytes, members }: CacheGroup, random: Random): Uint8Array {
  const page = new Uint8Array(pageBytes);
  for (const { place, kvHeads, headSize } of members) {
    const planeLength = headPlaneBytes(type, headSize);
    for (let plane = 0; plane < 2 * kvHeads; plane++) {
      const at = place.layerOffset + plane * planeLength;
      fillPlane(type, page.subarray(at, at + planeLength), headSize, random);
    }
  }
  return page;
}

/** Values between −1 and 1 (f32, f16), or codes and scales of such values (q8). */
function fillPlane(type: CacheType, plane: Uint8Array, headSize: number, random: Random): void {
  const view = new DataView(plane.buffer, plane.byteOffset, plane.byteLength);
  const elements = PAGE_TOKENS * headSize;
  const fill = {
    f32: (i: number) => view.setFloat32(i * 4, random() * 2 - 1, true),
    // Sign, an exponent of 2^-4 to 2^-1, any fraction.
    f16: (i: number) =>
      view.setUint16(i * 2, ((random() * 2) << 15) | ((11 + random() * 4) << 10) | (random() * 1024), true),
    q8: (i: number) => view.setInt8(i, Math.round((random() * 2 - 1) * 127)),
  } satisfies Record<keyof typeof CACHE_TYPE_ID, (i: number) => void>;
  for (let i = 0; i < elements; i++) fill[type](i);
  if (type !== 'q8') return;
  for (let i = 0; i < PAGE_TOKENS; i++)
    view.setFloat32(plane.byteLength - (PAGE_TOKENS - i) * 4, 1 / 127, true);
}
