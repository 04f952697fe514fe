// Falcon-H1 (Zuo et al. 2025, TII): in every layer attention and a Mamba-2 mixer side by side on one norm, then
// a gated feed-forward. Its multipliers (μP) stand before and after nearly every product. Those inside layers
// are factors of weights, by which these are multiplied as they are read (`weightScales`); those of the
// embedding and of the logits stay numbers of the model. GGUF files have no place for either: in them all
// weights are multiplied already.
import type { ConfigReader } from '../../formats/config-reader.ts';
import { u32 } from '../../formats/gguf-values.ts';
import { type AttentionSpec, attentionFromGguf, plainAttention } from '../../layers/attention.ts';
import { denseFromGguf } from '../../layers/dense.ts';
import { bambaSizes, type Mamba2Spec, mamba2FromGguf, mamba2Names } from '../../layers/mamba2.ts';
import type { Family, TensorShapes } from '../family.ts';
import {
  differsFrom,
  layerMisfit,
  type Misfit,
  mamba2Limits,
  mamba2Misfit,
  modelMisfit,
  uneven,
} from '../gguf-writing.ts';
import { GGUF_NAMES, OWN_NAMES } from '../roles.ts';
import { allOfKind, type LayerSpec, type ModelSpec, UNSCALED, type WeightScales } from '../spec.ts';
import { ggufCommon, ggufLayer } from './gguf.ts';
import { huggingFaceCommon, readHeads, readRope, readSilu } from './huggingface.ts';

function fromHuggingFace(c: ConfigReader, shapeOf: TensorShapes = () => undefined): ModelSpec {
  c.refuse({ mamba_use_mlp: [true], attn_layer_indices: [] });
  const attention = readAttention(c);
  const mamba = readMamba(c);
  const size = c.size('intermediate_size');
  const activation = readSilu(c);
  const layer: LayerSpec = {
    mixers: [attention, mamba],
    feedForward: { kind: 'dense', size, gated: true, activation, bias: c.flag('mlp_bias', false) },
  };
  const common = huggingFaceCommon(c, { tiedHead: false, contextLength: 8192 });
  const scales = {
    embeddingScale: multiplier(c, 'embedding_multiplier'),
    logitScale: multiplier(c, 'lm_head_multiplier'),
    weightScales: readScales(c, common.hiddenSize, attention, mamba, size),
  };
  return {
    family: 'falcon-h1',
    name: 'falcon_h1',
    ...common,
    normEpsilon: c.number('rms_norm_eps', 0, 1, 1e-5),
    ...UNSCALED,
    ...(isMlx(shapeOf) ? foldedScales(c, scales, common.tiedHead) : scales),
    layers: Array.from({ length: c.size('num_hidden_layers', undefined, 4096) }, () => layer),
  };
}

/** MLX keeps the taps of a convolution before its one input channel: [channels, taps, 1]. */
function isMlx(shapeOf: TensorShapes): boolean {
  const [, taps = 1, channels] = shapeOf('model.layers.0.mamba.conv1d.weight') ?? [];
  return taps > 1 && channels === 1;
}

/** MLX multiplies the weights of a folder that it saves, and leaves the multipliers in its configuration. */
function foldedScales(
  c: ConfigReader,
  { embeddingScale, logitScale }: Pick<ModelSpec, 'embeddingScale' | 'logitScale'>,
  tiedHead: boolean,
): Pick<ModelSpec, 'embeddingScale' | 'logitScale'> {
  c.notes.push('the folder was saved by MLX: its multipliers are taken to be in the weights');
  return { embeddingScale: 1, logitScale: tiedHead ? logitScale / embeddingScale : 1 };
}

function readAttention(c: ConfigReader): AttentionSpec {
  const { heads, kvHeads, headSize } = readHeads(c, { kvHeads: 8 });
  const bias = c.flag('attention_bias', false);
  return {
    ...plainAttention(heads, kvHeads, headSize),
    rope: readRope(c, headSize),
    inputBias: bias,
    outputBias: bias,
  };
}

function readMamba(c: ConfigReader): Mamba2Spec {
  // Null, as old files have it, means the expansion; transformers takes 1024 where the field is absent.
  const expanded =
    c.raw('mamba_d_ssm') === null ? c.size('mamba_expand', 2, 64) * c.size('hidden_size') : 1024;
  const sizes = bambaSizes(c, c.size('mamba_d_ssm', expanded));
  if (c.flag('projectors_bias', false) !== sizes.projectionBias)
    c.fail('projectors_bias', `mamba_proj_bias, which is ${sizes.projectionBias}`, !sizes.projectionBias);
  const gateLast = c.flag('mamba_norm_before_gate', true);
  const norm = c.flag('mamba_rms_norm', false) ? (gateLast ? 'beforeGate' : 'afterGate') : 'none';
  return { ...sizes, norm, normGroups: sizes.groups };
}

const multiplier = (c: ConfigReader, field: string): number => c.number(field, -1e6, 1e6, 1);

/** A list of factors, each 1 in files that leave the list out. */
function multipliers(c: ConfigReader, field: string, count: number): readonly number[] {
  const value = c.raw(field);
  if (value === undefined || value === null) return new Array<number>(count).fill(1);
  const fits = (one: unknown) => typeof one === 'number' && Math.abs(one) <= 1e6;
  if (!Array.isArray(value) || value.length !== count || !value.every(fits))
    c.fail(field, `${count} numbers from -1000000 to 1000000`, value);
  return value as number[];
}

/** What each weight is multiplied by: a factor before a product is one of its rows, not of its bias. */
function readScales(
  c: ConfigReader,
  hiddenSize: number,
  { heads, kvHeads, headSize }: AttentionSpec,
  mamba: Mamba2Spec,
  size: number,
): WeightScales {
  const into = multiplier(c, 'attention_in_multiplier');
  const key = multiplier(c, 'key_multiplier');
  const outOf = multiplier(c, 'attention_out_multiplier');
  const ssmIn = multiplier(c, 'ssm_in_multiplier');
  const ssmOut = multiplier(c, 'ssm_out_multiplier');
  const [gate = 1, down = 1] = multipliers(c, 'mlp_multipliers', 2);
  const inner = mamba.heads * mamba.headSize;
  const shared = mamba.groups * mamba.stateSize;
  const rows = [inner, inner, shared, shared, mamba.heads]; // z, x, B, C, dt
  const parts = multipliers(c, 'ssm_multipliers', 5).map((factor, i) => [rows[i]!, factor] as const);
  const scales: WeightScales = {
    q: [[heads * headSize, into]],
    k: [[kvHeads * headSize, into * key]],
    kBias: [[kvHeads * headSize, key]],
    v: [[kvHeads * headSize, into]],
    o: [[hiddenSize, outOf]],
    oBias: [[hiddenSize, outOf]],
    ssdIn: parts.map(([count, factor]) => [count, ssmIn * factor]),
    ssdInBias: parts,
    ssdOut: [[hiddenSize, ssmOut]],
    ssdOutBias: [[hiddenSize, ssmOut]],
    gate: [[size, gate]],
    gateBias: [[size, gate]],
    down: [[hiddenSize, down]],
    downBias: [[hiddenSize, down]],
  };
  return Object.fromEntries(
    Object.entries(scales).filter(([, factors]) => factors.some(([, factor]) => factor !== 1)),
  );
}

function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  const block = (index: number): LayerSpec => {
    const layer = ggufLayer(c, arch, shapeOf, index);
    return { mixers: [attentionFromGguf(layer), mamba2FromGguf(layer)], feedForward: denseFromGguf(layer) };
  };
  return {
    family: 'falcon-h1',
    name: 'falcon_h1',
    hiddenSize: c.size(`${arch}.embedding_length`),
    ...UNSCALED,
    normEpsilon: c.number(`${arch}.attention.layer_norm_rms_epsilon`, 0, 1),
    layers: Array.from({ length: c.size(`${arch}.block_count`, undefined, 4096) }, (_, i) => block(i)),
    ...ggufCommon(c, arch, shapeOf),
  };
}

function misfit(spec: ModelSpec): Misfit {
  const { layers } = spec;
  return (
    modelMisfit(spec, ['embeddingScale', 'logitScale']) ??
    layerMisfit(spec, layerProblem) ??
    uneven(layers, 'layers')
  );
}

function layerProblem({ mixers, feedForward }: LayerSpec): Misfit {
  const [attention, mamba, ...more] = mixers;
  if (attention?.kind !== 'attention' || mamba?.kind !== 'mamba2' || more.length)
    return 'other mixers than attention beside Mamba-2';
  if (!attention.rope) return 'attention without rotary positions';
  if (feedForward?.kind !== 'dense') return 'no dense feed-forward';
  const { heads, kvHeads, headSize, rope } = attention;
  const { size, bias } = feedForward;
  const plain = { ...plainAttention(heads, kvHeads, headSize), rope };
  if (rope.rotary !== headSize) return 'rotary positions in a part of each head';
  if (rope.scaling?.kind === 'yarn') return 'rotary positions stretched by YaRN';
  return (
    differsFrom(attention, plain, ['inputBias', 'outputBias']) ??
    mamba2Misfit(mamba) ??
    differsFrom(feedForward, { kind: 'dense', size, gated: true, activation: 'silu', bias })
  );
}

function limits(spec: ModelSpec): string[] {
  const some = (check: (attention: AttentionSpec) => boolean) =>
    allOfKind(spec.layers, 'attention').some(check);
  return [
    ...mamba2Limits(spec, { normless: true }),
    ...(some((a) => a.outputBias) ? ['a bias on the output of attention, which llama.cpp ignores'] : []),
    ...(some((a) => a.rope?.scaling?.kind === 'llama3')
      ? ['divisors of rotary frequencies, which llama.cpp ignores here']
      : []),
  ];
}

const LAYER = 'model.layers.N.';

export const falconH1: Family = {
  name: 'falcon-h1',
  huggingFaceTypes: ['falcon_h1'],
  fromHuggingFace,
  fromGguf,
  gguf: [
    {
      architecture: 'falcon-h1',
      // llama.cpp gives this norm no suffix (gguf-py/gguf/tensor_mapping.py).
      names: { ...GGUF_NAMES, feedForwardNorm: ['blk.N.ffn_norm', 'blk.N.ffn_norm.weight'] },
      write: {
        mixers: ['attention', 'mamba2'],
        misfit,
        limits,
        foldsScales: true,
        keys({ layers }) {
          const [{ headSize } = { headSize: 0 }] = allOfKind(layers, 'attention');
          return {
            'attention.key_length': u32(headSize),
            'attention.value_length': u32(headSize),
            'rope.dimension_count': null,
          };
        },
      },
    },
  ],
  huggingFaceNames: {
    ...OWN_NAMES,
    ...mamba2Names(`${LAYER}mamba.`),
  },
};
