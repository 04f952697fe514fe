import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  FormatError,
  HubError,
  MarimbaError,
  ModelError,
  recordError,
  reviveError,
  StateError,
  UsageError,
} from './errors.ts';

/** There and back as messages between threads travel. */
const across = (error: unknown): Error => reviveError(structuredClone(recordError(error)));

describe('errors', () => {
  it('have one base class, a default code and the code that was given', () => {
    for (const [Class, code] of [
      [FormatError, 'damaged-file'],
      [ModelError, 'unsupported-model'],
      [StateError, 'state-mismatch'],
      [UsageError, 'bad-argument'],
      [HubError, 'hub-failed'],
    ] as const) {
      const error = new Class('what');
      assert.ok(error instanceof MarimbaError && error instanceof Error);
      assert.equal(error.code, code);
      assert.equal(error.name, Class.name);
      assert.ok(!('cause' in error), 'no cause was given');
    }
    assert.equal(new UsageError('session is busy', { code: 'busy' }).code, 'busy');
  });

  it('keep class, code, message, stack and causes between threads', () => {
    const disk = Object.assign(new Error('read'), { code: 'EIO', name: 'SystemError' });
    const sent = new HubError('outer', { code: 'storage', cause: new FormatError('inner', { cause: disk }) });
    const found = across(sent);
    assert.ok(found instanceof HubError);
    assert.deepEqual([found.code, found.message, found.stack], ['storage', 'outer', sent.stack]);
    const inner = found.cause;
    assert.ok(inner instanceof FormatError);
    assert.equal(inner.code, 'damaged-file');
    assert.ok(inner.cause instanceof Error && !(inner.cause instanceof MarimbaError));
    assert.deepEqual([inner.cause.name, (inner.cause as { code?: string }).code], ['SystemError', 'EIO']);
  });

  it('survive circles of causes, and things thrown that are no errors', () => {
    const circle = new Error('round');
    circle.cause = circle;
    assert.equal(across(circle).message, 'round');
    assert.equal(across('text').message, 'text');
    assert.equal(across(Object.assign(new Error('x'), { name: 'constructor' })).name, 'constructor');
  });
});
