// The op contract: every operation a plan may hold, and the layout of its record in the arena. A record is a row of
// u32 words: word 0 the kind, word 1 flags, then one word a field. Both backends read the same records, so a kernel is
// a function of (record address, thread, thread count) and nothing else. `assembly/op-layout.ts` is generated from here.
//
// Conventions, for all ops:
// - Addresses are byte offsets into the arena; 0 means "absent". Strides count f32 elements. Floats are f32 bits.
// - `rows` is the ADDRESS of a u32: how many rows are live in this step (0 is legal: do nothing).
// - Activations are f32, row-major, [rows][stride]; a slice of columns is an address with the parent's stride.
// - A step's rows belong to segments (one per session): see step.ts. State ops walk segments; the rest ignore them.
// - An op may be run by several threads at once, which share its work by rows or columns; ops run in order, each
//   seeing all that earlier ops wrote.

const SCHEMA = {
  /** y[r] = scale * table[tokens[r]] */
  embed: ['rows', 'tokens', 'table', 'layout', 'columns', 'vocabulary', 'scale', 'y', 'yStride'],
  /** Each of `groups` slices of `columns`: y = x / sqrt(mean(x^2) + epsilon) * weight. May run in place. */
  rmsNorm: ['rows', 'x', 'xStride', 'y', 'yStride', 'weight', 'columns', 'groups', 'epsilon', 'codes'],
  /** Rows to int8 with one scale per 32 columns (see codes.ts); the input of `linear` on packed weights. */
  quantizeRows: ['rows', 'x', 'xStride', 'columns', 'codes'],
  /** y = (accumulate ? y : 0) + x W^T + bias. `x` is f32 for raw layouts, codes of quantizeRows for packed ones. */
  linear: ['rows', 'x', 'xStride', 'weight', 'layout', 'outputs', 'columns', 'bias', 'y', 'yStride', 'accumulate', 'scratch'],
  /** Depthwise causal convolution of width `width` over the rows of each segment, then SiLU. Carries its last width-1 inputs. */
  causalConv: ['rows', 'segments', 'x', 'xStride', 'y', 'yStride', 'weight', 'bias', 'channels', 'width', 'stateOffset'],
  /**
   * Mamba-1: dt = softplus(dtRaw + dtBias); h = exp(dt A) h + dt B u; y = (C h + D u) * silu(z).
   * `a` is -exp(A_log) and h the state, both in blocks of 4 channels: [ceil(channels/4)][states][4].
   */
  selectiveScan: [
    'rows', 'segments', 'u', 'uStride', 'dt', 'dtStride', 'dtBias', 'b', 'c', 'bcStride', 'z', 'zStride',
    'a', 'd', 'y', 'yStride', 'channels', 'states', 'stateOffset',
  ],
  /** In place, halves rotated (x[i], x[i + rotary/2]) by position * inverseFrequencies[i]. */
  rope: ['rows', 'positions', 'x', 'xStride', 'heads', 'headSize', 'rotary', 'inverseFrequencies', 'attentionScale'],
  /** Writes k and v of the step's rows into the cache pages of their sessions. Layout: see session/cache-layout.ts. */
  cacheStore: [
    'rows', 'segments', 'rowSegment', 'positions', 'k', 'kStride', 'v', 'vStride', 'kvHeads', 'headSize',
    'group', 'layerOffset', 'cacheType',
  ],
  /** Softmax attention of each row over its session's cache, positions 0…own (or the last `window` of them). */
  attention: [
    'rows', 'segments', 'rowSegment', 'positions', 'q', 'qStride', 'y', 'yStride', 'heads', 'kvHeads', 'headSize',
    'scale', 'window', 'group', 'layerOffset', 'cacheType', 'scratch', 'scratchBytes',
  ],
  /** y = activation(gate) * up. May run in place on either input. */
  gatedActivation: ['rows', 'gate', 'gateStride', 'up', 'upStride', 'y', 'yStride', 'columns', 'activation', 'codes'],
  /** y += x */
  add: ['rows', 'x', 'xStride', 'y', 'yStride', 'columns'],
  /**
   * Softmax over expert logits, top-k, and the rows sorted by expert: slots offsets[e]…offsets[e+1] are expert e's,
   * slotRows[slot] the row, slotOf[row * topK + k] the slot, weights[row * topK + k] the routing weight.
   */
  route: ['rows', 'x', 'xStride', 'experts', 'topK', 'renormalize', 'ids', 'weights', 'offsets', 'slotRows', 'slotOf'],
  /**
   * For every slot of every expert: y[slot] = W_expert x[slotRows ? slotRows[slot] : slot]. Expert e's weight lies at
   * weight + e * expertBytes. `x` as in linear.
   */
  expertLinear: [
    'rows', 'offsets', 'slotRows', 'experts', 'x', 'xStride', 'weight', 'expertBytes', 'layout', 'outputs', 'columns',
    'y', 'yStride', 'scratch',
  ],
  /** y[r] += sum over k of weights[r,k] * x[slotOf[r,k]] */
  combineExperts: ['rows', 'topK', 'slotOf', 'weights', 'x', 'xStride', 'y', 'yStride', 'columns'],
  /** y[r] = x[indices[r]] */
  gatherRows: ['rows', 'indices', 'x', 'xStride', 'y', 'yStride', 'columns'],
} as const;

export type OpKind = keyof typeof SCHEMA;
export type OpFields<K extends OpKind> = Record<(typeof SCHEMA)[K][number], number>;

/** Fields whose word holds f32 bits. */
const FLOAT_FIELDS: ReadonlySet<string> = new Set(['scale', 'epsilon', 'attentionScale']);

export const OP_KINDS = Object.keys(SCHEMA) as OpKind[];
export const HEADER_WORDS = 2;

export const fieldsOf = (kind: OpKind): readonly string[] => SCHEMA[kind];
export const wordsOf = (kind: OpKind): number => HEADER_WORDS + SCHEMA[kind].length;

const floatBits = new Float32Array(1);
const wordBits = new Uint32Array(floatBits.buffer);

/** Writes one record; returns the number of words. */
export function encodeOp<K extends OpKind>(kind: K, fields: OpFields<K>, words: Uint32Array, at: number): number {
  words[at] = OP_KINDS.indexOf(kind);
  words[at + 1] = 0;
  SCHEMA[kind].forEach((name, i) => {
    const value = fields[name as keyof typeof fields];
    if (FLOAT_FIELDS.has(name)) {
      floatBits[0] = value;
      words[at + HEADER_WORDS + i] = wordBits[0]!;
    } else {
      words[at + HEADER_WORDS + i] = value;
    }
  });
  return wordsOf(kind);
}

export function decodeOp(words: Uint32Array, at: number): { kind: OpKind; fields: Record<string, number> } {
  const kind = OP_KINDS[words[at]!]!;
  const fields: Record<string, number> = {};
  SCHEMA[kind].forEach((name, i) => {
    const word = words[at + HEADER_WORDS + i]!;
    if (FLOAT_FIELDS.has(name)) {
      wordBits[0] = word;
      fields[name] = floatBits[0]!;
    } else {
      fields[name] = word;
    }
  });
  return { kind, fields };
}

/** AssemblyScript constants for the byte offset of every field: LINEAR_WEIGHT and so on. */
export function opLayoutSource(): string {
  const constant = (text: string) => text.replace(/([A-Z])/g, '_$1').toUpperCase();
  const lines = ['// Generated from plan/ops.ts by scripts/build-kernels.ts. Byte offsets of the fields of each op record.'];
  for (const kind of OP_KINDS) {
    SCHEMA[kind].forEach((name, i) => {
      lines.push('// @ts-ignore: decorator');
      lines.push(`@inline export const ${constant(kind)}_${constant(name)}: usize = ${(HEADER_WORDS + i) * 4};`);
    });
  }
  return `${lines.join('\n')}\n`;
}
