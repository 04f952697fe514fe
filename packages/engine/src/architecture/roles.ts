// The weights that a model has, by role. A role is the engine's own name for a weight; families and file formats say what
// they call it. `layers.3.inProj` is layer 3's inProj.

export type LayerRole =
  | 'inputNorm'
  | 'feedForwardNorm'
  | 'q'
  | 'k'
  | 'v'
  | 'o'
  | 'qBias'
  | 'kBias'
  | 'vBias'
  | 'oBias'
  | 'qNorm'
  | 'kNorm'
  | 'inProj'
  | 'inProjBias'
  | 'convWeight'
  | 'convBias'
  | 'xProj'
  | 'dtProj'
  | 'dtProjBias'
  | 'dtNorm'
  | 'bNorm'
  | 'cNorm'
  | 'a'
  | 'd'
  | 'outProj'
  | 'outProjBias'
  | 'gate'
  | 'up'
  | 'down'
  | 'gateBias'
  | 'upBias'
  | 'downBias'
  | 'router'
  | 'expertGate'
  | 'expertUp'
  | 'expertDown';

export type ModelRole = 'embedding' | 'finalNorm' | 'head' | 'ropeFactors';
export type Role = LayerRole | ModelRole;

/**
 * GGUF uses one set of names for all families (llama.cpp's gguf-py constants). Alternatives are tried in order.
 * N stands for the layer number.
 */
export const GGUF_NAMES: Readonly<Record<Role, readonly string[]>> = {
  embedding: ['token_embd.weight'],
  finalNorm: ['output_norm.weight'],
  head: ['output.weight'],
  ropeFactors: ['rope_freqs.weight'],
  inputNorm: ['blk.N.attn_norm.weight'],
  feedForwardNorm: ['blk.N.ffn_norm.weight'],
  q: ['blk.N.attn_q.weight'],
  k: ['blk.N.attn_k.weight'],
  v: ['blk.N.attn_v.weight'],
  o: ['blk.N.attn_output.weight'],
  qBias: ['blk.N.attn_q.bias'],
  kBias: ['blk.N.attn_k.bias'],
  vBias: ['blk.N.attn_v.bias'],
  oBias: ['blk.N.attn_output.bias'],
  qNorm: ['blk.N.attn_q_norm.weight'],
  kNorm: ['blk.N.attn_k_norm.weight'],
  inProj: ['blk.N.ssm_in.weight'],
  inProjBias: ['blk.N.ssm_in.bias'],
  convWeight: ['blk.N.ssm_conv1d.weight'],
  convBias: ['blk.N.ssm_conv1d.bias'],
  xProj: ['blk.N.ssm_x.weight'],
  dtProj: ['blk.N.ssm_dt.weight'],
  dtProjBias: ['blk.N.ssm_dt.bias'],
  dtNorm: ['blk.N.ssm_dt_norm.weight', 'blk.N.ssm_dt_norm'],
  bNorm: ['blk.N.ssm_b_norm.weight', 'blk.N.ssm_b_norm'],
  cNorm: ['blk.N.ssm_c_norm.weight', 'blk.N.ssm_c_norm'],
  a: ['blk.N.ssm_a'],
  d: ['blk.N.ssm_d'],
  outProj: ['blk.N.ssm_out.weight'],
  outProjBias: ['blk.N.ssm_out.bias'],
  gate: ['blk.N.ffn_gate.weight'],
  up: ['blk.N.ffn_up.weight'],
  down: ['blk.N.ffn_down.weight'],
  gateBias: ['blk.N.ffn_gate.bias'],
  upBias: ['blk.N.ffn_up.bias'],
  downBias: ['blk.N.ffn_down.bias'],
  router: ['blk.N.ffn_gate_inp.weight'],
  expertGate: ['blk.N.ffn_gate_exps.weight'],
  expertUp: ['blk.N.ffn_up_exps.weight'],
  expertDown: ['blk.N.ffn_down_exps.weight'],
};
