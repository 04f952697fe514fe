// Files as people have them, by reports of users of other engines: each loads with the numbers of the file that
// it differs from, or is refused in words that help.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { allOfKind } from '../src/architecture/spec.ts';
import { ModelError, UsageError } from '../src/errors.ts';
import { f32, i32List, text, u32 } from '../src/formats/gguf-values.ts';
import { loadModel } from '../src/index.ts';
import {
  changedFolder,
  changedGguf,
  type FileTensor,
  fixturePath,
  floats,
  logitsOf,
  smallTokenizer,
  TOKENS,
  withRows,
} from './changed-files.ts';
import { largestDifference } from './golden.ts';

const LLAMA = 'golden/gguf/llama-tiny.f32.gguf';
const FOLDER = 'golden/llama-tiny';

async function same(path: string | Promise<string>, as: string | Promise<string>): Promise<void> {
  assert.ok(largestDifference(await logitsOf(await path), await logitsOf(await as)) < 1e-5);
}
const refused = async (path: string | Promise<string>, words: RegExp) => {
  const source = await path;
  return assert.rejects(loadModel(source, { backend: 'reference' }), (error: unknown) => {
    assert.ok(error instanceof ModelError, `${error}`);
    assert.match(error.message, words);
    assert.doesNotMatch(error.message, /damaged/);
    return true;
  });
};

const integer = (value: number | bigint) =>
  typeof value === 'bigint' ? ({ type: 'u64', value } as const) : u32(value);

/** GGUF metadata of the small vocabulary. */
function vocabulary() {
  const { model, added_tokens: added } = smallTokenizer();
  const texts: string[] = [];
  for (const [token, id] of Object.entries(model.vocab)) texts[id] = token;
  for (const { id, content } of added) texts[id] = content;
  const merges = model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')));
  return {
    'tokenizer.ggml.model': text('gpt2'),
    'tokenizer.ggml.pre': text('gpt-2'),
    'tokenizer.ggml.tokens': { type: 'array', of: 'string', value: texts } as const,
    'tokenizer.ggml.merges': { type: 'array', of: 'string', value: merges } as const,
  };
}

describe('GGUF files of the field', () => {
  it('lists with one size per layer run where all are the same', async () => {
    for (const [key, size] of [
      ['attention.head_count', 4],
      ['attention.head_count_kv', 2],
      ['feed_forward_length', 128],
    ] as const)
      await same(
        changedGguf(LLAMA, { [`llama.${key}`]: i32List([size, size, size, size]) }),
        fixturePath(LLAMA),
      );
  });

  it('lists with different sizes run as their tensors are', async () => {
    // Half of the channels of layer 2's feed-forward are zeros: without them the numbers are the same.
    const cut = (rows: boolean) => (tensors: FileTensor[]) =>
      tensors.map((t) => {
        const match = /^blk\.2\.ffn_(gate|up|down)\.weight$/.exec(t.name);
        if (!match) return t;
        const values = new Float32Array(t.data.slice().buffer);
        const [outputs = 0, inputs = 0] = t.shape;
        const kept = match[1] === 'down' ? inputs / 2 : outputs / 2;
        if (match[1] !== 'down')
          return rows
            ? { ...t, shape: [kept, inputs], data: t.data.slice(0, kept * inputs * 4) }
            : { ...t, data: new Uint8Array(values.fill(0, kept * inputs).buffer) };
        const columns = Float32Array.from(
          { length: outputs * kept },
          (_, i) => values[Math.floor(i / kept) * inputs + (i % kept)]!,
        );
        return rows ? { ...t, shape: [outputs, kept], data: new Uint8Array(columns.buffer) } : t;
      });
    const keys = { 'llama.feed_forward_length': i32List([128, 128, 64, 128]) };
    await same(changedGguf(LLAMA, keys, cut(true)), changedGguf(LLAMA, {}, cut(false)));
    await refused(
      changedGguf(LLAMA, { 'llama.attention.head_count': i32List([4, 4, 4]) }),
      /head_count: expected 4 values, one per layer/,
    );
  });

  it('hybrids read lists of heads too, and refuse different ones in those words', async () => {
    const jamba = 'golden/gguf/jamba-moe.f32.gguf';
    await using model = await loadModel(fixturePath(jamba), { backend: 'reference' });
    const { layers } = model.spec;
    const [attention] = allOfKind(layers, 'attention');
    const list = (first: number) => i32List(layers.map((_, i) => (i === 0 ? first : attention!.heads)));
    await same(changedGguf(jamba, { 'jamba.attention.head_count': list(0) }), fixturePath(jamba));
    await refused(
      changedGguf(jamba, { 'jamba.attention.head_count': list(2) }),
      /head_count: expected one size in all layers/,
    );
  });

  it('begin and end tokens outside the vocabulary mean none', async () => {
    const keys = vocabulary();
    const rows = keys['tokenizer.ggml.tokens'].value.length;
    for (const [key, id, noted] of [
      ['eos', 32_000, true],
      ['eos', 0xffffffff, false],
      ['eos', 2n ** 64n - 1n, false],
      ['bos', 99_999, true],
    ] as const) {
      const path = await changedGguf(
        LLAMA,
        { ...keys, [`tokenizer.ggml.${key}_token_id`]: integer(id), 'llama.vocab_size': u32(rows) },
        withRows(rows),
      );
      await using model = await loadModel(path, { backend: 'reference' });
      assert.deepEqual(
        model.notes,
        noted ? [`tokenizer.ggml.${key}_token_id is ${id}, of a vocabulary of ${rows}: taken as none`] : [],
      );
    }
  });

  it('a factor without a type stretches positions, under its older name too', async () => {
    const linear = await changedGguf(LLAMA, {
      'llama.rope.scaling.type': text('linear'),
      'llama.rope.scaling.factor': f32(4),
    });
    assert.ok(largestDifference(await logitsOf(linear), await logitsOf(fixturePath(LLAMA))) > 1e-3);
    await same(changedGguf(LLAMA, { 'llama.rope.scaling.factor': f32(4) }), linear);
    await same(changedGguf(LLAMA, { 'llama.rope.scale_linear': f32(4) }), linear);
    const factors = [{ 'llama.rope.scaling.factor': f32(0) }, {}];
    for (const factor of factors)
      await same(
        changedGguf(LLAMA, { 'llama.rope.scaling.type': text('linear'), ...factor }),
        fixturePath(LLAMA),
      );
    await same(
      changedGguf(LLAMA, { 'llama.rope.scaling.type': text('none'), 'llama.rope.scaling.factor': f32(4) }),
      fixturePath(LLAMA),
    );
    await refused(
      changedGguf(LLAMA, { 'llama.rope.scaling.type': text('yarn') }),
      /rope\.scaling\.factor.*rope\.scaling\.type yarn/,
    );
    await refused(
      changedGguf(LLAMA, { 'llama.rope.scaling.factor': f32(4) }, (t) => [
        ...t,
        floats('rope_freqs.weight', [8], 1),
      ]),
      /rope\.scaling\.type: expected none beside a tensor rope_freqs/,
    );
  });

  it('Mixtral with one tensor per expert, as in its first files', async () => {
    const mixtral = 'golden-families/gguf/mixtral.f32.gguf';
    const apart = (tensors: FileTensor[]) =>
      tensors.flatMap((t) => {
        const match = /^(blk\.\d+\.ffn_(?:gate|up|down))_exps\.weight$/.exec(t.name);
        if (!match) return [t];
        const [count = 1, ...shape] = t.shape;
        const size = t.data.length / count;
        return Array.from({ length: count }, (_, e) => ({
          ...t,
          name: `${match[1]}.${e}.weight`,
          shape,
          data: t.data.slice(e * size, (e + 1) * size),
        }));
      });
    await same(changedGguf(mixtral, {}, apart), fixturePath(mixtral));
  });

  it('files that go with a model and are none are called what they are', async () => {
    for (const [keys, words] of [
      [{ 'general.type': text('adapter') }, /a LoRA adapter/],
      [{ 'general.type': text('mmproj') }, /a vision projector/],
      [{ 'general.type': text('imatrix') }, /calibration data/],
    ] as const)
      await refused(changedGguf(LLAMA, keys), words);
    await refused(
      changedGguf(LLAMA, {}, () => []),
      /a vocabulary without weights/,
    );
    await refused(
      changedGguf(LLAMA, { 'llama.attention.layer_norm_rms_epsilon': null }),
      /layer_norm_rms_epsilon: .*found nothing/,
    );
  });

  it('end tokens may be a list', async () => {
    const ids = { type: 'array', of: 'i32', value: [7, 9, 99_999] } as const;
    await using model = await loadModel(await changedGguf(LLAMA, { 'tokenizer.ggml.eos_token_ids': ids }), {
      backend: 'reference',
    });
    assert.ok(
      model.endTokens.includes(7) && model.endTokens.includes(9) && !model.endTokens.includes(99_999),
    );
  });

  it("ollama's caps on Gemma 3, which none of the models has, are passed over; others are refused", async () => {
    const gemma = 'golden-families/gguf/gemma3-p6.f32.gguf';
    const ollamas = {
      'gemma3.rope.global.freq_base': f32(1_000_000),
      'gemma3.final_logit_softcapping': f32(30),
    };
    await same(changedGguf(gemma, ollamas), fixturePath(gemma));
    await refused(
      changedGguf(gemma, { 'gemma3.final_logit_softcapping': f32(30) }),
      /final_logit_softcapping/,
    );
    await refused(
      changedGguf(gemma, { ...ollamas, 'gemma3.final_logit_softcapping': f32(20) }),
      /final_logit_softcapping/,
    );
  });
});

describe('folders of the field', () => {
  const buffer = (name: string, type: string, bytes: number): FileTensor => ({
    name,
    type,
    shape: [8],
    data: new Uint8Array(8 * bytes),
  });

  it('tensors of other types that nobody needs are passed over, whatever they are', async () => {
    const extra = [
      buffer('index', 'I32', 4),
      buffer('mask', 'U8', 1),
      buffer('inv_freq', 'F64', 8),
      buffer('new', 'X3', 3),
    ];
    await same(changedFolder(FOLDER, { tensors: (all) => [...all, ...extra] }), fixturePath(FOLDER));
  });

  it('one that is needed is refused by its type, quantised weights by their method', async () => {
    const asType = (type: string) => (all: FileTensor[]) =>
      all.map((t) =>
        t.name === 'model.norm.weight' ? { ...t, type, data: new Uint8Array(t.shape[0]! * 8) } : t,
      );
    await refused(
      changedFolder(FOLDER, { tensors: asType('F64') }),
      /model\.norm\.weight: expected a dtype of F32, F16 or BF16, found F64\. /,
    );
    const config = { quantization_config: { quant_method: 'bitsandbytes' } };
    await refused(
      changedFolder(FOLDER, { config, tensors: asType('F64') }),
      /F64 \(quantisation "bitsandbytes"\)/,
    );
    for (const [config, words] of [
      [
        { quantization_config: { quant_method: 'gptq', bits: 4 } },
        /quantisation that is not read \(gptq, 4 bits\)/,
      ],
      [{ quantization_config: { quant_method: 'bitsandbytes', load_in_4bit: true } }, /bitsandbytes, 4 bits/],
      [{ quantization_config: { load_in_8bit: true } }, /bitsandbytes, 8 bits/],
      [{ quantization: { group_size: 64, bits: 4 } }, /mlx, 4 bits/],
      [{ quantization_config: { quant_method: 'fp8' } }, /fp8/],
    ] as const)
      await refused(changedFolder(FOLDER, { config }), words);
    const loaded = { quant_method: 'bitsandbytes', load_in_4bit: false, load_in_8bit: false };
    await same(changedFolder(FOLDER, { config: { quantization_config: loaded } }), fixturePath(FOLDER));
  });

  it('a head that is not the embedding counts where the configuration ties both, as in transformers 5', async () => {
    const config = { tie_word_embeddings: true };
    await same(changedFolder(FOLDER, { config }), fixturePath(FOLDER));
    await using model = await loadModel(await changedFolder(FOLDER, { config }), { backend: 'reference' });
    assert.match(model.notes.join(), /ties the head to the embedding, but the file has another one/);
    const copied = (all: FileTensor[]) => {
      const embedding = all.find(({ name }) => name === 'model.embed_tokens.weight')!;
      return all.map((t) => (t.name === 'lm_head.weight' ? { ...embedding, name: t.name } : t));
    };
    await using tied = await loadModel(await changedFolder(FOLDER, { config, tensors: copied }), {
      backend: 'reference',
    });
    assert.equal(tied.spec.tiedHead, true);
    assert.deepEqual(tied.notes, []);
  });

  it('swish is SiLU; a path of config.json or of an index is its folder', async () => {
    const folder = await changedFolder(FOLDER, { config: { hidden_act: 'swish' } });
    await same(join(folder, 'config.json'), fixturePath(FOLDER));
  });

  it('tokens outside the vocabulary mean none, with a note', async () => {
    const config = { bos_token_id: -1, eos_token_id: [2, 32_000], pad_token_id: -1 };
    const files = { 'generation_config.json': '{"eos_token_id": [2, 40000]}' };
    await using model = await loadModel(await changedFolder(FOLDER, { config, files }), {
      backend: 'reference',
    });
    assert.deepEqual(model.endTokens, [2]);
    assert.deepEqual(
      model.notes.map((note) => note.split(',')[0]),
      ['eos_token_id is 32000', 'eos_token_id is 40000'],
    );
  });

  it('an added token without a row loads, and is refused where it is used', async () => {
    const tokenizer = smallTokenizer();
    tokenizer.added_tokens.push({ id: 408, content: '[PAD]', special: true });
    const path = await changedFolder(FOLDER, {
      config: { vocab_size: 408 },
      tensors: withRows(408),
      files: {
        'tokenizer.json': JSON.stringify(tokenizer),
        'tokenizer_config.json': '{"pad_token": "[PAD]"}',
      },
    });
    await using model = await loadModel(path, { backend: 'reference' });
    assert.match(model.notes.join(), /no row for 1 of .* \[PAD\] \(408\)/);
    assert.ok(model.encode('the').length > 0);
    await assert.rejects(model.createSession().prefill([408]), /token 408: expected a whole number below/);
  });

  it('a tokenizer of another form is named, with what helps', async () => {
    for (const [name, files] of [
      ['tokenizer.model', { 'tokenizer.model': '\n\x0e\n\x05<unk>' }],
      ['tekken.json', { 'tekken.json': '{}' }],
      ['merges.txt and vocab.json', { 'vocab.json': '{"a": 0}', 'merges.txt': '#version: 0.2\n' }],
    ] as const) {
      await using model = await loadModel(await changedFolder(FOLDER, { files }), { backend: 'reference' });
      assert.equal(model.tokenizer, null);
      assert.throws(
        () => model.encode('Hi'),
        (error: unknown) =>
          error instanceof UsageError &&
          error.message.includes(`tokenizer.json, found ${name}. Convert it once`),
      );
    }
  });

  it("MLX's Falcon-H1, whose multipliers are in the weights", async () => {
    const falcon = 'golden-families/falcon-h1';
    const plain = {
      embedding_multiplier: 1,
      lm_head_multiplier: 1,
      attention_in_multiplier: 1,
      attention_out_multiplier: 1,
      key_multiplier: 1,
      ssm_in_multiplier: 1,
      ssm_out_multiplier: 1,
      mlp_multipliers: [1, 1],
      ssm_multipliers: [1, 1, 1, 1, 1],
    };
    const mlx = (all: FileTensor[]) =>
      all.map((t) => (t.name.endsWith('conv1d.weight') ? { ...t, shape: [t.shape[0]!, t.shape[2]!, 1] } : t));
    const path = await changedFolder(falcon, { tensors: mlx });
    await same(path, changedFolder(falcon, { config: plain }));
    await using model = await loadModel(path, { backend: 'reference' });
    assert.match(model.notes.join(), /saved by MLX/);
  });
});

describe('saved sessions', () => {
  it('are of the same model when begin and end tokens or the context length change, and of another when numbers do', async () => {
    const folder = await changedFolder('golden/jamba-moe');
    const saved = await (async () => {
      await using model = await loadModel(folder, { backend: 'reference' });
      const session = model.createSession();
      await session.prefill(TOKENS);
      return session.save();
    })();
    const config = (changes: object) =>
      changedFolder('golden/jamba-moe', { config: changes as Record<string, unknown> });
    const ended = await changedFolder('golden/jamba-moe');
    writeFileSync(join(ended, 'generation_config.json'), '{"eos_token_id": [2, 7]}');
    for (const path of [
      ended,
      await config({ bos_token_id: 3 }),
      await config({ max_position_embeddings: 9999 }),
    ]) {
      await using model = await loadModel(path, { backend: 'reference' });
      assert.equal(model.restoreSession(saved).position, TOKENS.length);
    }
    await using other = await loadModel(await config({ rms_norm_eps: 1e-5 }), { backend: 'reference' });
    assert.throws(() => other.restoreSession(saved), /another model's session/);
  });
});
