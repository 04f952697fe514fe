// Conformance of the backward of gates and convolutions: every activation, gate and up as one value, odd sizes,
// several segments.
import { after, before, describe, it } from 'node:test';
import { ACTIVATION_ID } from '../../src/plan/activation.ts';
import { BUILDS, checkOp, Image, KernelMachine, randomSource } from './harness.ts';

const THREADS = [1, 3];

for (const build of BUILDS) {
  describe(`backward of gates and convolutions, ${build}`, () => {
    let machine: KernelMachine;
    before(async () => (machine = await KernelMachine.create(build, 3)));
    after(() => machine.close());

    it('gatedActivationBackward: every activation, also with one value as gate and up', () => {
      for (const [name, activation] of Object.entries(ACTIVATION_ID))
        for (const columns of [1, 4, 7, 42, 129])
          for (const same of [false, true]) {
            const next = randomSource(columns + activation);
            const image = new Image();
            const stride = columns + 3;
            const floats = () => image.floats(3 * stride, () => next() * 8 - 4);
            const gate = floats();
            const dGate = floats();
            const dUp = same ? 0 : floats();
            const fields = {
              rows: image.words(3),
              gate,
              gateStride: stride,
              up: same ? gate : floats(),
              upStride: stride,
              dy: floats(),
              dyStride: stride,
              dGate,
              dGateStride: stride,
              dUp,
              dUpStride: stride,
              columns,
              activation,
            };
            const outputs = (same ? [dGate] : [dGate, dUp]).flatMap((address) =>
              rowsOf(address, 3, stride, columns),
            );
            const label = `${name}, ${columns} columns${same ? ', one value' : ''}`;
            checkOp(machine, THREADS, { image, kind: 'gatedActivationBackward', fields, outputs, label });
          }
    });

    it('causalConvBackward: widths with SiLU and without, several segments', () => {
      for (const channels of [1, 4, 7, 42])
        for (const width of [2, 3, 4, 7, 8])
          for (const activation of [ACTIVATION_ID.silu, ACTIVATION_ID.none])
            for (const lengths of [[1], [2, 9], [12, 0, 3]])
              convolution(channels, width, activation, lengths);
    });

    function convolution(channels: number, width: number, activation: number, lengths: readonly number[]) {
      const next = randomSource(channels + width);
      const image = new Image();
      const step = image.step(lengths.map((rows) => ({ rows })));
      const rows = lengths.reduce((sum, n) => sum + n, 0);
      const stride = channels + 1;
      const floats = (count: number) => image.floats(count, () => next() * 4 - 2);
      const [dy, dx, dWeight] = [floats(rows * stride), floats(rows * stride), floats(width * channels)];
      const [bias, dBias] = width % 2 ? [0, 0] : [floats(channels), floats(channels)];
      const fields = {
        rows: step.rows,
        segments: step.segments,
        x: floats(rows * stride),
        xStride: stride,
        weight: floats(width * channels),
        bias,
        channels,
        width,
        activation,
        dy,
        dyStride: stride,
        dx,
        dxStride: stride,
        dWeight,
        dBias,
      };
      const outputs = [
        ...[dy, dx].flatMap((address) => rowsOf(address, rows, stride, channels)),
        ...rowsOf(dWeight, width, channels, channels),
        ...(dBias ? rowsOf(dBias, 1, channels, channels) : []),
      ];
      const label = `${channels} channels, width ${width}, activation ${activation}, rows ${lengths}`;
      checkOp(machine, THREADS, { image, kind: 'causalConvBackward', fields, outputs, label });
    }
  });
}

const rowsOf = (address: number, rows: number, stride: number, columns: number) =>
  Array.from({ length: rows }, (_, r) => ({
    address: address + r * stride * 4,
    byteLength: columns * 4,
    type: 'f32' as const,
    relative: 1e-5,
    absolute: 2e-5,
  }));
