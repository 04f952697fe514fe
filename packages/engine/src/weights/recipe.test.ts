import assert from 'node:assert/strict';
import { test } from 'node:test';
import { marimba } from '../architecture/families/marimba.ts';
import type { Role } from '../architecture/roles.ts';
import type { ModelSpec } from '../architecture/spec.ts';
import { UsageError } from '../errors.ts';
import { ConfigReader } from '../formats/config-reader.ts';
import { applyKeepRules, parseFileType, parseKeepRule } from '../quantize/keep-rules.ts';
import { storedType, wantsMoreBits } from './recipe.ts';
import { neededWeights } from './weights.ts';

const needed = neededWeights(smallModel());
const tensor = (role: Role) => needed.find((weight) => weight.role === role) ?? assert.fail(role);

const weight = (role: Role, columns: number, moreBits = false) => ({
  ...tensor(role),
  shape: [64, columns],
  moreBits,
  early: false,
});

/** Every role that has a rule. */
function smallModel(): ModelSpec {
  return marimba.fromHuggingFace(
    ConfigReader.ofJson('config.json', {
      hidden_size: 64,
      intermediate_size: 64,
      layer_types: ['mamba', 'full_attention'],
      feed_forward_types: ['dense', 'experts'],
      num_experts: 2,
      vocab_size: 100,
    }),
  );
}

test('a K type is a mix: more bits for the embedding and sensitive weights, 8 for narrow state-space ones', () => {
  assert.equal(storedType(weight('gate', 2560), 'q4_K'), 'Q4_K');
  assert.equal(storedType(weight('embedding', 2560), 'q4_K'), 'Q6_K');
  assert.equal(storedType(weight('down', 2560, true), 'q4_K'), 'Q6_K');
  assert.equal(storedType(weight('down', 2560, true), 'q3_K'), 'Q4_K');
  assert.equal(storedType(weight('down', 2560, false), 'q3_K_L'), 'Q5_K');
  assert.equal(storedType(weight('down', 2560, true), 'q3_K_S'), 'Q3_K');
  assert.equal(storedType(weight('o', 2560), 'q2_K'), 'Q3_K');
  assert.equal(storedType(weight('o', 2560), 'q4_K'), 'Q4_K');
  assert.equal(storedType(weight('v', 2560), 'q4_K_S'), 'Q5_K');
  assert.equal(storedType({ ...weight('down', 2560, true), early: true }, 'q4_K_S'), 'Q5_K');
  assert.equal(storedType(weight('down', 2560, true), 'q4_K_S'), 'Q4_K');
  assert.equal(storedType(weight('v', 2560), 'iq4_xs'), 'Q5_K');
  assert.equal(storedType(weight('gate', 2560), 'mxfp4'), 'Q8_0');
  assert.equal(storedType(weight('expertGate', 2560), 'mxfp4'), 'MXFP4');
  assert.equal(storedType(weight('xProj', 5120), 'q4_K'), 'Q8_0');
  assert.equal(storedType(weight('dtProj', 160), 'q2_K'), 'Q8_0');
  assert.equal(storedType(weight('router', 2560), 'q4_K'), 'F32');
  assert.equal(storedType(weight('embedding', 2560), 'q8_0'), 'Q8_0');
  assert.equal(storedType(weight('embedding', 2560), 'bf16'), 'BF16');
});

test('rows that are not whole blocks get the nearest smaller block, then 16 bits', () => {
  assert.equal(storedType(weight('gate', 160), 'q4_K'), 'Q5_0');
  assert.equal(storedType(weight('gate', 160), 'q2_K'), 'Q4_0');
  assert.equal(storedType(weight('gate', 160), 'q6_K'), 'Q8_0');
  assert.equal(storedType(weight('gate', 160), 'iq4_xs'), 'IQ4_NL');
  assert.equal(storedType(weight('v', 160), 'q4_K'), 'Q8_0');
  assert.equal(storedType(weight('gate', 48), 'q4_K'), 'F16');
  assert.equal(storedType(weight('dtProj', 3), 'q8_0'), 'F16');
});

test('which layers get more bits: all attn_v, and ffn_down as in llama.cpp', () => {
  const layers = Array.from({ length: 28 }, (_, i) => i).filter((i) => wantsMoreBits(tensor('down'), i, 28));
  // src/llama-quant.cpp, use_more_bits(i, 28)
  assert.deepEqual(layers, [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 24, 25, 26, 27]);
  assert.ok(wantsMoreBits(tensor('v'), 3, 28));
  assert.ok(!wantsMoreBits(tensor('gate'), 0, 28));
});

const tensors = [
  { name: 'token_embd.weight', shape: [512, 256], quantizable: true },
  { name: 'blk.1.ssm_out.weight', shape: [256, 512], quantizable: true },
  { name: 'blk.11.ssm_out.weight', shape: [256, 512], quantizable: true },
  { name: 'blk.1.ssm_dt.weight', shape: [512, 32], quantizable: true },
  { name: 'blk.1.ssm_dt.bias', shape: [512], quantizable: false },
  { name: 'blk.1.ssm_a', shape: [512, 16], quantizable: false },
];
const keep = (...rules: string[]) => Object.fromEntries(applyKeepRules(tensors, rules.map(parseKeepRule)));

test('keep rules: parts of names, the last one counts, vectors are left alone', () => {
  assert.deepEqual(keep('ssm_out=q8_0', 'blk.1.ssm_out=f16'), {
    'blk.1.ssm_out.weight': 'F16',
    'blk.11.ssm_out.weight': 'Q8_0',
  });
  assert.deepEqual(keep('ssm_dt=q5_0'), { 'blk.1.ssm_dt.weight': 'Q5_0' });
  assert.deepEqual(keep('blk.1*.ssm_out=q6_k'), {
    'blk.1.ssm_out.weight': 'Q6_K',
    'blk.11.ssm_out.weight': 'Q6_K',
  });
});

test('keep rules that do nothing or do not fit are refused with the names that exist', () => {
  const refused = (rule: string, message: RegExp) =>
    assert.throws(
      () => keep(rule),
      (error) => error instanceof UsageError && message.test(error.message),
      rule,
    );
  refused('ffn_up=q8_0', /found none of that name\. Matrices: token_embd, ssm_out, ssm_dt$/);
  refused('ssm_a=q8_0', /always F32/);
  refused('ssm_dt=q4_K', /multiple of 256, found 32/);
  refused('ssm_out', /expected PATTERN=TYPE/);
  refused('ssm_out=q9', /expected one of q8_0/);
  refused('ssm(out=q8_0', /expected PATTERN=TYPE/);
});

test('type names in any case, and llama.cpp’s name for the mix', () => {
  assert.equal(parseFileType('Q4_K_M', '--type'), 'q4_K');
  assert.equal(parseFileType('q4_k', '--type'), 'q4_K');
  assert.equal(parseFileType('BF16', '--type'), 'bf16');
  assert.equal(parseFileType('MXFP4_MOE', '--type'), 'mxfp4');
  assert.throws(() => parseFileType('q6_K_S', '--type'), UsageError);
});
