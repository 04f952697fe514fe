// A plan: the model's forward pass, recorded once and replayed for every step. It knows each op's operands, cost and
// buffers, but no addresses; encode.ts places it in an arena.
//
// The methods of PlanBuilder are what model code calls. A method records an op and returns where its result will be. One file,
// though long: the op contract is read as a whole.
import { ACTIVATION_ID, type Activation } from './activation.ts';
import { CACHE_TYPE_ID } from './cache-layout.ts';
import { layoutId } from './layouts.ts';
import type { OpFields, OpKind } from './ops.ts';
import {
  type CachePlace,
  FREE,
  type OpCost,
  type Operand,
  type PlacedWeight,
  type Plan,
  type PlanBuffer,
  type PlanOptions,
  type PlanTraits,
  type RecordedOp,
  type Routing,
  type RowSet,
  type ScanOperands,
  type Value,
} from './recorded.ts';

export type * from './recorded.ts';

export class PlanBuilder {
  readonly #traits: PlanTraits;
  readonly #keepValues: boolean;
  readonly #ops: RecordedOp[] = [];
  readonly #buffers: PlanBuffer[] = [];
  /** Codes of a value, valid until its buffer is written again. */
  readonly #codes = new Map<string, number>();
  #headStart = -1;
  #label = '';

  constructor(traits: PlanTraits, options: PlanOptions = {}) {
    this.#traits = traits;
    this.#keepValues = options.keepValues ?? false;
  }

  /** Names the ops that follow, for profiles and graphs. */
  label(text: string): void {
    this.#label = text;
  }

  value(columns: number, set: RowSet = 'rows'): Value {
    const buffer = this.#buffer(set, (rows) => rows * columns * 4);
    return { buffer, offset: 0, stride: columns, columns, set };
  }

  slice(value: Value, start: number, columns: number): Value {
    return { ...value, offset: value.offset + start, columns };
  }

  embed(table: PlacedWeight, scale: number): Value {
    const y = this.value(table.columns);
    this.#record(
      'embed',
      y.set,
      [],
      [y],
      {
        tokens: { step: 'tokens' },
        table: table.address,
        layout: layoutId(table.layout),
        columns: table.columns,
        vocabulary: table.rows,
        scale,
        y: at(y),
        yStride: y.stride,
      },
      { bytesPerRow: table.byteLength / table.rows + table.columns * 4 },
    );
    return y;
  }

  /** Norm of each of `groups` equal slices of x; `into` (which may be x) says where the result may go. */
  rmsNorm(
    x: Value,
    weight: PlacedWeight,
    epsilon: number,
    options: { groups?: number; into?: Value } = {},
  ): Value {
    const y = this.#overwrite(options.into, x.columns, x.set);
    const groups = options.groups ?? 1;
    this.#record(
      'rmsNorm',
      x.set,
      [x],
      [y],
      {
        x: at(x),
        xStride: x.stride,
        y: at(y),
        yStride: y.stride,
        weight: weight.address,
        columns: x.columns / groups,
        groups,
        epsilon,
      },
      { bytesPerRow: x.columns * 8 },
    );
    return y;
  }

  /** x W^T + bias; with `into`, written there; with `addTo`, the sum with it (in its place unless values are kept). */
  linear(
    x: Value,
    weight: PlacedWeight,
    options: { bias?: PlacedWeight | null; into?: Value; addTo?: Value } = {},
  ): Value {
    const { addTo, into } = options;
    const y = addTo ? this.#target(addTo) : this.#overwrite(into, weight.rows, x.set);
    const input = this.#linearInput(x, weight);
    const reads = options.addTo ? [...input.reads, y] : input.reads;
    this.#record(
      'linear',
      x.set,
      reads,
      [y],
      {
        x: input.x,
        xStride: x.stride,
        weight: weight.address,
        layout: layoutId(weight.layout),
        outputs: weight.rows,
        columns: weight.columns,
        bias: options.bias?.address ?? 0,
        y: at(y),
        yStride: y.stride,
        accumulate: options.addTo ? 1 : 0,
        scratch: { scratch: true },
      },
      {
        weightBytes: weight.byteLength,
        macsPerRow: weight.rows * weight.columns,
        byteProductsPerMac: weight.layout.packed ? 1 : 0,
        bytesPerRow: (weight.rows + weight.columns) * 4,
      },
    );
    return y;
  }

  causalConv(x: Value, weight: PlacedWeight, bias: PlacedWeight | null, stateOffset: number): Value {
    const y = this.value(x.columns);
    const width = weight.rows;
    this.#record(
      'causalConv',
      x.set,
      [x],
      [y],
      {
        segments: { step: 'segments' },
        x: at(x),
        xStride: x.stride,
        y: at(y),
        yStride: y.stride,
        weight: weight.address,
        bias: bias?.address ?? 0,
        channels: x.columns,
        width,
        stateOffset,
      },
      {
        weightBytes: weight.byteLength + (bias?.byteLength ?? 0),
        macsPerRow: width * x.columns,
        stateBytes: (width - 1) * x.columns * 4,
        bytesPerRow: x.columns * 8,
        exponentialsPerRow: x.columns,
      },
    );
    return y;
  }

  /** Overwrites `u`. */
  selectiveScan(operands: ScanOperands): Value {
    const { u, dt, b, c, z } = operands;
    const y = this.#overwrite(u, u.columns, u.set);
    this.#record(
      'selectiveScan',
      u.set,
      [u, dt, b, c, z],
      [y],
      {
        segments: { step: 'segments' },
        u: at(u),
        uStride: u.stride,
        dt: at(dt),
        dtStride: dt.stride,
        dtBias: operands.dtBias?.address ?? 0,
        b: at(b),
        c: at(c),
        bcStride: b.stride,
        z: at(z),
        zStride: z.stride,
        a: operands.a.address,
        d: operands.d.address,
        y: at(y),
        yStride: y.stride,
        channels: u.columns,
        states: operands.states,
        stateOffset: operands.stateOffset,
        scratch: { scratch: true },
      },
      {
        weightBytes: operands.a.byteLength + operands.d.byteLength + (operands.dtBias?.byteLength ?? 0),
        macsPerRow: 3 * u.columns * operands.states,
        stateBytes: u.columns * operands.states * 4,
        bytesPerRow: u.columns * 16,
        exponentialsPerRow: u.columns * (operands.states + 2),
      },
    );
    return y;
  }

  rope(
    x: Value,
    options: {
      heads: number;
      headSize: number;
      rotary: number;
      inverseFrequencies: number;
      attentionScale: number;
    },
  ): Value {
    this.#record(
      'rope',
      x.set,
      [x],
      [x],
      {
        positions: { step: 'positions' },
        x: at(x),
        xStride: x.stride,
        ...options,
      },
      { macsPerRow: 2 * x.columns, bytesPerRow: x.columns * 8 },
    );
    return x;
  }

  /** Appends k and v to the cache, then attends. */
  attention(
    q: Value,
    k: Value,
    v: Value,
    options: { heads: number; kvHeads: number; headSize: number; window: number | null; cache: CachePlace },
  ): Value {
    const { heads, kvHeads, headSize, cache } = options;
    const y = this.value(q.columns);
    const place = {
      group: cache.group,
      layerOffset: cache.layerOffset,
      cacheType: CACHE_TYPE_ID[cache.type],
      kvHeads,
      headSize,
    };
    const step = {
      segments: { step: 'segments' },
      rowSegment: { step: 'rowSegment' },
      positions: { step: 'positions' },
    } as const;
    this.#record(
      'cacheStore',
      q.set,
      [k, v],
      [],
      {
        ...step,
        ...place,
        k: at(k),
        kStride: k.stride,
        v: at(v),
        vStride: v.stride,
      },
      { bytesPerRow: k.columns * 8 + cache.bytesPerPosition },
    );
    this.#record(
      'attention',
      q.set,
      [q],
      [y],
      {
        ...step,
        ...place,
        q: at(q),
        qStride: q.stride,
        y: at(y),
        yStride: y.stride,
        heads,
        scale: 1 / Math.sqrt(headSize),
        window: options.window ?? 0,
        scratch: { scratch: true },
        scratchBytes: 0,
      },
      {
        bytesPerRow: q.columns * 8,
        cacheBytesPerPosition: cache.bytesPerPosition,
        macsPerPosition: 2 * heads * headSize,
        byteProductsPerMac: cache.type === 'q8' ? 2 : 0,
        window: options.window ?? 0,
      },
    );
    return y;
  }

  gatedActivation(gate: Value, up: Value, activation: Activation): Value {
    const y = this.#overwrite(gate, gate.columns, gate.set);
    this.#record(
      'gatedActivation',
      gate.set,
      [gate, up],
      [y],
      {
        gate: at(gate),
        gateStride: gate.stride,
        up: at(up),
        upStride: up.stride,
        y: at(y),
        yStride: y.stride,
        columns: gate.columns,
        activation: ACTIVATION_ID[activation],
      },
      { bytesPerRow: gate.columns * 12, exponentialsPerRow: gate.columns },
    );
    return y;
  }

  add(to: Value, x: Value): Value {
    const y = this.#target(to);
    this.#record(
      'add',
      y.set,
      [x, y],
      [y],
      {
        x: at(x),
        xStride: x.stride,
        y: at(y),
        yStride: y.stride,
        columns: x.columns,
      },
      { bytesPerRow: x.columns * 12 },
    );
    return y;
  }

  route(logits: Value, topK: number, renormalize: boolean): Routing {
    const experts = logits.columns;
    const table = (columns: number): Value => this.value(columns);
    const fixed = (words: number): Value => ({
      buffer: this.#buffer('rows', () => words * 4),
      offset: 0,
      stride: words,
      columns: words,
      set: 'rows',
    });
    const ids = table(topK);
    const weights = table(topK);
    const offsets = fixed(experts + 1);
    const slotRows = this.value(1, 'slots');
    const slotOf = table(topK);
    this.#record(
      'route',
      'rows',
      [logits],
      [ids, weights, offsets, slotRows, slotOf],
      {
        x: at(logits),
        xStride: logits.stride,
        experts,
        topK,
        renormalize: renormalize ? 1 : 0,
        ids: at(ids),
        weights: at(weights),
        offsets: at(offsets),
        slotRows: at(slotRows),
        slotOf: at(slotOf),
      },
      { exponentialsPerRow: experts },
    );
    return { offsets, slotRows, slotOf, weights, experts, topK };
  }

  /** Each routed slot through its expert's matrix. `x` holds tokens ('rows') or earlier slots ('slots'). */
  expertLinear(x: Value, routing: Routing, weight: PlacedWeight): Value {
    const { experts, topK } = routing;
    const outputs = weight.rows / experts;
    const y = this.value(outputs, 'slots');
    const input = this.#linearInput(x, weight);
    this.#record(
      'expertLinear',
      'rows',
      [...input.reads, routing.offsets, routing.slotRows],
      [y],
      {
        offsets: at(routing.offsets),
        slotRows: x.set === 'rows' ? at(routing.slotRows) : 0,
        experts,
        x: input.x,
        xStride: x.stride,
        weight: weight.address,
        expertBytes: weight.byteLength / experts,
        layout: layoutId(weight.layout),
        outputs,
        columns: weight.columns,
        y: at(y),
        yStride: y.stride,
        scratch: { scratch: true },
      },
      {
        weightBytes: (weight.byteLength / experts) * topK,
        macsPerRow: outputs * weight.columns * topK,
        byteProductsPerMac: weight.layout.packed ? 1 : 0,
        bytesPerRow: (outputs + weight.columns) * 4 * topK,
      },
    );
    return y;
  }

  combineExperts(to: Value, x: Value, routing: Routing): Value {
    const y = this.#target(to);
    this.#record(
      'combineExperts',
      'rows',
      [x, y, routing.slotOf, routing.weights],
      [y],
      {
        topK: routing.topK,
        slotOf: at(routing.slotOf),
        weights: at(routing.weights),
        x: at(x),
        xStride: x.stride,
        y: at(y),
        yStride: y.stride,
        columns: y.columns,
      },
      { bytesPerRow: y.columns * 4 * (routing.topK + 2) },
    );
    return y;
  }

  /** Starts the head: from here on, ops work on the rows that want logits. */
  gatherLogitRows(x: Value): Value {
    this.#headStart = this.#ops.length;
    const y = this.value(x.columns, 'logitRows');
    this.#record(
      'gatherRows',
      'logitRows',
      [x],
      [y],
      {
        indices: { step: 'logitIndices' },
        x: at(x),
        xStride: x.stride,
        y: at(y),
        yStride: y.stride,
        columns: x.columns,
      },
      { bytesPerRow: x.columns * 8 },
    );
    return y;
  }

  finish(logits: Value): Plan {
    return { ops: this.#ops, buffers: this.#buffers, headStart: this.#headStart, logits };
  }

  /** Where a result goes: over `old`, which nobody needs any more, or to a place of its own when values are kept. */
  #overwrite(old: Value | undefined, columns: number, set: RowSet): Value {
    return (this.#keepValues ? undefined : old) ?? this.value(columns, set);
  }

  /** Where a sum with `value` goes: in its place, or into a copy when values are kept. */
  #target(value: Value): Value {
    if (!this.#keepValues) return value;
    const y = this.value(value.columns, value.set);
    this.#record(
      'copy',
      value.set,
      [value],
      [y],
      {
        x: at(value),
        xStride: value.stride,
        y: at(y),
        yStride: y.stride,
        columns: y.columns,
      },
      { bytesPerRow: y.columns * 8 },
    );
    return y;
  }

  /** The input of a matrix product: f32 for raw weights, int8 codes (made once per value) for packed ones. */
  #linearInput(x: Value, weight: PlacedWeight): { x: Operand; reads: Value[] } {
    if (!weight.layout.packed) return { x: at(x), reads: [x] };
    const key = `${x.buffer}:${x.offset}:${x.columns}`;
    let buffer = this.#codes.get(key);
    if (buffer === undefined) {
      buffer = this.#buffer(x.set, (rows) => this.#traits.codesByteLength(rows, x.columns));
      const codes: Value = { ...x, buffer };
      this.#record(
        'quantizeRows',
        x.set,
        [x],
        [codes],
        {
          x: at(x),
          xStride: x.stride,
          columns: x.columns,
          codes: { buffer, byteOffset: 0 },
        },
        { bytesPerRow: x.columns * 5 },
      );
      this.#codes.set(key, buffer);
    }
    return { x: { buffer, byteOffset: 0 }, reads: [{ ...x, buffer }] };
  }

  #buffer(set: RowSet, byteLength: (rows: number) => number): number {
    return this.#buffers.push({ set, byteLength }) - 1;
  }

  #record<K extends OpKind>(
    kind: K,
    set: RowSet,
    reads: readonly Value[],
    writes: readonly Value[],
    fields: Record<Exclude<keyof OpFields<K>, 'rows'>, Operand>,
    cost: Partial<OpCost>,
  ): void {
    for (const written of writes)
      for (const key of this.#codes.keys()) if (key.startsWith(`${written.buffer}:`)) this.#codes.delete(key);
    this.#ops.push({
      kind,
      set,
      label: this.#label,
      fields: { rows: { step: set }, ...fields } as Record<keyof OpFields<K>, Operand>,
      reads: reads.map((v) => v.buffer),
      writes: writes.map((v) => v.buffer),
      cost: { ...FREE, ...cost },
    } as RecordedOp);
  }
}

const at = (value: Value): Operand => ({ buffer: value.buffer, byteOffset: value.offset * 4 });
