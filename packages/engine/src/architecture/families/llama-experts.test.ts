// Which layers of Mixtral and Qwen 3 MoE have experts, under which names they lie, and what GGUF can say.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigReader } from '../../formats/config-reader.ts';
import { takenRows } from '../../formats/rows.ts';
import type { JsonObject } from '../../formats/types.ts';
import { allOfKind, layerStrip, type ModelSpec } from '../spec.ts';
import { mixtral, qwen3Moe } from './llama-experts.ts';

const SIZES: JsonObject = {
  vocab_size: 50,
  hidden_size: 24,
  intermediate_size: 30,
  moe_intermediate_size: 7,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  num_hidden_layers: 6,
  num_local_experts: 5,
  num_experts_per_tok: 2,
};
const read = (family: typeof mixtral, fields: JsonObject = {}): ModelSpec =>
  family.fromHuggingFace(
    ConfigReader.ofJson('config.json', { ...SIZES, model_type: family.name, ...fields }),
  );

describe('experts of Qwen 3 MoE', () => {
  it('come at a step, but not in the layers that are listed', () => {
    assert.equal(layerStrip(read(qwen3Moe)), 'AeAeAeAeAeAe');
    assert.equal(layerStrip(read(qwen3Moe, { decoder_sparse_step: 2 })), 'AAeAAeAAe');
    assert.equal(layerStrip(read(qwen3Moe, { decoder_sparse_step: 2, mlp_only_layers: [3, 0] })), 'AAeAAAAe');
    assert.throws(() => read(qwen3Moe, { mlp_only_layers: [-1] }), /mlp_only_layers: expected a list/);
  });

  it('are counted under either name, and renormalised when the file says so', () => {
    const { num_local_experts, ...rest } = SIZES;
    const before = { ...rest, num_experts: num_local_experts!, norm_topk_prob: true };
    const spec = qwen3Moe.fromHuggingFace(ConfigReader.ofJson('x', before));
    const [experts] = allOfKind(spec.layers, 'experts');
    assert.deepEqual([experts!.count, experts!.size, experts!.renormalize], [5, 7, 0]);
    assert.equal(allOfKind(read(qwen3Moe).layers, 'experts')[0]!.renormalize, null);
  });

  it('see a window in every layer, once it is switched on', () => {
    const windows = (fields: JsonObject) =>
      allOfKind(read(qwen3Moe, fields).layers, 'attention').map(({ window }) => window);
    assert.deepEqual(windows({ sliding_window: 9 }), Array(6).fill(null));
    assert.deepEqual(windows({ sliding_window: 9, use_sliding_window: true }), Array(6).fill(9));
  });
});

describe('experts that lie packed', () => {
  it('have the gate above the values, expert by expert', () => {
    for (const family of [mixtral, qwen3Moe]) {
      const spec = read(family);
      const [size] = allOfKind(spec.layers, 'experts').map((one) => one.size);
      const rows = (['expertGate', 'expertUp'] as const).map((role) => {
        const name = family.huggingFaceNames[role]!.find((one) => typeof one !== 'string');
        assert.ok(typeof name === 'object' && name.tensor.endsWith('mlp.experts.gate_up_proj'));
        return takenRows(name.rows(spec, 0));
      });
      const run = (row: number) => [{ row, rows: size!, times: 5, every: 2 * size!, scale: 1 }];
      assert.deepEqual(rows, [run(0), run(size!)]);
    }
  });
});

describe('GGUF files with experts', () => {
  const misfit = (family: typeof mixtral, fields: JsonObject = {}) =>
    family.gguf[0]!.write!.misfit(read(family, fields));

  it('hold renormalised experts in every layer', () => {
    assert.equal(misfit(mixtral), null);
    assert.equal(misfit(qwen3Moe, { norm_topk_prob: true }), null);
    assert.match(misfit(qwen3Moe)!, /renormalize null in layer 0/);
    assert.match(
      misfit(qwen3Moe, { norm_topk_prob: true, decoder_sparse_step: 2 })!,
      /no experts in layer 0/,
    );
  });
});
