// Mamba-2 (Dao & Gu 2024) as Hugging Face's `mamba2`: every layer a Mamba-2 mixer, no feed-forward. Covers
// Codestral Mamba, whose published tensors begin with `model.`.
import type { ConfigReader } from '../../formats/config-reader.ts';
import {
  type Mamba2Spec,
  mamba2FromGguf,
  mamba2Names,
  readGroups,
  readStepLimits,
} from '../../layers/mamba2.ts';
import type { Family, TensorShapes } from '../family.ts';
import {
  layerMisfit,
  type Misfit,
  mamba2Limits,
  mamba2Misfit,
  modelMisfit,
  uneven,
} from '../gguf-writing.ts';
import { GGUF_NAMES, type TensorNames } from '../roles.ts';
import { allOfKind, type ModelSpec, UNSCALED } from '../spec.ts';
import { ggufCommon, ggufLayer } from './gguf.ts';

const stack = (mixer: Mamba2Spec, count: number) =>
  Array.from({ length: count }, () => ({ mixers: [mixer], feedForward: null }));

function fromHuggingFace(c: ConfigReader): ModelSpec {
  const hiddenSize = c.size('hidden_size');
  const heads = c.size('num_heads', 128, 4096);
  const headSize = c.size('head_dim', 64, 4096);
  const inner = c.size('expand', 2, 64) * hiddenSize;
  if (heads * headSize !== inner)
    c.fail('num_heads', `expand × hidden_size / head_dim = ${inner / headSize}`, heads);
  c.text('hidden_act', ['silu', 'swish'], 'silu');
  // Codestral Mamba's file has `norm_before_gate` true, which nothing reads: its norm stands after the gate.
  c.refuse({ rms_norm: [true] });
  const groups = readGroups(c, 'n_groups', heads, 8);
  const mixer: Mamba2Spec = {
    kind: 'mamba2',
    heads,
    headSize,
    groups,
    stateSize: c.size('state_size', 128, 4096),
    convWidth: c.size('conv_kernel', 4, 64),
    convBias: c.flag('use_conv_bias', true),
    projectionBias: c.flag('use_bias', false),
    norm: 'afterGate',
    // As mamba_ssm, where these models were trained; transformers takes the mean over all channels.
    normGroups: groups,
    stepLimits: readStepLimits(c),
  };
  const vocabularySize = c.size('vocab_size');
  return {
    family: 'mamba2',
    name: 'mamba2',
    vocabularySize,
    hiddenSize,
    normEpsilon: c.number('layer_norm_epsilon', 0, 1, 1e-5),
    tiedHead: c.flag('tie_word_embeddings', false),
    ...UNSCALED,
    contextLength: c.size('max_position_embeddings', 1_048_576, 2 ** 31),
    beginToken: c.tokens('bos_token_id', vocabularySize)[0] ?? null,
    endTokens: c.tokens('eos_token_id', vocabularySize),
    layers: stack(mixer, c.size('num_hidden_layers', undefined, 4096)),
  };
}

function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  return {
    family: 'mamba2',
    name: arch,
    ...UNSCALED,
    hiddenSize: c.size(`${arch}.embedding_length`),
    normEpsilon: c.number(`${arch}.attention.layer_norm_rms_epsilon`, 0, 1),
    layers: stack(
      mamba2FromGguf(ggufLayer(c, arch, shapeOf, 0)),
      c.size(`${arch}.block_count`, undefined, 4096),
    ),
    ...ggufCommon(c, arch, shapeOf),
  };
}

function misfit(spec: ModelSpec): Misfit {
  const plain = layerMisfit(spec, ({ mixers: [mixer, ...more], feedForward }) =>
    mixer?.kind !== 'mamba2' || more.length || feedForward
      ? 'other than one Mamba-2 mixer'
      : mamba2Misfit(mixer),
  );
  return modelMisfit(spec) ?? plain ?? uneven(allOfKind(spec.layers, 'mamba2'), 'Mamba-2 sizes');
}

const limits = (spec: ModelSpec) => mamba2Limits(spec, { twiceHidden: true });

/** Hugging Face's files, and Codestral Mamba's. */
const PREFIXES = ['', 'model.'];
const both = (name: string): string[] => PREFIXES.map((prefix) => prefix + name);

const mixerNames = Object.fromEntries(
  Object.entries(mamba2Names('backbone.layers.N.mixer.')).map(([role, names]) => [role, names.flatMap(both)]),
) as TensorNames;

export const mamba2: Family = {
  name: 'mamba2',
  huggingFaceTypes: ['mamba2'],
  fromHuggingFace,
  fromGguf,
  gguf: [{ architecture: 'mamba2', names: GGUF_NAMES, write: { mixers: ['mamba2'], misfit, limits } }],
  huggingFaceNames: {
    embedding: ['backbone.embeddings.weight', 'backbone.embedding.weight', 'model.backbone.embedding.weight'],
    finalNorm: both('backbone.norm_f.weight'),
    head: both('lm_head.weight'),
    inputNorm: both('backbone.layers.N.norm.weight'),
    ...mixerNames,
  },
};
