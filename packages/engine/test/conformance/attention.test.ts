// Conformance of rope, cacheStore and attention: cache types, grouped heads, windows, several sessions in a
// step, and deep contexts whose cache is split over threads.
import { after, before, describe, it } from 'node:test';
import { f32ToF16 } from '../../src/formats/half.ts';
import {
  CACHE_TYPE_ID,
  type CacheType,
  headPlaneBytes,
  PAGE_TOKENS,
  planeBytes,
} from '../../src/plan/cache-layout.ts';
import { attentionScratchBytes } from '../../src/plan/ops/scratch.ts';
import {
  BUILDS,
  checkOp,
  Image,
  KernelMachine,
  type Output,
  randomSource,
  type StepAddresses,
} from './harness.ts';

const THREADS = [1, 3];
const TYPES: readonly CacheType[] = ['f32', 'f16', 'q8'];
const GROUP = 1;
const LAYER_OFFSET = 256;

interface Shape {
  readonly type: CacheType;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
}

interface Session {
  readonly rows: number;
  readonly position: number;
}

interface Cache {
  readonly step: StepAddresses;
  readonly pages: number[];
  readonly pageBytes: number;
}

/**
 * Pages for all positions that the sessions reach, in shuffled order, with only the first `filled` ones
 * holding values.
 */
function cacheOf(
  image: Image,
  shape: Shape,
  sessions: readonly Session[],
  next: () => number,
  filled: boolean,
): Cache {
  const pageBytes = LAYER_OFFSET + 2 * planeBytes(shape.type, shape.kvHeads, shape.headSize) + 32;
  const pages: number[] = [];
  const tables = sessions.map(({ rows, position }) => {
    const reached = position + rows;
    const own = Array.from({ length: Math.ceil(reached / PAGE_TOKENS) }, () => image.reserve(pageBytes));
    pages.push(...own);
    for (const [p, page] of own.entries())
      if (filled) fillPage(image, shape, page, Math.min(PAGE_TOKENS, reached - p * PAGE_TOKENS), next);
    return image.words(...(own.length ? own : [0]));
  });
  const step = image.step(
    sessions.map(({ rows, position }, s) => ({ rows, position, pageTables: [0, tables[s]!] })),
  );
  return { step, pages, pageBytes };
}

/** Slots that nothing was written to hold NaNs: whoever reads them spoils its result. */
function fillPage(
  image: Image,
  { type, kvHeads, headSize }: Shape,
  page: number,
  live: number,
  next: () => number,
): void {
  image.bytes.fill(0xff, page + LAYER_OFFSET, page + LAYER_OFFSET + 2 * planeBytes(type, kvHeads, headSize));
  const value = () => next() * 4 - 2;
  for (let plane = 0; plane < 2 * kvHeads; plane++) {
    const at = page + LAYER_OFFSET + plane * headPlaneBytes(type, headSize);
    const count = live * headSize;
    if (type === 'f32')
      new Float32Array(image.bytes.buffer, at, count).set(Array.from({ length: count }, value));
    else if (type === 'f16')
      new Uint16Array(image.bytes.buffer, at, count).set(
        Array.from({ length: count }, () => f32ToF16(value())),
      );
    else {
      new Int8Array(image.bytes.buffer, at, count).set(
        Array.from({ length: count }, () => Math.floor(next() * 255) - 127),
      );
      const scales = new Float32Array(
        image.bytes.buffer,
        at + headPlaneBytes(type, headSize) - PAGE_TOKENS * 4,
        live,
      );
      scales.set(Array.from({ length: live }, () => (0.5 + next()) / 64));
    }
  }
}

for (const build of BUILDS) {
  describe(`attention kernels, ${build}`, () => {
    let machine: KernelMachine;
    before(async () => (machine = await KernelMachine.create(build, 3)));
    after(() => machine.close());

    const attend = (
      shape: Shape,
      sessions: readonly Session[],
      options: {
        window?: number;
        deepRows?: number;
        sinks?: boolean;
        spoil?: (halves: Uint16Array) => void;
      } = {},
    ) => {
      const { heads, kvHeads, headSize, type } = shape;
      const next = randomSource(heads + kvHeads * 3 + headSize * 5 + sessions.length);
      const image = new Image();
      const { step, pages } = cacheOf(image, shape, sessions, next, true);
      const length = planeBytes(type, kvHeads, headSize);
      options.spoil?.(new Uint16Array(image.bytes.buffer, pages[0]! + LAYER_OFFSET, length));
      const rows = sessions.reduce((sum, s) => sum + s.rows, 0);
      const qStride = heads * headSize + 3;
      const yStride = heads * headSize + 2;
      const q = image.floats(rows * qStride, () => next() * 4 - 2);
      const y = image.floats(rows * yStride, next);
      const byteLength = attentionScratchBytes(shape, Math.max(...THREADS), options.deepRows ?? 4);
      const scratch = { address: image.reserve(byteLength), byteLength };
      const fields = {
        ...step,
        q,
        qStride,
        y,
        yStride,
        heads,
        kvHeads,
        headSize,
        scale: headSize ** -0.5,
        window: options.window ?? 0,
        // Below and above all scores, and far beyond them.
        sinks: options.sinks ? image.floats(heads, () => next() * 60 - 30 + (next() < 0.2 ? 150 : 0)) : 0,
        group: GROUP,
        layerOffset: LAYER_OFFSET,
        cacheType: CACHE_TYPE_ID[type],
        scratch: scratch.address,
        scratchBytes: byteLength,
      };
      const outputs = Array.from({ length: rows }, (_, r) => ({
        address: y + r * yStride * 4,
        byteLength: heads * headSize * 4,
        type: 'f32' as const,
        // Wide tiles round queries and weights over 8-bit caches to 16 bits; scores reach 23 here, values 3.
        absolute: 3e-6,
        ...(type === 'q8' ? { absoluteWide: 3e-4 } : {}),
        relative: 1e-5,
      }));
      const label = `${type} ${heads}/${kvHeads}×${headSize}, window ${options.window ?? 0}, sessions ${JSON.stringify(sessions)}`;
      checkOp(machine, THREADS, { image, kind: 'attention', fields, outputs, scratch, label });
    };

    it('attention: cache types, grouped heads, odd head sizes, several sessions', () => {
      for (const type of TYPES)
        for (const [heads, kvHeads, headSize] of [
          [1, 1, 7],
          [4, 2, 8],
          [6, 1, 20],
          [20, 1, 128],
          [3, 3, 5],
          [18, 1, 48],
          [32, 4, 16],
        ] as const)
          for (const sessions of [
            [{ rows: 1, position: 0 }],
            [
              { rows: 5, position: 0 },
              { rows: 1, position: 63 },
              { rows: 0, position: 4 },
              { rows: 3, position: 126 },
            ],
            [{ rows: headSize === 128 ? 5 : 70, position: 30 }],
          ])
            attend({ type, heads, kvHeads, headSize }, sessions);
    });

    it('attention: windows, shorter and longer than a page', () => {
      for (const type of TYPES)
        for (const window of [1, 5, 64, 100])
          attend(
            window === 5
              ? { type, heads: 20, kvHeads: 1, headSize: 16 }
              : { type, heads: 4, kvHeads: 2, headSize: 12 },
            [
              { rows: 9, position: 120 },
              { rows: 2, position: 0 },
              { rows: 40, position: 250 },
            ],
            { window },
          );
    });

    it('attention: a deep cache is split, and merges to the same result', () => {
      for (const type of TYPES)
        for (const sessions of [
          [{ rows: 1, position: 3000 }],
          [
            { rows: 3, position: 1500 },
            { rows: 1, position: 40 },
            { rows: 2, position: 600 },
          ],
        ])
          for (const deepRows of [0, 1, 8])
            attend({ type, heads: 6, kvHeads: 2, headSize: 12 }, sessions, { deepRows });
      attend({ type: 'f16', heads: 4, kvHeads: 1, headSize: 8 }, [{ rows: 2, position: 2300 }], {
        window: 1000,
        deepRows: 8,
      });
    });

    it('attention: infinities and NaNs in an f16 cache reach the results, and nothing else', () => {
      // In the first page's slot 5, column 3, of keys or values; all rows see it.
      for (const [heads, headSize] of [
        [20, 32],
        [2, 32],
        [4, 7],
      ] as const)
        for (const half of [0x7c00, 0xfc00, 0x7e01])
          for (const plane of [0, 1])
            attend(
              { type: 'f16', heads, kvHeads: 1, headSize },
              [{ rows: plane === 0 ? 1 : 3, position: 150 }],
              { spoil: (halves) => (halves[(plane * PAGE_TOKENS + 5) * headSize + 3] = half) },
            );
    });

    it('attention: sinks take their share, in whole and split caches', () => {
      for (const type of TYPES)
        for (const [heads, kvHeads, headSize] of [
          [1, 1, 7],
          [6, 2, 12],
          [20, 1, 16],
        ] as const)
          for (const sessions of [
            [{ rows: 1, position: 0 }],
            [
              { rows: 5, position: 0 },
              { rows: 3, position: 126 },
            ],
            [{ rows: 2, position: 1500 }],
          ])
            for (const window of [0, 70])
              attend({ type, heads, kvHeads, headSize }, sessions, { sinks: true, window, deepRows: 8 });
    });

    it('attention: no rows', () =>
      attend({ type: 'f32', heads: 2, kvHeads: 1, headSize: 4 }, [{ rows: 0, position: 9 }]));

    it('cacheStore: every type, odd head sizes, several sessions, hostile values', () => {
      for (const type of TYPES)
        for (const [kvHeads, headSize] of [
          [1, 7],
          [2, 8],
          [3, 21],
          [1, 128],
        ] as const) {
          const next = randomSource(headSize);
          const image = new Image();
          const shape = { type, heads: kvHeads, kvHeads, headSize };
          const sessions = [
            { rows: 3, position: 62 },
            { rows: 1, position: 0 },
            { rows: 2, position: 5 },
          ];
          const { step, pages } = cacheOf(image, shape, sessions, next, false);
          const stride = kvHeads * headSize + 1;
          const special =
            type === 'q8'
              ? [0]
              : [
                  0,
                  -0,
                  1e-8,
                  -6e-8,
                  3e-5,
                  65504,
                  65519.99,
                  65520,
                  1e9,
                  -1e9,
                  2 ** -25,
                  2 ** -24 * 1.5,
                  1 + 2 ** -11,
                  1 + 3 * 2 ** -11,
                ];
          const value = () =>
            next() < 0.3
              ? special[Math.floor(next() * special.length)]!
              : (next() * 2 - 1) * 10 ** (next() * 6 - 4);
          const fields = {
            ...step,
            k: image.floats(6 * stride, value),
            kStride: stride,
            v: image.floats(6 * stride, value),
            vStride: stride,
            kvHeads,
            headSize,
            group: GROUP,
            layerOffset: LAYER_OFFSET,
            cacheType: CACHE_TYPE_ID[type],
          };
          const planes = pages.flatMap((page) =>
            Array.from(
              { length: 2 * kvHeads },
              (_, i) => page + LAYER_OFFSET + i * headPlaneBytes(type, headSize),
            ),
          );
          const codeBytes = headPlaneBytes(type, headSize) - (type === 'q8' ? PAGE_TOKENS * 4 : 0);
          // Eight-bit codes may differ by one where the quotient lies between two codes.
          const outputs = planes.flatMap((address): Output[] =>
            type === 'q8'
              ? [
                  { address, byteLength: codeBytes, type: 'i8' as const, absolute: 1 },
                  {
                    address: address + codeBytes,
                    byteLength: PAGE_TOKENS * 4,
                    type: 'f32' as const,
                    relative: 1e-7,
                  },
                ]
              : [
                  {
                    address,
                    byteLength: codeBytes,
                    type: type === 'f16' ? ('u16' as const) : ('u32' as const),
                  },
                ],
          );
          checkOp(machine, THREADS, {
            image,
            kind: 'cacheStore',
            fields,
            outputs,
            label: `${type} ${kvHeads}×${headSize}`,
          });
        }
    });

    it('rope: partial rotation, odd halves, positions to 262,143', () => {
      for (const [heads, headSize, rotary] of [
        [1, 8, 8],
        [3, 14, 14],
        [2, 7, 6],
        [4, 64, 32],
      ] as const) {
        const next = randomSource(headSize);
        const image = new Image();
        const stride = heads * headSize + 3;
        const x = image.floats(6 * stride, () => next() * 2 - 1);
        const fields = {
          rows: image.words(6),
          positions: image.words(0, 1, 77, 4095, 131_072, 262_143),
          x,
          xStride: stride,
          heads,
          headSize,
          rotary,
          inverseFrequencies: image.put(
            Float32Array.from({ length: rotary / 2 }, (_, i) => 10_000 ** (-i / (rotary / 2))),
          ),
          attentionScale: headSize === 64 ? 1.2 : 1,
        };
        const outputs = Array.from({ length: 6 }, (_, r) => ({
          address: x + r * stride * 4,
          byteLength: heads * headSize * 4,
          type: 'f32' as const,
          absolute: 3e-7,
        }));
        checkOp(machine, THREADS, {
          image,
          kind: 'rope',
          fields,
          outputs,
          label: `${heads}×${headSize}, ${rotary}`,
        });
      }
    });
  });
}
