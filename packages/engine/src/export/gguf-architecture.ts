// Which GGUF architecture can express a model. A file holds only what the keys of its architecture can say, so
// a model that is built otherwise is refused here, for `quantize` and for the lab's export alike. Families say
// what their architectures hold (`Family.gguf`).

import { FAMILIES } from '../architecture/families/index.ts';
import type { GgufForm, GgufWriting } from '../architecture/family.ts';
import type { ModelSpec } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import { layerOf } from '../layers/index.ts';

/** An architecture that is written. */
export interface WritableForm extends GgufForm {
  readonly write: GgufWriting;
}

const FORMS = FAMILIES.flatMap(({ gguf }) => gguf).filter(
  (form): form is WritableForm => form.write !== undefined,
);

/**
 * The architecture whose GGUF form says everything about these layers. Decided by the layers, not by the
 * family's name: a hybrid of the lab that is built like Jamba is written as one. Throws ModelError naming
 * what no architecture has.
 */
export function ggufForm(spec: ModelSpec, name: string): WritableForm {
  const tried = FORMS.map((form) => ({ form, reason: form.write.misfit(spec) }));
  const found = tried.find(({ reason }) => reason === null);
  if (found) return found.form;
  throw new ModelError(
    `${name}: expected layers that a GGUF architecture can express, found ${reasons(spec, tried)}. ` +
      'Keep this model as a Hugging Face folder; it can be quantised while it loads.',
  );
}

/** By the architectures of its family, else by those that have all of its kinds of mixer; the kinds when none has. */
function reasons(
  { family, layers }: ModelSpec,
  tried: readonly { readonly form: WritableForm; readonly reason: string | null }[],
): string {
  const mixers = layers.flatMap((layer) => layer.mixers);
  const own = FAMILIES.find(({ name }) => name === family)?.gguf ?? [];
  const ofFamily = tried.filter(({ form }) => own.includes(form));
  const alike = tried.filter(({ form }) => mixers.every(({ kind }) => form.write.mixers.includes(kind)));
  const close = ofFamily.length ? ofFamily : alike;
  if (!close.length) return [...new Set(mixers.map((mixer) => layerOf(mixer).title(mixer)))].join(' beside ');
  return [...new Set(close.map(({ reason }) => reason))]
    .map((reason) => {
      const forms = close.filter((one) => one.reason === reason);
      return `${reason} (${forms.map(({ form }) => form.architecture).join(', ')})`;
    })
    .join('; ');
}

/** Why llama.cpp may read the file otherwise than this engine does; empty when it reads it alike. */
export const llamaCppLimits = (spec: ModelSpec, { write }: WritableForm): string[] =>
  (write.limits?.(spec) ?? []).map((note) => `the model has ${note}`);
