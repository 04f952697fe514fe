// The best k of a vocabulary without sorting it, and a total order of candidates that is the same everywhere.
//
// A value and an index are packed into one double that sorts ascending as "larger value first, then lower
// index": 32 bits of the float's order, 21 bits of index, 53 in all, exact. Such keys are sorted by
// Float64Array's own sort, without a comparator: 3x faster than indices with one (65,536 and 262,144 of them,
// Node 24).

const indexLimit = 2 ** 21;

/**
 * More tokens than this do not fit the packed keys; the largest vocabularies in use have a quarter million.
 */
export const vocabularyLimit = indexLimit;

const floatView = new Float32Array(1);
const bitsView = new Uint32Array(floatView.buffer);

/** Sorts ascending by descending value (compared as float32), then ascending index. */
export function descendingKey(value: number, index: number): number {
  floatView[0] = value + 0; // −0 becomes 0
  const bits = bitsView[0];
  const ascending = bits >>> 31 ? ~bits : bits | 0x80000000;
  return (~ascending >>> 0) * indexLimit + index;
}

/** Sorts ascending by ascending value, which must not be negative, then ascending index. */
export function ascendingKey(value: number, index: number): number {
  floatView[0] = value + 0;
  return bitsView[0] * indexLimit + index;
}

export function keyIndex(key: number): number {
  return key % indexLimit;
}

/**
 * Fills `keys` with the keys of the `k` largest logits, best first, and returns how many there are: fewer
 * than `k` when the rest is −Infinity. A heap of the k best, its worst on top: one comparison for nearly
 * every logit.
 */
export function selectTop(logits: Float32Array, k: number, keys: Float64Array): number {
  let count = 0;
  let index = 0;
  for (; index < logits.length && count < k; index++) {
    if (logits[index] > -Infinity) keys[count++] = descendingKey(logits[index], index);
  }
  if (index < logits.length && count > 0) keepBest(logits, index, keys, count);
  keys.subarray(0, count).sort();
  return count;
}

/** Replaces the worst of the `count` keys by each better logit from `start` on. */
function keepBest(logits: Float32Array, start: number, keys: Float64Array, count: number): void {
  for (let node = (count >> 1) - 1; node >= 0; node--) siftDown(keys, node, count);
  let worst = logits[keyIndex(keys[0])];
  for (let index = start; index < logits.length; index++) {
    // Equal logits lose to the lower ids that are already in.
    if (logits[index] > worst) {
      keys[0] = descendingKey(logits[index], index);
      siftDown(keys, 0, count);
      worst = logits[keyIndex(keys[0])];
    }
  }
}

/** Larger keys, which are worse, move up. */
function siftDown(keys: Float64Array, node: number, count: number): void {
  const key = keys[node];
  for (;;) {
    let child = 2 * node + 1;
    if (child >= count) break;
    if (child + 1 < count && keys[child + 1] > keys[child]) child++;
    if (keys[child] <= key) break;
    keys[node] = keys[child];
    node = child;
  }
  keys[node] = key;
}
