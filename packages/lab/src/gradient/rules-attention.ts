// Rules of attention. The forward records it as two ops, cacheStore (k and v into the cache) and attention (q
// over the cache); the gradient is one op over q, k and v, recorded when the walk arrives at cacheStore.
import { attentionBackwardScratchBytes, type OpOf } from '@marimba/engine/plan';
import { numberOf, type Rule } from './rule.ts';
import type { Tape } from './tape.ts';

/** The attention op whose cacheStore comes next. */
const waiting = new WeakMap<Tape, OpOf<'attention'>>();

export const attention: Rule<'attention'> = (op, tape) => {
  waiting.set(tape, op);
};

export const cacheStore: Rule<'cacheStore'> = ({ fields: store, set }, tape) => {
  const op = waiting.get(tape);
  if (!op || op.fields.layerOffset !== store.layerOffset)
    throw new Error('gradient: expected attention after cacheStore');
  waiting.delete(tape);
  const { segments, q, qStride, y, yStride, heads, kvHeads, headSize, scale, window, sinks } = op.fields;
  const size = numberOf(headSize);
  const queries = numberOf(heads) * size;
  const keys = numberOf(kvHeads) * size;
  const dy = tape.gradient(y, queries);
  if (!dy) return;
  const { k, kStride, v, vStride } = store;
  const hasSinks = numberOf(sinks) !== 0;
  const sinkShares = hasSinks ? tape.temporary(set, (rows) => rows * numberOf(heads) * 4) : 0;
  const threadBytes = attentionBackwardScratchBytes(tape.context.maxRows);
  tape.append('attentionBackward', set, {
    segments,
    q,
    qStride,
    k,
    kStride,
    v,
    vStride,
    y,
    yStride,
    dy,
    dyStride: yStride,
    dq: tape.fresh(q, queries),
    dqStride: qStride,
    dk: tape.fresh(k, keys),
    dkStride: kStride,
    dv: tape.fresh(v, keys),
    dvStride: vStride,
    heads,
    kvHeads,
    headSize,
    scale,
    window,
    sinks,
    sinkShares,
    threadBytes,
  });
  if (hasSinks)
    tape.append('addColumnSums', set, {
      x: sinkShares,
      xStride: heads,
      columns: heads,
      y: tape.context.weightGradient(numberOf(sinks)),
    });
};

/** A rotation's gradient is the opposite rotation, in the gradient's place. */
export const rope: Rule<'rope'> = ({ fields, set }, tape) => {
  const columns = numberOf(fields.heads) * numberOf(fields.headSize);
  const x = tape.gradient(fields.x, columns);
  if (!x) return;
  tape.append('rope', set, {
    positions: fields.positions,
    x,
    xStride: fields.xStride,
    heads: fields.heads,
    headSize: fields.headSize,
    rotary: fields.rotary,
    inverseFrequencies: tape.context.negatedFrequencies(numberOf(fields.inverseFrequencies)),
    attentionScale: fields.attentionScale,
  });
};
