// A model as a GGUF file, as llama.cpp's converter would write it: tensor names and transforms of docs (jamba, mamba, llama),
// f32. Llama's q and k rows are interleaved for its kind of rotary positions; A is stored as -exp(A_log).
import type { MambaSpec, ModelSpec } from '@marimba/engine';
import { allOfKind, ggufName } from '@marimba/engine/architecture';
import { createGgufWriter, type TypedMetadataValue } from '@marimba/engine/formats';
import type { Parameter, ParameterStore } from '../train/parameters.ts';
import { tokenizerMetadata } from './gguf-tokenizer.ts';
import type { ExportedText } from './text.ts';

const u32 = (value: number): TypedMetadataValue => ({ type: 'u32', value });
const f32 = (value: number): TypedMetadataValue => ({ type: 'f32', value });
const text = (value: string): TypedMetadataValue => ({ type: 'string', value });

/** `spec.family` is jamba, mamba or llama. */
export function ggufFile(
  store: ParameterStore,
  spec: ModelSpec,
  name: string,
  tokenizer: ExportedText | null,
): Uint8Array {
  const metadata = new Map<string, TypedMetadataValue>([
    ['general.architecture', text(spec.family)],
    ['general.type', text('model')],
    ['general.name', text(name)],
    ['general.file_type', u32(0)],
    ...Object.entries(sizes(spec)).map(([key, value]): [string, TypedMetadataValue] => [
      `${spec.family}.${key}`,
      value,
    ]),
    ...tokenizerMetadata(tokenizer, spec),
  ]);
  const tensors = store.list.map((parameter) => ({
    parameter,
    name: ggufName(parameter.role, parameter.layer),
  }));
  const layout = createGgufWriter({
    metadata,
    tensors: tensors.map(({ parameter, name }) => ({ name, type: 'F32', shape: parameter.shape })),
  });
  const file = new Uint8Array(layout.byteLength);
  file.set(layout.header);
  layout.tensors.forEach(({ offset }, i) => {
    const values = transformed(store, tensors[i]!.parameter, spec);
    file.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), offset);
  });
  return file;
}

function sizes(spec: ModelSpec): Record<string, TypedMetadataValue> {
  const { layers } = spec;
  const mambas = allOfKind(layers, 'mamba');
  const [attention] = allOfKind(layers, 'attention');
  const experts = allOfKind(layers, 'experts');
  const common = {
    block_count: u32(layers.length),
    context_length: u32(spec.contextLength),
    embedding_length: u32(spec.hiddenSize),
    feed_forward_length: u32(layers[0]?.feedForward?.size ?? 0),
    'attention.layer_norm_rms_epsilon': f32(spec.normEpsilon),
  };
  if (spec.family === 'llama' && attention) {
    return {
      ...common,
      'attention.head_count': u32(attention.heads),
      'attention.head_count_kv': u32(attention.kvHeads),
      vocab_size: u32(spec.vocabularySize),
      'rope.dimension_count': u32(attention.headSize),
      'rope.freq_base': f32(attention.rope?.theta ?? 10_000),
    };
  }
  const states = mambas[0] ? stateSizes(mambas[0]) : {};
  if (spec.family === 'mamba')
    return {
      ...common,
      'attention.head_count': u32(0),
      ...states,
      'ssm.dt_b_c_rms': { type: 'bool', value: false },
    };
  return {
    ...common,
    ...states,
    'attention.head_count': u32(attention?.heads ?? 1),
    'attention.head_count_kv': {
      type: 'array',
      of: 'i32',
      value: layers.map((layer) => allOfKind([layer], 'attention')[0]?.kvHeads ?? 0),
    },
    expert_count: u32(experts[0]?.count ?? 1),
    expert_used_count: u32(experts[0]?.topK ?? 1),
  };
}

const stateSizes = (mamba: MambaSpec): Record<string, TypedMetadataValue> => ({
  'ssm.conv_kernel': u32(mamba.convWidth),
  'ssm.inner_size': u32(mamba.innerSize),
  'ssm.state_size': u32(mamba.stateSize),
  'ssm.time_step_rank': u32(mamba.dtRank),
});

function transformed(store: ParameterStore, parameter: Parameter, spec: ModelSpec): Float32Array {
  const values = store.read(parameter);
  if (parameter.logOfNegative) return values.map((v) => -Math.exp(v));
  return spec.family === 'llama' && parameter.rotaryHead && parameter.kind === 'matrix'
    ? interleaveHalves(values, parameter.shape[1]!, parameter.rotaryHead)
    : values;
}

/** Row t half + j of each head becomes row 2 j + t: rotated pairs side by side. */
function interleaveHalves(values: Float32Array, columns: number, headSize: number): Float32Array {
  const out = new Float32Array(values.length);
  const half = headSize / 2;
  for (let row = 0; row < values.length / columns; row++) {
    const within = row % headSize;
    const to = row - within + (within % half) * 2 + Math.floor(within / half);
    out.set(values.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return out;
}
