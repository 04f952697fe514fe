// What sessions reuse: prefixes that other sessions have read, and drafts taken from the text itself. Neither
// changes a token.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type GenerateOptions,
  type LoadModelOptions,
  loadModel,
  type Model,
  type Session,
  UsageError,
} from '../src/index.ts';
import { coreOf } from '../src/model/model.ts';
import { timelineOf } from '../src/model/session.ts';
import { GOLDEN_MODELS, largestDifference, modelFolder, readGolden, TOLERANCE } from './golden.ts';

const EXACT: LoadModelOptions = { threads: 1, cacheType: 'f32', activations: 'f32' };

async function run(model: Model, prompt: readonly number[], options: GenerateOptions) {
  const session = model.createSession();
  const { tokens } = await session.complete(prompt, { ignoreEos: true, ...options });
  return { session, tokens };
}

const alignTo = (model: Model, session: Session, tokens: readonly number[], limit: number) =>
  timelineOf(session).alignTo(tokens, limit, coreOf(model).prefixes);

const alignForAnswer = (model: Model, session: Session, tokens: readonly number[]) =>
  timelineOf(session).alignForAnswer(tokens, coreOf(model).prefixes);

const DRAWS = 1000;
const TOP = 4;

/** The most likely tokens, with the probabilities that sampling among them has. */
function topProbabilities(logits: Float32Array): [token: number, probability: number][] {
  const top = [...logits.entries()].sort((a, b) => b[1] - a[1]).slice(0, TOP);
  const total = top.reduce((sum, [, logit]) => sum + Math.exp(logit), 0);
  return top.map(([token, logit]) => [token, Math.exp(logit) / total]);
}

/** Reads `prompt`, and tells how likely each two tokens after it are. */
async function pairProbabilities(session: Session, prompt: readonly number[]): Promise<Map<string, number>> {
  const pairs = new Map<string, number>();
  await session.complete(prompt, { maxTokens: 0 });
  for (const [a, pa] of topProbabilities(session.logits!))
    for (const [b, pb] of topProbabilities(await session.fork().prefill([a])))
      pairs.set(`${a} ${b}`, pa * pb);
  return pairs;
}

describe('speculation', () => {
  for (const name of GOLDEN_MODELS) {
    it(`${name}: greedy output and the state afterwards are the same with and without`, async () => {
      const { prompts, greedy } = readGolden(name);
      await using model = await loadModel(modelFolder(name), { ...EXACT, prefixCacheBytes: 0 });
      // A prompt that repeats itself gives the draft something to find.
      const prompt = [...prompts.len33, ...greedy.len33.tokens.slice(0, 8), ...prompts.len33];
      const plain = await run(model, prompt, { temperature: 0, maxTokens: 60, speculate: false });
      const drafted = await run(model, prompt, { temperature: 0, maxTokens: 60, speculate: true });
      assert.deepEqual(drafted.tokens, plain.tokens);
      assert.deepEqual([...drafted.session.tokens], [...plain.session.tokens]);
      const next = await Promise.all([drafted, plain].map(({ session }) => session.prefill([7, 8, 9])));
      assert.ok(largestDifference(next[0]!, next[1]!) <= TOLERANCE);
    });
  }

  it('sampled with a seed, the tokens are the same with and without', async () => {
    await using model = await loadModel(modelFolder('jamba-moe'), { ...EXACT, prefixCacheBytes: 0 });
    const prompt = [...readGolden('jamba-moe').prompts.len33, ...readGolden('jamba-moe').prompts.len33];
    for (const seed of [1, 2, 3, 4, 5]) {
      const options = { temperature: 0.4, topK: 3, seed, maxTokens: 50 };
      const plain = await run(model, prompt, { ...options, speculate: false });
      const drafted = await run(model, prompt, { ...options, speculate: true });
      assert.deepEqual(drafted.tokens, plain.tokens, `seed ${seed}`);
    }
  });

  it('drafts leave the distribution of samples as it is (chi-square, two tokens after a text that repeats)', async () => {
    await using model = await loadModel(modelFolder('jamba-moe'), { ...EXACT, prefixCacheBytes: 0 });
    const { prompts } = readGolden('jamba-moe');
    // The text's first half continues with two tokens that the model finds likely after its second: a draft
    // often right.
    let drafted = [1, 2].join(' ');
    let start = model.createSession();
    let expected = new Map<string, number>();
    for (let i = 0; i < 20 && !((expected.get(drafted) ?? 0) > 0.1); i++) {
      if (i > 0) drafted = [...expected.keys()][(i * 5) % expected.size]!;
      start = model.createSession();
      const text = [...prompts.len33, ...drafted.split(' ').map(Number), ...prompts.len33];
      expected = await pairProbabilities(start, text);
    }
    const observed = new Map<string, number>();
    for (let seed = 0; seed < DRAWS; seed++) {
      const session = start.fork();
      const options = { temperature: 1, topK: TOP, topP: 1, minP: 0, seed, maxTokens: 3, ignoreEos: true };
      const tokens: number[] = [];
      for await (const { token } of session.generate([], { ...options, speculate: true })) tokens.push(token);
      const pair = `${tokens[0]} ${tokens[1]}`;
      observed.set(pair, (observed.get(pair) ?? 0) + 1);
      session.close();
    }
    assert.ok((observed.get(drafted) ?? 0) > 0.08 * DRAWS, 'what was drafted is often sampled');
    assert.deepEqual(
      [...observed.keys()].filter((pair) => !expected.has(pair)),
      [],
    );
    let chiSquare = 0;
    for (const [pair, p] of expected) chiSquare += ((observed.get(pair) ?? 0) - DRAWS * p) ** 2 / (DRAWS * p);
    // 15 degrees of freedom: exceeded once in a thousand sets of seeds.
    assert.ok(chiSquare < 37.7, `chi-square ${chiSquare}`);
  });

  it('an early end leaves the session at exactly the tokens it says', async () => {
    await using model = await loadModel(modelFolder('jamba-corners'), { ...EXACT, prefixCacheBytes: 0 });
    const { prompts } = readGolden('jamba-corners');
    const prompt = [...prompts.len7, ...prompts.len7, ...prompts.len7];
    const session = model.createSession();
    let count = 0;
    for await (const _ of session.generate(prompt, { temperature: 0, ignoreEos: true, speculate: true }))
      if (++count === 9) break;
    const fresh = model.createSession();
    await fresh.prefill(session.tokens);
    assert.equal(session.position, prompt.length + 9);
    assert.ok(largestDifference(await session.prefill([5]), await fresh.prefill([5])) <= TOLERANCE);
  });
});

describe('another answer', () => {
  it('starts from the end of the prompt without reading anything', async () => {
    await using model = await loadModel(modelFolder('jamba-moe'), { ...EXACT, prefixCacheBytes: 0 });
    const { prompts, greedy } = readGolden('jamba-moe');
    const session = model.createSession();
    const answer = async () => {
      const tokens: number[] = [];
      const first = session.position === 0 ? prompts.len33 : [];
      const options = { temperature: 0, maxTokens: 32, ignoreEos: true, speculate: false };
      for await (const event of session.generate(first, options)) tokens.push(event.token);
      return tokens;
    };
    assert.deepEqual(await answer(), greedy.len33.tokens);
    const report = await session.rewind(33);
    assert.deepEqual([report.reusedTokens, report.computedTokens], [33, 0]);
    const { replays } = coreOf(model).runtime;
    assert.deepEqual(await answer(), greedy.len33.tokens);
    assert.equal(coreOf(model).runtime.replays - replays, 31, 'one pass per token, none for the first');
    await session.prefill([1, 2]);
    const again = alignForAnswer(model, session, prompts.len33);
    assert.deepEqual([again.computedTokens, session.position], [0, 33]);
    assert.deepEqual(await answer(), greedy.len33.tokens);
  });

  it('in a new session too, where prefixes are shared', async () => {
    await using model = await loadModel(modelFolder('jamba-moe'), EXACT);
    const { prompts, logits_last } = readGolden('jamba-moe');
    (await run(model, prompts.len33, { temperature: 0, maxTokens: 5 })).session.close();
    const session = model.createSession();
    assert.equal(alignForAnswer(model, session, prompts.len33).computedTokens, 0);
    assert.ok(largestDifference(session.logits!, logits_last.len33) <= TOLERANCE);
  });

  it('is refused where nothing is known to answer', async () => {
    await using model = await loadModel(modelFolder('jamba-moe'), EXACT);
    assert.throws(() => model.createSession().generate([]), UsageError);
  });
});

describe('prefixes that sessions share', () => {
  it('a new session starts from the longest prefix that was read, exactly', async () => {
    await using model = await loadModel(modelFolder('jamba-dense-mqa'), EXACT);
    const { prompts } = readGolden('jamba-dense-mqa');
    const first = await run(model, prompts.len33, { temperature: 0, maxTokens: 10 });
    first.session.close();
    const session = model.createSession();
    const conversation = [...prompts.len33, ...first.tokens.slice(0, 9), 1, 2, 3];
    const report = alignTo(model, session, conversation, conversation.length - 1);
    assert.deepEqual([report.reusedTokens, report.computedTokens, report.reason], [42, 3, null]);
    const logits = await session.prefill(conversation.slice(42));
    await using plain = await loadModel(modelFolder('jamba-dense-mqa'), { ...EXACT, prefixCacheBytes: 0 });
    assert.ok(largestDifference(logits, await plain.createSession().prefill(conversation)) <= TOLERANCE);
    const other = alignTo(model, model.createSession(), [...prompts.len33.slice(0, 20), 9, 9], 21);
    assert.equal(other.reusedTokens, 0);
  });

  it('stays within its memory budget, dropping what was not used for longest', async () => {
    await using model = await loadModel(modelFolder('jamba-dense-mqa'), {
      ...EXACT,
      prefixCacheBytes: 1_000_000,
    });
    // What drafts need is allocated with the first.
    const { prompts, greedy } = readGolden('jamba-dense-mqa');
    const repeated = [...prompts.len33, ...greedy.len33.tokens.slice(0, 8), ...prompts.len33];
    (await run(model, repeated, { temperature: 0, maxTokens: 40, speculate: true })).session.close();
    coreOf(model).prefixes!.clear();
    const used = model.memory.usedBytes;
    for (let i = 0; i < 30; i++) {
      const { session } = await run(model, [i, i + 1, i + 2, i + 3], { temperature: 0, maxTokens: 4 });
      session.close();
      assert.ok(model.memory.prefixCacheBytes <= 1_000_000, `${model.memory.prefixCacheBytes} bytes`);
    }
    assert.ok(coreOf(model).prefixes!.size >= 2);
    assert.equal(alignTo(model, model.createSession(), [29, 30, 31, 32, 0], 4).reusedTokens, 4);
    assert.equal(alignTo(model, model.createSession(), [0, 1, 2, 3, 0], 4).reusedTokens, 0);
    coreOf(model).prefixes!.clear();
    assert.equal(model.memory.prefixCacheBytes, 0);
    assert.ok(model.memory.usedBytes - used < 500_000, 'pages were given back');
  });
});
