import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDry } from './dry.ts';
import type { DrySettings } from './options.ts';
import { createRandom } from './random.ts';
import { createPieceTokenizer } from './testing.ts';

const defaults: DrySettings = { multiplier: 0.8, base: 1.75, allowedLength: 2, window: -1, breakers: [] };

/** The penalties by definition: every earlier occurrence of every ending of the history, token by token. */
function reference(
  settings: DrySettings,
  whole: readonly number[],
  breakers: ReadonlySet<number>,
): Map<number, number> {
  const history = settings.window < 0 ? whole : whole.slice(-settings.window);
  const longest = new Map<number, number>();
  for (let end = 0; end < history.length - 1; end++) {
    const next = history[end + 1];
    for (let n = 1; n <= end + 1; n++) {
      const here = history.slice(end + 1 - n, end + 1);
      const ending = history.slice(history.length - n);
      if (here.join() !== ending.join() || ending.some((token) => breakers.has(token))) break;
      if (!breakers.has(next)) longest.set(next, Math.max(longest.get(next) ?? 0, n));
    }
  }
  const penalties = new Map<number, number>();
  for (const [token, n] of longest) {
    if (n >= settings.allowedLength) {
      penalties.set(token, settings.multiplier * settings.base ** (n - settings.allowedLength));
    }
  }
  return penalties;
}

function penalties(
  settings: DrySettings,
  history: readonly number[],
  size: number,
  pieces?: string[],
): number[] {
  const stage = createDry(settings, pieces ? createPieceTokenizer(pieces) : null);
  for (const token of history) stage.accept(token);
  const logits = new Float32Array(size);
  stage.apply(logits);
  return [...logits];
}

test('random histories are penalised as the definition says', () => {
  const random = createRandom(17);
  const pieces = ['a', 'b', 'c', '\n', 'd:'];
  let penalised = 0;
  for (let round = 0; round < 1500; round++) {
    const size = 2 + Math.floor(random() * 4);
    const history = Array.from({ length: Math.floor(random() * 40) }, () => Math.floor(random() * size));
    const breakers = new Set(round % 3 === 0 ? [3, 4] : []);
    const settings = {
      multiplier: 0.5 + random(),
      base: 1 + random(),
      allowedLength: 1 + Math.floor(random() * 4),
      window: [-1, -1, 3, 10, 100][round % 5],
      breakers: round % 3 === 0 ? null : [],
    };
    const expected = reference(settings, history, breakers);
    const actual = penalties(settings, history, 6, pieces);
    penalised += expected.size;
    for (let token = 0; token < 6; token++) {
      const difference = Math.abs(actual[token] + (expected.get(token) ?? 0));
      assert.ok(
        difference <= 1e-6 * (expected.get(token) ?? 1),
        JSON.stringify({ history, settings, token }),
      );
    }
  }
  assert.ok(penalised > 1000, 'the histories repeat themselves');
});

test('a verbatim repetition costs more the longer it gets', () => {
  assert.deepEqual(penalties({ ...defaults, base: 2 }, [1, 2, 3, 4, 1], 5), [0, 0, 0, 0, 0]);
  const two = penalties({ ...defaults, base: 2 }, [1, 2, 3, 4, 1, 2], 5);
  const three = penalties({ ...defaults, base: 2 }, [1, 2, 3, 4, 1, 2, 3], 5);
  assert.deepEqual(
    two.map((x) => x.toFixed(3)),
    ['0.000', '0.000', '0.000', '-0.800', '0.000'],
  );
  assert.deepEqual(
    three.map((x) => x.toFixed(3)),
    ['0.000', '0.000', '0.000', '0.000', '-1.600'],
  );
});

test('a breaker is found inside a token, across tokens and across a cut character', () => {
  const spellings: [string, (string | Uint8Array)[]][] = [
    ['::', ['a', 'b', 'x::y', '']],
    ['::', ['a', 'b', 'x:', ':y']],
    ['é', ['a', 'b', Uint8Array.of(0xc3), Uint8Array.of(0xa9)]],
  ];
  for (const [breaker, pieces] of spellings) {
    const run = (breakers: string[]) => {
      const stage = createDry({ ...defaults, allowedLength: 3, breakers }, createPieceTokenizer(pieces));
      // a b ⟨2 3⟩ a b ⟨2 3⟩ a: without the breaker the whole second half repeats the first.
      for (const token of [0, 1, 2, 3, 0, 1, 2, 3, 0]) stage.accept(token);
      const logits = new Float32Array(4);
      stage.apply(logits);
      return logits[1] < 0;
    };
    assert.equal(run([]), true);
    assert.equal(run([breaker]), false, JSON.stringify(pieces));
    assert.equal(run(['zz']), true);
  }
});

test('the token after a breaker is not one, also beside longer breakers', () => {
  const history = [0, 1, 2, 3, 0, 1, 2];
  const settings = { ...defaults, breakers: ['b', 'zzz'] };
  assert.ok(penalties(settings, history, 4, ['b', 'a', 'c', 'd'])[3] < 0);
});

test('a thousand repetitions neither overflow nor take for ever', () => {
  const history = Array.from({ length: 20_000 }, (_, i) => i % 2);
  const [zero, one] = penalties({ ...defaults, multiplier: 1 }, history, 2);
  assert.ok(zero < -1e37 && Number.isFinite(zero));
  assert.equal(one, 0);
});
