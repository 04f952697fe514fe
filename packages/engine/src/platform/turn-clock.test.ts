import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TurnClock } from './turn-clock.ts';

test('a thread is given back by the time since the last turn, however the work was cut', async () => {
  for (const stepMs of [1, 10, 24, 26, 400]) {
    let now = 1000;
    let turns = 0;
    const clock = new TurnClock(
      () => now,
      async () => void turns++,
    );
    let held = 0;
    let longest = 0;
    for (let worked = 0; worked < 4000; worked += stepMs) {
      now += stepMs;
      held += stepMs;
      longest = Math.max(longest, held);
      const pause = clock.pause();
      if (!pause) continue;
      await pause;
      held = 0;
    }
    assert.ok(longest <= 25 + stepMs, `${stepMs} ms a step: held for ${longest} ms`);
    assert.ok(turns <= 4000 / 25, `${stepMs} ms a step: ${turns} turns`);
  }
});
