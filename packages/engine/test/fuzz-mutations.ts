// Seeded mutations of file bytes for the fuzz tests: what damaged downloads and hostile writers produce.

export type Random = () => number;

/** mulberry32: uniform in [0, 1), the same sequence for the same seed on every machine. */
export function seededRandom(seed: number): Random {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

export function pick<T>(random: Random, list: readonly [T, ...T[]]): T {
  return list[below(random, list.length)] ?? list[0];
}

const extremes32 = [0, 1, 2, 5, 12, 32, 255, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff] as const;
const extremes64 = [
  0n,
  1n,
  31n,
  2n ** 24n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n + 1n,
  2n ** 61n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
] as const;

const byteMutations = [
  flipBit,
  setByte,
  setU32,
  setU64,
  copyRange,
  deleteRange,
  insertRange,
  truncate,
] as const;

/** One to three mutations of any kind. Returns new bytes. */
export function mutateBytes(random: Random, bytes: Uint8Array): Uint8Array {
  let result: Uint8Array = bytes.slice();
  for (let i = 1 + below(random, 3); i > 0 && result.length > 0; i--)
    result = pick(random, byteMutations)(random, result);
  return result;
}

function flipBit(random: Random, bytes: Uint8Array): Uint8Array {
  const at = below(random, bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << below(random, 8));
  return bytes;
}

function setByte(random: Random, bytes: Uint8Array): Uint8Array {
  bytes[below(random, bytes.length)] = below(random, 256);
  return bytes;
}

function setU32(random: Random, bytes: Uint8Array): Uint8Array {
  if (bytes.length < 4) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(below(random, bytes.length - 3), pick(random, extremes32), true);
  return bytes;
}

function setU64(random: Random, bytes: Uint8Array): Uint8Array {
  if (bytes.length < 8) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setBigUint64(below(random, bytes.length - 7), pick(random, extremes64), true);
  return bytes;
}

/** A short range written over another place. */
function copyRange(random: Random, bytes: Uint8Array): Uint8Array {
  const length = Math.min(1 + below(random, 64), bytes.length);
  const from = below(random, bytes.length - length + 1);
  bytes.copyWithin(below(random, bytes.length - length + 1), from, from + length);
  return bytes;
}

function deleteRange(random: Random, bytes: Uint8Array): Uint8Array {
  const length = Math.min(1 + below(random, 32), bytes.length);
  const from = below(random, bytes.length - length + 1);
  return join(bytes.subarray(0, from), bytes.subarray(from + length));
}

function insertRange(random: Random, bytes: Uint8Array): Uint8Array {
  const inserted = Uint8Array.from({ length: 1 + below(random, 32) }, () => below(random, 256));
  const at = below(random, bytes.length + 1);
  return join(bytes.subarray(0, at), inserted, bytes.subarray(at));
}

function truncate(random: Random, bytes: Uint8Array): Uint8Array {
  return bytes.slice(0, below(random, bytes.length));
}

const oddTokens = [
  'NaN',
  '-1',
  '1e999',
  '1.5',
  '9007199254740993',
  '-0',
  'null',
  '[]',
  '{}',
  '""',
  '"../../x.safetensors"',
  '"\\ud800"',
  '"__proto__"',
  '[[[[[[[[[[',
  '{"a":',
  ',',
] as const;

/**
 * Replaces a number, a text or a punctuation mark of JSON by something odd: reaches past the JSON grammar.
 */
export function mutateJson(random: Random, bytes: Uint8Array): Uint8Array {
  const text = new TextDecoder().decode(bytes);
  const tokens = [...text.matchAll(/"[^"]*"|-?[0-9.]+|[[\]{},:]|true|false|null/g)];
  const token = tokens[below(random, tokens.length)];
  if (token === undefined) return bytes.slice();
  const other = tokens[below(random, tokens.length)]?.[0] ?? '';
  const odd = random() < 0.5 ? other : pick(random, oddTokens);
  return new TextEncoder().encode(
    text.slice(0, token.index) + odd + text.slice(token.index + token[0].length),
  );
}

export function join(...parts: Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

type Tree = Record<string, unknown>;

const oddNumbers = [
  0,
  -1,
  1,
  2,
  3,
  5,
  0.5,
  1e-40,
  255,
  4096,
  65_537,
  2 ** 24,
  2 ** 31,
  2 ** 53,
  1e30,
  1e308,
] as const;
const oddValues = [
  null,
  true,
  false,
  '',
  'silu',
  'attention',
  [],
  {},
  [1],
  '__proto__',
  { __float__: 'NaN' },
] as const;

/** The same object with one value in it, at any depth, removed, replaced or bent. */
export function mutateTree(random: Random, tree: Tree): Tree {
  const keys = Object.keys(tree);
  if (!keys.length) return { odd: pick(random, oddNumbers) };
  const key = keys[below(random, keys.length)]!;
  const value = tree[key];
  const inside = typeof value === 'object' && value !== null && random() < 0.7;
  if (inside && !Array.isArray(value)) return { ...tree, [key]: mutateTree(random, value as Tree) };
  const kind = random();
  if (kind < 0.15) return Object.fromEntries(Object.entries(tree).filter(([name]) => name !== key));
  if (kind < 0.3) {
    const other = tree[keys[below(random, keys.length)]!];
    return { ...tree, [key]: other };
  }
  return { ...tree, [key]: mutateValue(random, value) };
}

/** Another value: of the same type mostly, and near the old one as often as far from it. */
export function mutateValue(random: Random, value: unknown): unknown {
  if (random() < 0.2) return pick(random, oddValues);
  if (typeof value === 'number') {
    const near = [value + 1, value - 1, value * 2, value / 2, -value, value * 1.5] as const;
    return random() < 0.5 ? pick(random, near) : pick(random, oddNumbers);
  }
  if (typeof value === 'boolean') return !value;
  if (Array.isArray(value)) return mutateList(random, value);
  return pick(random, random() < 0.5 ? oddValues : oddNumbers);
}

function mutateList(random: Random, list: readonly unknown[]): unknown[] {
  const at = below(random, list.length + 1);
  const kinds = [
    () => list.slice(0, at),
    () => [...list, list[below(random, list.length)]],
    () => list.toReversed(),
    () => list.with(Math.min(at, list.length - 1), mutateValue(random, list[at])),
    () => list.with(Math.min(at, list.length - 1), list[0]),
    () => Array.from({ length: 5000 }, () => list[0]),
  ] as const;
  return list.length ? pick(random, kinds)() : [pick(random, oddNumbers)];
}
