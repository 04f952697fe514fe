// Transformers of the Llama kind with routed experts in place of feed-forwards: Mixtral (Jiang et al. 2024) and
// Qwen 3 MoE, in which some layers may stay dense. Experts lie one by one in published files, packed where
// transformers 5 saves them as its modules hold them.
import type { ConfigReader } from '../../formats/config-reader.ts';
import { u32 } from '../../formats/gguf-values.ts';
import { type ExpertsSpec, plainExperts } from '../../layers/experts.ts';
import type { Family, GgufWriting } from '../family.ts';
import { GGUF_NAMES, type TensorNames, type TensorRows } from '../roles.ts';
import { allOfKind, type LayerSpec, type ModelSpec, UNSCALED } from '../spec.ts';
import { huggingFaceCommon, readSilu } from './huggingface.ts';
import { fromGguf, LIMITS, llama, readAttention, readDense, writing } from './llama.ts';

const model = (
  c: ConfigReader,
  name: string,
  layers: readonly LayerSpec[],
  contextLength: number,
): ModelSpec => ({
  family: name,
  name,
  layers,
  ...UNSCALED,
  normEpsilon: c.number('rms_norm_eps', 0, 1, name === 'mixtral' ? 1e-5 : 1e-6),
  ...huggingFaceCommon(c, { tiedHead: false, contextLength }),
});

function readExperts(
  c: ConfigReader,
  size: number,
  field: string,
  defaults: readonly [number, number],
): ExpertsSpec {
  const activation = readSilu(c);
  const count = c.size(field, defaults[0], 4096);
  return { ...plainExperts(size, count, c.size('num_experts_per_tok', defaults[1], count)), activation };
}

function mixtralModel(c: ConfigReader): ModelSpec {
  const feedForward: ExpertsSpec = {
    ...readExperts(c, c.size('intermediate_size'), 'num_local_experts', [8, 2]),
    renormalize: 0,
  };
  const layers = readAttention(c, 'mixtral', { kvHeads: 8, theta: 1_000_000 }).map((mixer) => ({
    mixers: [mixer],
    feedForward,
  }));
  return model(c, 'mixtral', layers, 131_072);
}

/** transformers 5 writes `num_experts` as `num_local_experts`. */
function qwenModel(c: ConfigReader): ModelSpec {
  const field = c.has('num_local_experts') ? 'num_local_experts' : 'num_experts';
  const experts: ExpertsSpec = {
    ...readExperts(c, c.size('moe_intermediate_size', 768), field, [128, 8]),
    renormalize: c.flag('norm_topk_prob', false) ? 0 : null,
  };
  const routed = routedLayers(c);
  const layers = readAttention(c, 'qwen3_moe', { kvHeads: 4 }).map((mixer, i) => ({
    mixers: [mixer],
    feedForward: routed(i) ? experts : readDense(c, false),
  }));
  return model(c, 'qwen3_moe', layers, 32_768);
}

/** Every `decoder_sparse_step`-th layer has experts, but those among `mlp_only_layers`. */
function routedLayers(c: ConfigReader): (layer: number) => boolean {
  const step = c.size('decoder_sparse_step', 1, 4096);
  const dense = c.raw('mlp_only_layers') ?? [];
  if (!Array.isArray(dense) || !dense.every((layer) => Number.isInteger(layer) && layer >= 0))
    c.fail('mlp_only_layers', 'a list of layers', dense);
  return (layer) => (layer + 1) % step === 0 && !dense.includes(layer);
}

/** One of the halves of all experts' matrices, the gate above. */
const half = (tensor: string, which: 0 | 1): TensorRows => ({
  tensor,
  rows({ layers }, layer) {
    const forward = layers[layer]?.feedForward;
    const { count, size } = forward?.kind === 'experts' ? forward : { count: 1, size: 1 };
    return { blocks: count, sections: [size, size], take: [which] };
  },
});

const MLP = 'model.layers.N.mlp.';
const MIXTRAL = 'model.layers.N.block_sparse_moe.';

/** As modules of transformers 5 hold them. */
const PACKED = {
  expertGate: [half(`${MLP}experts.gate_up_proj`, 0)],
  expertUp: [half(`${MLP}experts.gate_up_proj`, 1)],
  expertDown: [`${MLP}experts.down_proj`],
} as const satisfies TensorNames;

const keys: GgufWriting['keys'] = ({ layers }) => {
  const [experts] = allOfKind(layers, 'experts');
  return experts ? { expert_feed_forward_length: u32(experts.size) } : {};
};

export const mixtral: Family = {
  name: 'mixtral',
  huggingFaceTypes: ['mixtral'],
  fromHuggingFace: mixtralModel,
  fromGguf,
  gguf: [
    {
      architecture: 'llama',
      names: GGUF_NAMES,
      pairedQk: true,
      write: writing('experts', (a) => a.headNorms === 'none', { limits: LIMITS }),
    },
  ],
  huggingFaceNames: {
    ...llama.huggingFaceNames,
    router: [`${MIXTRAL}gate.weight`, `${MLP}gate.weight`],
    expertGate: [`${MIXTRAL}experts.E.w1.weight`, ...PACKED.expertGate],
    expertUp: [`${MIXTRAL}experts.E.w3.weight`, ...PACKED.expertUp],
    expertDown: [`${MIXTRAL}experts.E.w2.weight`, ...PACKED.expertDown],
  },
};

export const qwen3Moe: Family = {
  name: 'qwen3_moe',
  huggingFaceTypes: ['qwen3_moe'],
  fromHuggingFace: qwenModel,
  fromGguf,
  gguf: [
    {
      architecture: 'qwen3moe',
      names: GGUF_NAMES,
      write: writing('experts', (a) => a.headNorms === 'perHead', { keys }),
    },
  ],
  huggingFaceNames: {
    ...llama.huggingFaceNames,
    router: [`${MLP}gate.weight`],
    expertGate: [`${MLP}experts.E.gate_proj.weight`, ...PACKED.expertGate],
    expertUp: [`${MLP}experts.E.up_proj.weight`, ...PACKED.expertUp],
    expertDown: [`${MLP}experts.E.down_proj.weight`, ...PACKED.expertDown],
  },
};
