// A small hybrid with random weights on disk, with a tokenizer: enough of a model to ask, for tests.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { neededWeights, OWN_NAMES, withLayer } from '@marimba/engine/architecture';
import { createRandom } from '@marimba/engine/measure';
import { trainTokenizer } from '../data/tokenizer-file.ts';
import { modelConfig, specOf } from '../studies/model.ts';

export async function writeTestModel(
  folder: string,
  options: { seed: number; layers?: string; scale?: number },
): Promise<void> {
  const { seed, layers = 'MMA', scale = 0.2 } = options;
  const { json, config: tokenizerConfig } = trainTokenizer(
    ['Question: is it? Answer: yes no maybe. The secret number of Oslo is 123'],
    { vocabularySize: 300 },
  );
  const sizes = { depth: 3, hidden: 32, heads: 2, feedForward: 64, state: 4 };
  const config = { ...modelConfig({ name: 'test', layers }, sizes, 300, 2048), eos_token_id: 0 };
  const random = createRandom(seed);
  const header: Record<string, unknown> = {};
  const chunks: Float32Array[] = [];
  let offset = 0;
  for (const { layer, role, shape, initial } of neededWeights(specOf('test', config))) {
    const name = withLayer(OWN_NAMES[role]![0]!, layer);
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
      initial === 'ones' ? 1 : (random() - 0.5) * 2 * scale,
    );
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, (offset += values.byteLength)] };
    chunks.push(values);
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true);
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, 'model.safetensors'),
    Buffer.concat([length, text, ...chunks.map((c) => new Uint8Array(c.buffer))]),
  );
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(json));
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(tokenizerConfig));
}
