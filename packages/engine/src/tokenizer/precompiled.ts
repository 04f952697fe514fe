// SentencePiece's compiled normaliser (`precompiled_charsmap`, Hugging Face's `Precompiled`), of XLM-RoBERTa and T5:
// a double-array trie over UTF-8 (darts-clone) whose values are places of replacements. Bytes: the length of the trie
// (u32, little-endian), the trie's units (u32), the replacements, each ended by a zero.
//
// As Hugging Face's code does it: of a grapheme of less than six bytes the shortest entry that it begins with
// replaces it whole; otherwise each of its characters is looked up alone.

import type { Place } from './json-fields.ts';

/** XLM-RoBERTa's takes 240 KB. */
const MOST_BYTES = 16 * 2 ** 20;
const MOST_CACHED = 1 << 16;

const utf8 = new TextEncoder();
const text = new TextDecoder();

export function precompiledNormalizer(base64: string, place: Place): (given: string) => string {
  const bytes = decodeBase64(base64, place);
  const trieBytes = bytes.length >= 4 ? new DataView(bytes.buffer).getUint32(0, true) : 0;
  if (trieBytes < 4 || trieBytes % 4 || 4 + trieBytes > bytes.length)
    throw place.error(`expected a trie inside its ${bytes.length} bytes, found a length of ${trieBytes}`);
  const units = new Uint32Array(bytes.slice(4, 4 + trieBytes).buffer);
  const replacements = bytes.subarray(4 + trieBytes);
  const find = (part: string): string | null => {
    const at = shortestMatch(units, utf8.encode(part));
    if (at < 0 || at > replacements.length) return null;
    const end = replacements.indexOf(0, at);
    return text.decode(replacements.subarray(at, end < 0 ? replacements.length : end));
  };
  const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' });
  const cache = new Map<string, string>();
  const replace = (grapheme: string): string => {
    let found = cache.get(grapheme);
    if (found !== undefined) return found;
    found = utf8.encode(grapheme).length < 6 ? (find(grapheme) ?? undefined) : undefined;
    found ??= Array.from(grapheme, (character) => find(character) ?? character).join('');
    if (cache.size >= MOST_CACHED) cache.clear();
    cache.set(grapheme, found);
    return found;
  };
  return (given) => {
    let out = '';
    for (const { segment } of segmenter.segment(given)) out += replace(segment);
    return out;
  };
}

/** The value of the first entry on the way along the bytes; -1 for none. */
function shortestMatch(units: Uint32Array, key: Uint8Array): number {
  let at = offsetOf(units[0]!);
  for (const byte of key) {
    if (byte === 0) return -1;
    at ^= byte;
    const unit = units[at];
    if (unit === undefined || (unit & 0x8000_00ff) !== byte) return -1;
    at ^= offsetOf(unit);
    if ((unit >>> 8) & 1) return (units[at] ?? 0) & 0x7fff_ffff;
  }
  return -1;
}

const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);

function decodeBase64(base64: string, place: Place): Uint8Array<ArrayBuffer> {
  if (base64.length > (MOST_BYTES * 4) / 3) throw place.error(`expected at most ${MOST_BYTES} bytes`);
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    throw place.expected('bytes in base64', base64.slice(0, 20));
  }
}
