// How a study writes down which mixer each layer has. Two forms:
//   letters   MMMAMMMM: M Mamba, S Mamba-2, D gated DeltaNet, C short convolution, V moving average, A attention,
//             W windowed attention (engine: `ownWords` in layers/); a lower-case e after a letter puts experts
//             behind it, and "MMMA*2" says it twice
//   words     "none", "all", "every 8, in the middle" (or first, last: within each period),
//             "2 at the start" (in the middle, at the end, spread: within the whole stack): where attention
//             stands among Mamba layers, or with a letter among others: "S: every 8, last"
import { UsageError } from '@marimba/engine';
import { MIXER_WORDS } from '@marimba/engine/architecture';

export interface LayerChoice {
  /** A word of `layer_types` in the engine's own form (engine: architecture/families/marimba.ts). */
  readonly mixer: string;
  readonly experts: boolean;
}

const LETTERS = Object.keys(MIXER_WORDS).join('');
const UNIT = new RegExp(`[${LETTERS}]e?`, 'g');

/** Throws UsageError when the pattern cannot be read or does not fit `depth` layers. */
export function parsePattern(pattern: string, depth: number): LayerChoice[] {
  const layers = new RegExp(`^[${LETTERS}][${LETTERS}e*\\d]*$`).test(pattern)
    ? letters(pattern)
    : words(pattern.trim().toLowerCase(), pattern, depth);
  if (layers.length !== depth)
    throw new UsageError(
      `layers: ${JSON.stringify(pattern)}: expected ${depth} layers, found ${layers.length}. Change the pattern or the depth.`,
    );
  return layers;
}

function letters(pattern: string): LayerChoice[] {
  const [unit = '', times = '1', ...rest] = pattern.split('*');
  const count = Number(times);
  if (
    rest.length ||
    !Number.isInteger(count) ||
    count < 1 ||
    count > 1024 ||
    !new RegExp(`^([${LETTERS}]e?)+$`).test(unit)
  )
    throw new UsageError(
      `layers: expected letters ${[...LETTERS].join(', ')} (each with e for experts) and perhaps *times, found ${JSON.stringify(pattern)}`,
    );
  const once = unit
    .match(UNIT)!
    .map((layer): LayerChoice => ({ mixer: MIXER_WORDS[layer[0]!]!, experts: layer.length > 1 }));
  return Array.from({ length: count }, () => once).flat();
}

function words(text: string, given: string, depth: number): LayerChoice[] {
  const [, letter = 'm', rest = ''] = /^(?:([a-z]): *)?(.*)$/.exec(text) ?? [];
  const mixer = MIXER_WORDS[letter.toUpperCase()];
  const places = mixer === undefined ? null : attentionPlaces(rest, depth);
  if (!places) {
    throw new UsageError(
      `layers: expected letters such as MMMAMMMM, "none", "all", "every 8, in the middle" or "2 at the start", found ${JSON.stringify(given)}`,
    );
  }
  return Array.from(
    { length: depth },
    (_, i): LayerChoice => ({ mixer: places.has(i) ? 'full_attention' : mixer!, experts: false }),
  );
}

/** Which layers attend; null when the words mean nothing. */
function attentionPlaces(text: string, depth: number): Set<number> | null {
  if (text === 'none') return new Set();
  if (text === 'all') return new Set(Array.from({ length: depth }, (_, i) => i));
  const every = /^(?:attention:? )?every (\d+)(?:, (first|in the middle|last))?$/.exec(text);
  if (every) {
    const period = Number(every[1]);
    if (period < 1 || period > depth)
      throw new UsageError(`layers: every ${period}: expected a period from 1 to the depth ${depth}`);
    const offset = { first: 0, 'in the middle': Math.floor(period / 2), last: period - 1 }[
      every[2] ?? 'in the middle'
    ]!;
    return new Set(Array.from({ length: depth }, (_, i) => i).filter((i) => i % period === offset));
  }
  const some = /^(\d+) (at the start|in the middle|at the end|spread)$/.exec(text);
  if (!some) return null;
  const count = Number(some[1]);
  if (count < 1 || count > depth)
    throw new UsageError(`layers: ${count} attention layers: expected from 1 to the depth ${depth}`);
  if (some[2] === 'spread')
    return new Set(Array.from({ length: count }, (_, k) => Math.floor(((k + 0.5) * depth) / count)));
  const first = {
    'at the start': 0,
    'in the middle': Math.ceil((depth - count) / 2),
    'at the end': depth - count,
  }[some[2]!]!;
  return new Set(Array.from({ length: count }, (_, k) => first + k));
}
