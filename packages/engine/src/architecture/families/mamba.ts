// Mamba-1 (Gu & Dao 2023) as Hugging Face's `mamba` and `falcon_mamba`: every layer a Mamba mixer, no
// feed-forward. FalconMamba adds RMS norms without weights on dt, B and C.
import type { ConfigReader } from '../../formats/config-reader.ts';
import { type MambaSpec, mambaFromGguf } from '../../layers/mamba.ts';
import type { Family, TensorShapes } from '../family.ts';
import { layerMisfit, type Misfit, mambaLimits, modelMisfit, uneven } from '../gguf-writing.ts';
import { GGUF_NAMES } from '../roles.ts';
import { allOfKind, type ModelSpec, UNSCALED } from '../spec.ts';
import { ggufCommon, ggufLayer } from './gguf.ts';
import { huggingFaceCommon, readSilu } from './huggingface.ts';

const stack = (mixer: MambaSpec, count: number) =>
  Array.from({ length: count }, () => ({ mixers: [mixer], feedForward: null }));

function fromHuggingFace(c: ConfigReader): ModelSpec {
  const hiddenSize = c.size('hidden_size');
  const falcon = c.raw('model_type') === 'falcon_mamba';
  readSilu(c);
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
  return {
    family: 'mamba',
    name: falcon ? 'falcon_mamba' : 'mamba',
    normEpsilon: c.number('layer_norm_epsilon', 0, 1, 1e-5),
    ...UNSCALED,
    ...huggingFaceCommon(c, { tiedHead: true, contextLength: 1_048_576 }),
    layers: stack(mixer, c.size('num_hidden_layers', undefined, 4096)),
  };
}

function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  const normEpsilon = c.number(`${arch}.attention.layer_norm_rms_epsilon`, 0, 1);
  const mixer = mambaFromGguf(ggufLayer(c, arch, shapeOf, 0), normEpsilon);
  return {
    family: 'mamba',
    name: 'mamba',
    ...UNSCALED,
    hiddenSize: c.size(`${arch}.embedding_length`),
    normEpsilon,
    layers: stack(mixer, c.size(`${arch}.block_count`, undefined, 4096)),
    ...ggufCommon(c, arch, shapeOf),
  };
}

function misfit(spec: ModelSpec): Misfit {
  const plain = layerMisfit(spec, ({ mixers: [mixer, ...more], feedForward }) => {
    if (mixer?.kind !== 'mamba' || more.length || feedForward) return 'other than one Mamba mixer';
    return mixer.innerNorms === 'weighted' ? 'weighted inner norms' : null;
  });
  return modelMisfit(spec) ?? plain ?? uneven(allOfKind(spec.layers, 'mamba'), 'Mamba sizes');
}

const MIXER = 'backbone.layers.N.mixer.';

export const mamba: Family = {
  name: 'mamba',
  huggingFaceTypes: ['mamba', 'falcon_mamba'],
  fromHuggingFace,
  fromGguf,
  gguf: [
    {
      architecture: 'mamba',
      names: GGUF_NAMES,
      write: { mixers: ['mamba'], misfit, limits: mambaLimits },
    },
  ],
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
