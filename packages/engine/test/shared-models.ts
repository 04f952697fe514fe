// One loaded model per file and options for all cases of a test file. Cases make sessions of their own and
// close them, so that one case's sessions never appear in another's; a case that counts passes or bytes takes
// the difference.
import { after } from 'node:test';
import { type LoadModelOptions, loadModel, type Model } from '../src/index.ts';

const models = new Map<string, Promise<Model>>();

/**
 * Loads a model the first time that these options are asked for. All are closed when the file's tests have
 * ended.
 */
export function sharedModel(source: string, options: LoadModelOptions): Promise<Model> {
  const key = JSON.stringify([source, Object.entries(options).sort()]);
  const model = models.get(key) ?? loadModel(source, options);
  models.set(key, model);
  return model;
}

after(async () => {
  for (const model of models.values()) await (await model).close();
});
