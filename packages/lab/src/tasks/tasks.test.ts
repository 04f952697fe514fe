import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '@marimba/engine';
import { createRandom } from '@marimba/engine/measure';
import { exampleBatch, taskBatches, testExamples } from './batches.ts';
import { findTask, TASKS } from './index.ts';
import { type Level, PAD, type TaskInstance } from './task.ts';

const levels: Level[] = ['tiny', 'small', 'medium'];

/** Right answers and their number, by a player who sees only what stands before each answer. */
function play(
  task: TaskInstance,
  examples: number,
  player: (prefix: readonly number[]) => number,
): { right: number; total: number } {
  let right = 0;
  let total = 0;
  for (const { tokens, answers } of testExamples(task, examples, 11)) {
    for (const answer of answers) {
      total++;
      if (player(tokens.slice(0, answer)) === tokens[answer]) right++;
    }
  }
  return { right, total };
}

for (const task of TASKS) {
  for (const level of levels) {
    const instance = task.at(level);

    test(`${task.name} ${level}: one who knows the rule is always right`, () => {
      const { right, total } = play(instance, 25, (prefix) => instance.solve(prefix));
      assert.ok(total >= 25);
      assert.equal(right, total);
    });

    test(`${task.name} ${level}: tokens fit the vocabulary and the length`, () => {
      for (const example of testExamples(instance, 25)) {
        assert.ok(example.tokens.length <= instance.maxLength, `${example.tokens.length} tokens`);
        assert.ok(example.tokens.every((t) => Number.isInteger(t) && t >= 0 && t < instance.vocabularySize));
        assert.ok(
          example.answers.every((a) => a > 0 && a < example.tokens.length && example.tokens[a] !== PAD),
        );
      }
    });
  }

  test(`${task.name}: one who guesses is right as often as chance says`, () => {
    const instance = task.at('small');
    const random = createRandom(5);
    const { right, total } = play(instance, 600, (prefix) => instance.guess(prefix, random));
    const deviation = Math.sqrt((instance.chance * (1 - instance.chance)) / total);
    assert.ok(
      Math.abs(right / total - instance.chance) < 5 * deviation,
      `${right} of ${total}, chance ${instance.chance}`,
    );
  });

  test(`${task.name}: examples follow from the seed; tests are not what was trained on`, () => {
    const instance = task.at('small');
    assert.deepEqual(testExamples(instance, 3, 1), testExamples(instance, 3, 1));
    assert.notDeepEqual(testExamples(instance, 3, 1), testExamples(instance, 3, 2));
    const batch = taskBatches(instance, { sequences: 3, seed: 1 });
    assert.deepEqual(batch(4), batch(4));
    assert.notDeepEqual(batch(4).tokens, batch(5).tokens);
    assert.notDeepEqual(
      batch(0).tokens,
      exampleBatch(testExamples(instance, 3, 1), instance.maxLength - 1).tokens,
    );
  });
}

test('few-shot labels: the habit is a wrong format, either label a right one', () => {
  const task = findTask('few-shot-labels').at('small');
  const [example] = testExamples(task, 1);
  const prefix = example!.tokens.slice(0, example!.answers[0]);
  const habit = 3;
  assert.equal(task.wellFormed!(prefix, habit), false);
  assert.equal(task.wellFormed!(prefix, task.solve(prefix)), true);
  const scored = Array.from({ length: 200 }, (_, i) => task.generateTraining!(createRandom(i))).filter(
    (e) => e.tokens[e.answers[0]!]! <= 4,
  );
  assert.ok(scored.length > 60 && scored.length < 140, 'about half of training is the habit');
});

test('targets stand one before the answers', () => {
  const batch = exampleBatch(
    [
      { tokens: [5, 6, 7], answers: [2] },
      { tokens: [8, 9], answers: [1] },
    ],
    3,
  );
  assert.deepEqual([...batch.tokens], [5, 6, 0, 8, 0, 0]);
  assert.deepEqual([...batch.targets], [-1, 7, -1, 9, -1, -1]);
});

test('unknown tasks and sizes are refused by name', () => {
  assert.throws(() => findTask('recal'), /expected one of recall, .*found "recal"/);
  assert.throws(
    () => findTask('recall').at({ pears: 3 }),
    /expected only keys, values, pairs, length, found pears/,
  );
  assert.throws(() => findTask('recall').at('huge' as Level), UsageError);
  assert.equal(findTask('recall').at({ level: 'tiny', keys: 20 }).vocabularySize, 37);
});
