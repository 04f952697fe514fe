// Hostile configurations: seeded mutations of the config.json and GGUF metadata of every golden model, and of what
// files say about a vocabulary. Each is read as a model or a tokenizer, or refused by an error of this package that
// names the file; nothing is loaded, so thousands take seconds. Together with the mutations of files, vocabularies,
// templates and weights that the other tests make, more than 10,000 run in CI. A longer run:
//
//   FUZZ_COUNT=100000 node --test packages/engine/test/fuzz-configs.test.ts
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readSpec } from '../src/architecture/families/index.ts';
import { openCheckpointPath } from '../src/formats/checkpoint.node.ts';
import type { MetadataValue } from '../src/formats/gguf-values.ts';
import type { Checkpoint, JsonObject } from '../src/formats/types.ts';
import { MarimbaError } from '../src/index.ts';
import { tokenizerFromGguf } from '../src/tokenizer/from-gguf.ts';
import { tokenizerFromJson } from '../src/tokenizer/from-json.ts';
import type { Tokenizer } from '../src/tokenizer/types.ts';
import { smallTokenizer } from './changed-files.ts';
import { below, mutateTree, mutateValue, type Random, seededRandom } from './fuzz-mutations.ts';

const COUNT = Number(process.env.FUZZ_COUNT ?? 1500);
const LIMITS = { timeout: 3_600_000 };
const fixtures = fileURLToPath(new URL('../../../fixtures/', import.meta.url));

/** Reads and checks once; whether it was refused. */
function isRefused(what: string, read: () => void): boolean {
  try {
    read();
    return false;
  } catch (error) {
    if (!(error instanceof MarimbaError))
      throw new Error(`${what}: not refused but failed`, { cause: error });
    assert.ok(error.message.length < 2000, `${what}: a message of ${error.message.length} characters`);
    assert.doesNotMatch(error.message, /fetch it again/, what);
    return true;
  }
}

function checkSpec(checkpoint: Checkpoint): void {
  const { spec, notes } = readSpec(checkpoint);
  assert.ok(spec.layers.length <= 4096);
  for (const token of [...spec.endTokens, spec.beginToken ?? 0])
    assert.ok(Number.isInteger(token) && token >= 0 && token < spec.vocabularySize);
  for (const number of [spec.embeddingScale, spec.residualScale, spec.logitScale, spec.normEpsilon])
    assert.ok(Number.isFinite(number));
  assert.ok(notes.every((note) => note.length < 500));
}

function checkTokenizer(tokenizer: Tokenizer | null): void {
  if (!tokenizer) return;
  const tokens = tokenizer.encode('the <|im_end|> Größe 12', { specialTokens: 'parse' });
  assert.ok(tokens.every((token) => token >= 0 && token < tokenizer.vocabularySize));
  tokenizer.decode(tokens);
}

/** Some of each: were all refused, or none, the mutations would miss their aim. */
function fuzz(what: string, run: (random: Random) => void): void {
  let refused = 0;
  for (let seed = 1; seed <= COUNT; seed++)
    if (isRefused(`${what}, seed ${seed}`, () => run(seededRandom(seed)))) refused++;
  assert.ok(refused > COUNT / 20 && refused < COUNT * 0.95, `${refused} of ${COUNT} refused`);
}

async function opened(pattern: string): Promise<Checkpoint[]> {
  const paths = globSync(pattern, { cwd: fixtures }).sort();
  const all = await Promise.all(
    paths.map((path) => openCheckpointPath(`${fixtures}${path.replace(/\/config\.json$/, '')}`)),
  );
  await Promise.all(all.map((one) => one.close()));
  return all;
}

const mutated = (random: Random, tree: JsonObject): JsonObject => {
  let result: Record<string, unknown> = tree;
  for (let n = 1 + below(random, 2); n > 0; n--) result = mutateTree(random, result);
  return result as JsonObject;
};

test('config.json of every family', LIMITS, async () => {
  const checkpoints = await opened('{golden,golden-extra,golden-families}/*/config.json');
  assert.ok(checkpoints.length > 30);
  fuzz('config.json', (random) => {
    const checkpoint = checkpoints[below(random, checkpoints.length)]!;
    assert.ok(checkpoint.kind === 'huggingface');
    const generationConfig = mutated(random, { eos_token_id: [1, 2], bos_token_id: 0 });
    checkSpec({ ...checkpoint, config: mutated(random, checkpoint.config), generationConfig });
  });
});

test('GGUF metadata of every architecture', LIMITS, async () => {
  const checkpoints = await opened('{golden,golden-families}/gguf/*.f32.gguf');
  assert.ok(checkpoints.length > 15);
  fuzz('GGUF metadata', (random) => {
    const checkpoint = checkpoints[below(random, checkpoints.length)]!;
    assert.ok(checkpoint.kind === 'gguf');
    const metadata = new Map(checkpoint.metadata);
    const keys = [...metadata.keys()].filter((key) => !key.startsWith('general.'));
    const key = keys[below(random, keys.length)]!;
    const value = random() < 0.1 ? undefined : mutateValue(random, metadata.get(key));
    if (value === undefined || value === null) metadata.delete(key);
    else metadata.set(key, value as MetadataValue);
    checkSpec({ ...checkpoint, metadata });
  });
});

test('tokenizer_config.json and the vocabularies of GGUF files', LIMITS, () => {
  const json = smallTokenizer();
  const token = {
    content: '<|new|>',
    lstrip: false,
    rstrip: false,
    normalized: false,
    single_word: false,
    special: true,
  };
  const config = {
    added_tokens_decoder: {
      405: { ...token, content: '<|im_start|>' },
      408: token,
      409: { ...token, content: '[PAD]' },
    },
    additional_special_tokens: ['<|x|>', token],
    extra_special_tokens: { image: '<|img|>' },
    added_tokens_encoder: { '<|z|>': 500, '</s>': 404 },
    bos_token: '<s>',
    eos_token: token,
    pad_token: null,
    add_bos_token: true,
    tokenizer_class: 'LlamaTokenizer',
  };
  const tokens = readFileSync(`${fixtures}tokenizers/gguf-words.json`, 'utf8');
  const words = JSON.parse(tokens) as { tokens: string[]; merges: string[] };
  const gguf: JsonObject = {
    model: 'gpt2',
    pre: 'llama-bpe',
    tokens: [...words.tokens, '<|im_end|>', '</s>'],
    token_type: [...words.tokens.map(() => 1), 4, 3],
    scores: [...words.tokens.map(() => 0.5), 0, 0],
    merges: words.merges,
    bos_token_id: 3,
    eos_token_id: words.tokens.length,
    eot_token_id: 99_999,
    padding_token_id: 4_294_967_295,
    add_bos_token: true,
    add_space_prefix: false,
  };
  fuzz('vocabulary', (random) => {
    if (random() < 0.5)
      return checkTokenizer(tokenizerFromJson(json, mutated(random, config), 'tokenizer.json'));
    const changed = Object.entries(mutated(random, gguf)).filter(([, value]) => value !== null);
    const metadata = new Map(
      changed.map(([key, value]) => [`tokenizer.ggml.${key}`, value as MetadataValue]),
    );
    return checkTokenizer(tokenizerFromGguf(metadata, 'model.gguf'));
  });
});
