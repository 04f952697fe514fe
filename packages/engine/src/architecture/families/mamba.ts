// Mamba-1 (Gu & Dao 2023) as Hugging Face's `mamba` and `falcon_mamba`: every layer a Mamba mixer, no feed-forward.
// FalconMamba adds RMS norms without weights on dt, B and C.
import type { ConfigReader } from '../config-reader.ts';
import type { Family, TensorShapes } from '../family.ts';
import type { MambaSpec, ModelSpec } from '../spec.ts';
import { ggufCommon } from './jamba.ts';

const stack = (mixer: MambaSpec, count: number) =>
  Array.from({ length: count }, () => ({ mixer, feedForward: null }));

function fromHuggingFace(c: ConfigReader): ModelSpec {
  const hiddenSize = c.size('hidden_size');
  const falcon = c.raw('model_type') === 'falcon_mamba';
  c.text('hidden_act', ['silu'], 'silu');
  const mixer: MambaSpec = {
    kind: 'mamba',
    innerSize: c.size('intermediate_size', c.size('expand', 2, 64) * hiddenSize),
    stateSize: c.size('state_size', 16, 4096),
    convWidth: c.size('conv_kernel', 4, 64),
    dtRank:
      c.raw('time_step_rank') === 'auto'
        ? Math.ceil(hiddenSize / 16)
        : c.size('time_step_rank', Math.ceil(hiddenSize / 16)),
    convBias: c.flag('use_conv_bias', true),
    projectionBias: c.flag('use_bias', false),
    innerNorms: falcon ? 'plain' : 'none',
    innerNormEpsilon: c.number('mixer_rms_eps', 0, 1, 1e-6),
  };
  const vocabularySize = c.size('vocab_size');
  return {
    family: 'mamba',
    name: falcon ? 'falcon_mamba' : 'mamba',
    vocabularySize,
    hiddenSize,
    normEpsilon: c.number('layer_norm_epsilon', 0, 1, 1e-5),
    tiedHead: c.flag('tie_word_embeddings', true),
    embeddingScale: 1,
    contextLength: c.size('max_position_embeddings', 1_048_576, 2 ** 31),
    beginToken: c.tokens('bos_token_id', vocabularySize)[0] ?? null,
    endTokens: c.tokens('eos_token_id', vocabularySize),
    layers: stack(mixer, c.size('num_hidden_layers', undefined, 4096)),
  };
}

function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  const normEpsilon = c.number(`${arch}.attention.layer_norm_rms_epsilon`, 0, 1, 1e-5);
  const mixer: MambaSpec = {
    kind: 'mamba',
    innerSize: c.size(`${arch}.ssm.inner_size`),
    stateSize: c.size(`${arch}.ssm.state_size`, undefined, 4096),
    convWidth: c.size(`${arch}.ssm.conv_kernel`, undefined, 64),
    dtRank: c.size(`${arch}.ssm.time_step_rank`),
    convBias: shapeOf('blk.0.ssm_conv1d.bias') !== undefined,
    projectionBias: shapeOf('blk.0.ssm_in.bias') !== undefined,
    innerNorms: c.flag(`${arch}.ssm.dt_b_c_rms`, false) ? 'plain' : 'none',
    // llama.cpp has one epsilon for all norms; FalconMamba's own two differ, which a GGUF file cannot say.
    innerNormEpsilon: normEpsilon,
  };
  return {
    family: 'mamba',
    name: 'mamba',
    embeddingScale: 1,
    hiddenSize: c.size(`${arch}.embedding_length`),
    normEpsilon,
    layers: stack(mixer, c.size(`${arch}.block_count`, undefined, 4096)),
    ...ggufCommon(c, arch, shapeOf),
  };
}

const MIXER = 'backbone.layers.N.mixer.';

export const mamba: Family = {
  name: 'mamba',
  huggingFaceTypes: ['mamba', 'falcon_mamba'],
  ggufArchitectures: ['mamba'],
  fromHuggingFace,
  fromGguf,
  ggufPermutedQk: [],
  huggingFaceNames: {
    embedding: ['backbone.embeddings.weight', 'backbone.embedding.weight'],
    finalNorm: ['backbone.norm_f.weight'],
    head: ['lm_head.weight'],
    inputNorm: ['backbone.layers.N.norm.weight'],
    inProj: [`${MIXER}in_proj.weight`],
    inProjBias: [`${MIXER}in_proj.bias`],
    convWeight: [`${MIXER}conv1d.weight`],
    convBias: [`${MIXER}conv1d.bias`],
    xProj: [`${MIXER}x_proj.weight`],
    dtProj: [`${MIXER}dt_proj.weight`],
    dtProjBias: [`${MIXER}dt_proj.bias`],
    a: [`${MIXER}A_log`],
    d: [`${MIXER}D`],
    outProj: [`${MIXER}out_proj.weight`],
    outProjBias: [`${MIXER}out_proj.bias`],
  },
};
