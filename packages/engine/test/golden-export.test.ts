// The golden models of the hybrid families as GGUF files that the engine writes: they load again and compute the
// same; what no GGUF architecture can say is refused.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadModel } from '../src/index.ts';
import { quantizeModel } from '../src/quantize/quantize-model.node.ts';
import { largestDifference, TOLERANCE } from './golden.ts';
import { FAMILY_MODELS, type FamilyModel, familyPath, readFamilyGolden } from './golden-families.ts';

/** Why no GGUF file can be written. */
const UNSAID: Readonly<Partial<Record<FamilyModel, RegExp>>> = {
  'lfm2-moe': /weightScale 1.5 in layer 1 \(lfm2moe\)/,
  'granite-swa': /other than one rotary attention in layer 0 \(granite\)/,
  gemma3: /scale .* in layer 0 \(gemma3\)/,
  'nemotron-h': /experts blocks \(nemotron_h\); dense blocks \(nemotron_h_moe\)/,
};
const exact = { backend: 'reference', activations: 'f32', cacheType: 'f32' } as const;

describe('golden models as GGUF', () => {
  let folder = '';
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'marimba-export-'))));
  after(() => rm(folder, { recursive: true }));

  for (const name of FAMILY_MODELS) {
    const path = `${name}.gguf`;
    const write = () =>
      quantizeModel(familyPath(name), join(folder, path), { type: 'f32', threads: 1, compare: false });
    const reason = UNSAID[name];
    if (reason)
      it(`${name}: is refused`, () =>
        assert.rejects(write(), (error: Error) => {
          assert.equal(error.name, 'ModelError');
          assert.match(error.message, reason);
          return true;
        }));
    else
      it(`${name}: computes the same from the file`, async () => {
        await write();
        await using model = await loadModel(join(folder, path), exact);
        const golden = readFamilyGolden(name);
        const logits = await model.createSession().prefill([...golden.prompts.len33]);
        const difference = largestDifference(logits, golden.logits_last.len33);
        assert.ok(difference <= TOLERANCE, `differs by ${difference}`);
      });
  }
});
