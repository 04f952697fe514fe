import assert from 'node:assert/strict';
import { test } from 'node:test';
import { llama } from '../architecture/families/llama.ts';
import { marimba } from '../architecture/families/marimba.ts';
import type { ModelSpec } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import { ConfigReader } from '../formats/config-reader.ts';
import { ggufForm, llamaCppLimits } from './gguf-architecture.ts';
import { architectureMetadata, sizeLabel } from './gguf-metadata.ts';

const sizes = { hidden_size: 64, intermediate_size: 96, num_attention_heads: 4, vocab_size: 128 };

const lab = (changes: Record<string, unknown> = {}): ModelSpec =>
  marimba.fromHuggingFace(
    ConfigReader.ofJson('config.json', {
      ...sizes,
      layer_types: ['mamba', 'full_attention', 'mamba'],
      ...changes,
    } as never),
  );
const llamaLike = (changes: Record<string, unknown>): ModelSpec =>
  llama.fromHuggingFace(
    ConfigReader.ofJson('config.json', { ...sizes, num_hidden_layers: 2, ...changes } as never),
  );

test('a hybrid of the lab that is built like Jamba is written as Jamba', () => {
  const spec = lab();
  const form = ggufForm(spec, 'lab');
  assert.equal(form.architecture, 'jamba');
  const metadata = architectureMetadata(spec, form);
  assert.deepEqual(metadata.get('jamba.attention.head_count_kv'), {
    type: 'array',
    of: 'i32',
    value: [0, 4, 0],
  });
  assert.deepEqual(metadata.get('jamba.expert_count'), { type: 'u32', value: 1 });
});

test('what no architecture expresses is refused by name', () => {
  const refused = (spec: ModelSpec, message: RegExp) =>
    assert.throws(
      () => ggufForm(spec, 'lab'),
      (error) => error instanceof ModelError && message.test(error.message),
    );
  refused(lab({ rope_theta: 10000 }), /rope \{"theta":10000.*\} in layer 1 \(jamba\)/);
  refused(
    lab({ layer_types: ['mamba', 'sliding_attention'], sliding_window: 8 }),
    /window 8 in layer 1 \(jamba\)/,
  );
  refused(lab({ feed_forward_types: ['dense', 'none', 'dense'] }), /no feed-forward in layer 1/);
  refused(lab({ mamba_inner_norms: false }), /Mamba without weighted inner norms in layer 0 \(jamba\)/);
});

test('all Mamba, and the rotary transformers', () => {
  const plain = lab({
    layer_types: ['mamba', 'mamba'],
    feed_forward_types: ['none', 'none'],
    mamba_inner_norms: false,
  });
  assert.equal(ggufForm(plain, 'lab').architecture, 'mamba');
  assert.equal(ggufForm(llamaLike({ model_type: 'llama' }), 'x').architecture, 'llama');
  assert.equal(ggufForm(llamaLike({ model_type: 'qwen2' }), 'x').architecture, 'qwen2');
  const wide = llamaLike({ model_type: 'qwen3', head_dim: 32 });
  const qwen = ggufForm(wide, 'x');
  assert.equal(qwen.architecture, 'qwen3');
  assert.deepEqual(architectureMetadata(wide, qwen).get('qwen3.attention.key_length'), {
    type: 'u32',
    value: 32,
  });
});

test('a size for which GGUF has one key cannot differ between layers', () => {
  const { layers, ...rest } = llamaLike({ model_type: 'llama' });
  const wider = {
    ...layers[1]!,
    feedForward: { kind: 'dense', size: 97, gated: true, activation: 'silu', bias: false },
  } as const;
  const spec: ModelSpec = { ...rest, layers: [layers[0]!, wider] };
  assert.throws(() => ggufForm(spec, 'x'), /different layers in different layers/);
  const form = ggufForm(llamaLike({ model_type: 'llama' }), 'x');
  assert.throws(() => architectureMetadata(spec, form), /feed_forward_length: expected one value/);
});

test('what llama.cpp reads otherwise is said', () => {
  const limits = (changes = {}) => {
    const spec = lab(changes);
    return llamaCppLimits(spec, ggufForm(spec, 'lab'));
  };
  assert.deepEqual(limits(), []);
  assert.match(limits({ mamba_expand: 3 }).join(), /inner size/);
  assert.match(limits({ mamba_conv_bias: false }).join(), /convolution bias/);
  assert.match(limits({ mamba_proj_bias: true }).join(), /projection biases/);
});

test('size labels as gguf-py writes them', () => {
  assert.equal(sizeLabel(3_029_000_000, 0, 0), '3.0B');
  assert.equal(sizeLabel(8_030_261_248, 0, 1), '8.0B');
  assert.equal(sizeLabel(46_700_000_000, 45_100_000_000, 8), '8x7.2B');
  assert.equal(sizeLabel(213_000, 0, 0), '213K');
});
