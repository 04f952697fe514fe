// A random Jamba as a Hugging Face folder, wide enough for every block format (256 columns), which the golden
// models are not. Weights come from a seeded generator.
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jamba } from '../src/architecture/families/jamba.ts';
import { withLayer } from '../src/architecture/roles.ts';
import { ConfigReader } from '../src/formats/config-reader.ts';
import { quantize } from '../src/formats/quantize.ts';
import { safetensorsHeader } from '../src/formats/safetensors.ts';
import { type NeededWeight, neededWeights } from '../src/weights/weights.ts';
import { seeded } from './golden.ts';

export const SYNTHETIC_CONFIG = {
  model_type: 'jamba',
  hidden_size: 256,
  intermediate_size: 512,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 1,
  attn_layer_period: 4,
  attn_layer_offset: 1,
  num_experts: 3,
  num_experts_per_tok: 2,
  expert_layer_period: 2,
  expert_layer_offset: 1,
  mamba_expand: 2,
  mamba_d_state: 16,
  mamba_d_conv: 4,
  mamba_dt_rank: 32,
  vocab_size: 512,
  tie_word_embeddings: true,
  max_position_embeddings: 4096,
  bos_token_id: 1,
  eos_token_id: 2,
};

interface SyntheticOptions {
  readonly config?: Record<string, unknown>;
  readonly type?: 'F32' | 'F16' | 'BF16';
  /** Other files of the folder, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** Changes a tensor's values before they are written. */
  readonly change?: (name: string, values: Float32Array) => void;
}

type Tensor = Pick<NeededWeight, 'shape' | 'kind' | 'initial' | 'logOfNegative'>;

/** Values of every tensor by configuration, so that several folders of one file's tests draw them once. */
const valuesOf = new Map<string, readonly Float32Array[]>();

function randomValues(tensors: readonly Tensor[]): Float32Array[] {
  const random = seeded(42);
  return tensors.map(({ shape, kind, initial, logOfNegative }) => {
    const columns = shape.at(-1)!;
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    if (logOfNegative) return values.map((_, at) => Math.log(1 + (at % columns)));
    if (initial === 'ones') return values.fill(1);
    const scale = kind === 'matrix' ? 2 / Math.sqrt(columns) : 0.4;
    for (let at = 0; at < values.length; at++) values[at] = (random() + random() + random() - 1.5) * scale;
    return values;
  });
}

export async function writeSyntheticJamba(folder: string, options: SyntheticOptions = {}): Promise<void> {
  const { type = 'F32', files = {}, change } = options;
  const config = { ...SYNTHETIC_CONFIG, ...options.config };
  const spec = jamba.fromHuggingFace(ConfigReader.ofJson('config.json', config as never));
  const tensors = neededWeights(spec).flatMap(({ role, layer, experts, ...weight }) => {
    const name = withLayer(jamba.huggingFaceNames[role]![0]!, layer);
    if (!experts) return [{ ...weight, name, type }];
    const shape = weight.shape.slice(1);
    return Array.from({ length: experts.count }, (_, e) => ({
      ...weight,
      shape,
      name: name.replace(/\bE\b/, `${e}`),
      type,
    }));
  });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const layout = safetensorsHeader(tensors);
  const file = await open(join(folder, 'model.safetensors'), 'w');
  try {
    await file.write(layout.header, 0, layout.header.length, 0);
    const key = JSON.stringify(config);
    const allValues = valuesOf.get(key) ?? randomValues(tensors);
    valuesOf.set(key, allValues);
    for (const [i, { name }] of tensors.entries()) {
      const values = change ? allValues[i]!.slice() : allValues[i]!;
      change?.(name, values);
      const { offset, byteLength } = layout.tensors.find((t) => t.name === name)!;
      const bytes = new Uint8Array(byteLength);
      quantize(type, values, bytes);
      await file.write(bytes, 0, bytes.length, offset);
    }
  } finally {
    await file.close();
  }
}
