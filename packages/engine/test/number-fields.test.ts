// No field that changes what a model computes is ignored: set in the configuration of any golden model, it is
// refused by its name, or it changes the model that is read.
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readSpec } from '../src/architecture/families/index.ts';
import { GGUF_KEYS, HUGGING_FACE_FIELDS } from '../src/architecture/number-fields.ts';
import { ModelError } from '../src/errors.ts';
import { openCheckpointPath } from '../src/formats/checkpoint.node.ts';
import type { Checkpoint } from '../src/formats/types.ts';

const fixtures = fileURLToPath(new URL('../../../fixtures/', import.meta.url));

/** A value of the field's kind that is none of the harmless ones, nor the one that it has. */
function unusual(harmless: readonly (string | number | boolean)[], own: unknown): string | number | boolean {
  const [first] = harmless;
  if (typeof first === 'boolean') return own === !first ? first : !first;
  if (typeof first === 'string') return 'gelu_10';
  return own === 3 ? 5 : 3;
}

/** A field without which another means nothing. */
const TOGETHER: Readonly<Record<string, string>> = { num_local_experts: 'num_experts_per_tok' };

function outcome(checkpoint: Checkpoint, field: string): string {
  try {
    return JSON.stringify(readSpec(checkpoint).spec);
  } catch (error) {
    assert.ok(error instanceof ModelError, `${error}`);
    const named = error.message.includes(field) || error.message.includes(`${TOGETHER[field]}`);
    assert.ok(named, `${field}: expected its name, found ${error.message}`);
    return 'refused';
  }
}

/** Ignored by transformers and llama.cpp alike in models of these families, whose layers or tensors decide. */
const WITHOUT_MEANING: Readonly<Record<string, readonly string[]>> = {
  attention_bias: ['qwen2'],
  attn_output_gate: ['qwen3.5-untied', 'qwen3.5-tied', 'qwen3.5-moe', 'qwen3-next'], // true: as they are
  expert_weights_norm: ['granite-h-moe', 'mixtral', 'qwen3-moe'],
  expert_weights_scale: ['granite-h-moe'],
  mamba_proj_bias: ['nemotron-h', 'nemotron-h-g2', 'nemotron-h-moe'], // they have `use_bias`
  use_qk_norm: ['qwen3-window', 'qwen3-moe'], // true: as they are
  'ssm.dt_b_c_rms': ['jamba-corners', 'jamba-dense-mqa', 'jamba-moe', 'jamba-period4'],
};

async function known(path: string): Promise<Checkpoint | null> {
  const checkpoint = await openCheckpointPath(path);
  after(() => checkpoint.close());
  try {
    readSpec(checkpoint);
    return checkpoint;
  } catch (error) {
    assert.match(`${error}`, /This family is not supported/);
    return null;
  }
}

for (const path of globSync('{golden,golden-extra,golden-families}/*/config.json', { cwd: fixtures })) {
  const name = basename(dirname(path));
  const checkpoint = await known(`${fixtures}${dirname(path)}`);
  if (checkpoint?.kind !== 'huggingface') continue;
  describe(`config.json of ${name}`, () => {
    const plain = JSON.stringify(readSpec(checkpoint).spec);
    for (const [field, harmless] of Object.entries(HUGGING_FACE_FIELDS))
      it(field, () => {
        const config = { ...checkpoint.config, [field]: unusual(harmless, checkpoint.config[field]) };
        const found = outcome({ ...checkpoint, config }, field);
        assert.equal(found === plain, WITHOUT_MEANING[field]?.includes(name) ?? false, 'is ignored');
      });
  });
}

for (const path of globSync('{golden,golden-families/gguf}/**/*.f32.gguf', { cwd: fixtures })) {
  const checkpoint = await known(`${fixtures}${path}`);
  if (checkpoint?.kind !== 'gguf') continue;
  const architecture = checkpoint.metadata.get('general.architecture');
  const name = basename(path, '.f32.gguf');
  describe(`metadata of ${name}`, () => {
    const plain = JSON.stringify(readSpec(checkpoint).spec);
    for (const [key, harmless] of Object.entries(GGUF_KEYS))
      it(key, () => {
        const field = `${architecture}.${key}`;
        const value = unusual(harmless, checkpoint.metadata.get(field));
        const metadata = new Map([...checkpoint.metadata, [field, value] as const]);
        const found = outcome({ ...checkpoint, metadata }, field);
        assert.equal(found === plain, WITHOUT_MEANING[key]?.includes(name) ?? false, 'is ignored');
      });
  });
}
