import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DraftingSession, LookaheadSession } from './lookahead.ts';
import { createNgramDraft } from './ngram-draft.ts';

const VOCABULARY = 50;

/** Logits that depend on the whole history: any lost, doubled or wrong token shows. */
function logitsOf(tokens: readonly number[]): Float32Array {
  const sum = tokens.reduce((hash, t) => (hash * 31 + t + 1) % 1_000_003, 7);
  return Float32Array.from({ length: VOCABULARY }, (_, i) => ((sum * (i + 3)) % 1009) / 100);
}

class ScriptedSession implements DraftingSession {
  tokens: number[] = [];
  passes = 0;
  /** Rows of all passes. */
  rows = 0;
  readonly draftLimit = 8;
  /** A draft that is not decided on. */
  open: readonly number[] | null = null;
  /** How many of the next reads fail. */
  failures = 0;

  get position(): number {
    return this.tokens.length;
  }

  logits = null;

  async prefill(tokens: readonly number[]): Promise<Float32Array> {
    return this.read(tokens, 1);
  }

  async end(pending: number | null): Promise<void> {
    if (pending !== null) this.tokens.push(pending);
  }

  async read(tokens: readonly number[], logitRows: number): Promise<Float32Array> {
    assert.equal(this.open, null, 'a draft was left behind');
    const logits = this.#pass(tokens).slice(-logitRows * VOCABULARY);
    this.tokens.push(...tokens);
    return logits;
  }

  async draft(tokens: readonly number[]): Promise<Float32Array> {
    assert.equal(this.open, null, 'a draft was left behind');
    assert.ok(tokens.length <= this.draftLimit, `${tokens.length} tokens in a draft`);
    const logits = this.#pass(tokens);
    this.open = [...tokens];
    return logits;
  }

  async accept(count: number): Promise<void> {
    const draft = this.open ?? assert.fail('there is no draft');
    this.open = null;
    if (this.failures-- > 0) throw new Error('no memory');
    this.tokens.push(...draft.slice(0, count));
  }

  #pass(tokens: readonly number[]): Float32Array {
    if (this.failures-- > 0) throw new Error('no memory');
    this.passes++;
    this.rows += tokens.length;
    const out = new Float32Array(tokens.length * VOCABULARY);
    tokens.forEach((_, i) => {
      out.set(logitsOf([...this.tokens, ...tokens.slice(0, i + 1)]), i * VOCABULARY);
    });
    return out;
  }
}

describe('lookahead', () => {
  // A text of repeated phrases with changes in them: drafts are accepted whole, in part and not at all.
  const phrase = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5];
  const text = Array.from({ length: 200 }, (_, i) =>
    i % 37 === 36 ? (i * 7) % VOCABULARY : phrase[i % phrase.length]!,
  );

  for (const always of [true, false]) {
    it(`gives the logits of plain reading, token by token (${always ? 'always' : 'where it pays'})`, async () => {
      const session = new ScriptedSession();
      let clock = 0;
      const ahead = new LookaheadSession(session, createNgramDraft(), { always, now: () => (clock += 1) });
      await ahead.prefill(text.slice(0, 20));
      for (let i = 20; i < text.length; i++) {
        const logits = await ahead.next(text[i]!);
        assert.deepEqual([...logits], [...logitsOf(text.slice(0, i + 1))], `after token ${i}`);
        assert.deepEqual(ahead.tokens, text.slice(0, i + 1));
      }
      await ahead.end(null);
      assert.deepEqual(session.tokens, text);
      assert.equal(session.open, null);
      const { accepted, drafted, passes } = ahead.statistics;
      assert.ok(accepted > 50, `accepted ${accepted}`);
      assert.ok(session.passes < 140, `${session.passes} passes for 180 tokens`);
      // No token is read twice: a pass has the sampled token and its draft.
      assert.deepEqual([session.passes, session.rows], [passes + 1, 20 + passes + drafted]);
    });
  }

  it('settles to the exact position wherever it is stopped', async () => {
    for (let stop = 21; stop < 80; stop++) {
      const session = new ScriptedSession();
      const ahead = new LookaheadSession(session, createNgramDraft(), { always: true });
      await ahead.prefill(text.slice(0, 20));
      for (let i = 20; i < stop; i++) await ahead.next(text[i]!);
      await ahead.end(null);
      assert.deepEqual(session.tokens, text.slice(0, stop));
    }
  });

  it('loses no token when a pass fails', async () => {
    for (let stop = 21; stop < 80; stop++) {
      const session = new ScriptedSession();
      const ahead = new LookaheadSession(session, createNgramDraft(), { always: true });
      await ahead.prefill(text.slice(0, 20));
      for (let i = 20; i < stop; i++) await ahead.next(text[i]!);
      session.failures = 1;
      const failed = await ahead.next(text[stop]!).then(
        () => false,
        () => true,
      );
      session.failures = 0;
      await ahead.end(failed ? text[stop]! : null);
      assert.deepEqual(session.tokens, text.slice(0, stop + 1), `after ${stop}`);
      assert.equal(session.open, null);
    }
  });

  it('keeps no draft when the passes after a failed one fail, too', async () => {
    for (let stop = 21; stop < 80; stop++) {
      const session = new ScriptedSession();
      const ahead = new LookaheadSession(session, createNgramDraft(), { always: true });
      await ahead.prefill(text.slice(0, 20));
      for (let i = 20; i < stop; i++) await ahead.next(text[i]!);
      session.failures = 9;
      await ahead.next(text[stop]!).catch(() => {});
      await ahead.end(null).catch(() => {});
      assert.equal(session.open, null, `after ${stop}`);
      assert.deepEqual(session.tokens, text.slice(0, session.tokens.length));
    }
  });

  it('stops drafting where drafts are slower than single steps', async () => {
    const session = new ScriptedSession();
    // Time grows with the rows that were read: a draft gains nothing.
    const ahead = new LookaheadSession(session, createNgramDraft(), {
      now: () => session.rows + session.passes,
    });
    await ahead.prefill(text.slice(0, 20));
    const noise = Array.from({ length: 300 }, (_, i) => (i % 3 ? phrase[i % 7]! : (i * 13) % VOCABULARY));
    for (const token of noise) await ahead.next(token);
    assert.ok(ahead.statistics.drafted < 150, `drafted ${ahead.statistics.drafted}`);
  });
});
