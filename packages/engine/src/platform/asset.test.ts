import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ModelError } from '../errors.ts';
import { readAsset } from './platform.node.ts';

it('missing kernels are named, with what to do', async () => {
  await assert.rejects(
    readAsset(new URL('./none.wasm', import.meta.url)),
    (error: unknown) =>
      error instanceof ModelError &&
      error.code === 'missing-kernels' &&
      /^none\.wasm: expected the kernels of @marimba\/engine, found no such file\. Run npm run build:kernels/.test(
        error.message,
      ),
  );
});
