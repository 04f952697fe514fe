// This project's own form: any mix of layer kinds, described layer by layer. The lab trains models in it that
// no published family can express. config.json: `"model_type": "marimba"`, Jamba's size fields, and
//   layer_types         per layer: a word, several joined by + for mixers side by side, or none
//                       ("mamba", "mamba+full_attention", "none")
//   feed_forward_types  per layer: "dense", "experts" or "none" (optional: all dense)
//   rope_theta          a number, or null for no positions (optional: null)
//   mamba_inner_norms   true (Jamba) or false (optional: true)
//   ema_expand          channels of a moving average / hidden size (optional: 1)
//   conv_L_cache        taps of a short convolution (optional: 3); conv_bias (optional: false)
// The words and their fields are those of each kind in layers/ (`ownWords`, `fromOwn`).
import type { ConfigReader } from '../../formats/config-reader.ts';
import { FEED_FORWARDS, MIXERS } from '../../layers/index.ts';
import type { Family } from '../family.ts';
import { OWN_NAMES } from '../roles.ts';
import { type LayerSpec, type ModelSpec, UNSCALED } from '../spec.ts';
import { huggingFaceCommon } from './huggingface.ts';

const NONE = 'none';

/** What each word stands for. */
function readers<Spec>(
  kinds: Readonly<
    Record<
      string,
      { ownWords: Readonly<Record<string, string>>; fromOwn(c: ConfigReader, word: string): Spec }
    >
  >,
): ReadonlyMap<string, (config: ConfigReader) => Spec> {
  return new Map(
    Object.values(kinds).flatMap((kind) =>
      Object.values(kind.ownWords).map((word) => [word, (c: ConfigReader) => kind.fromOwn(c, word)] as const),
    ),
  );
}

const MIXER_READERS = readers<LayerSpec['mixers'][number]>(MIXERS);
const FEED_FORWARD_READERS = readers<NonNullable<LayerSpec['feedForward']>>(FEED_FORWARDS);

/** A list with one entry per layer. */
function list(c: ConfigReader, field: string, count?: number): unknown[] {
  const value = c.raw(field);
  if (!Array.isArray(value) || value.length === 0 || value.length > 4096)
    c.fail(field, 'a list with one entry per layer', value);
  if (count !== undefined && value.length !== count)
    c.fail(field, `${count} entries, one per layer`, `${value.length} entries`);
  return value;
}

/** The parts that one entry names. */
function partsNamed<Spec>(
  c: ConfigReader,
  field: string,
  known: ReadonlyMap<string, (config: ConfigReader) => Spec>,
  entry: unknown,
): Spec[] {
  if (entry === NONE) return [];
  const words = typeof entry === 'string' ? entry.split('+') : [];
  const found = words.map((word) => known.get(word));
  if (!found.length || found.some((reader) => !reader) || new Set(words).size < words.length)
    c.fail(field, `entries among ${[...known.keys(), NONE].join(', ')}`, entry);
  return found.map((reader) => reader!(c));
}

const SIZES_OF_KINDS = ['num_experts', 'mamba_proj_bias', 'hidden_act'];

function fromHuggingFace(c: ConfigReader): ModelSpec {
  const types = list(c, 'layer_types');
  const forwards = c.has('feed_forward_types')
    ? list(c, 'feed_forward_types', types.length)
    : types.map(() => 'dense');
  const layers = types.map((type, i): LayerSpec => {
    const [feedForward = null, ...more] = partsNamed(
      c,
      'feed_forward_types',
      FEED_FORWARD_READERS,
      forwards[i],
    );
    if (more.length) c.fail('feed_forward_types', 'one word per layer', forwards[i]);
    return { mixers: partsNamed(c, 'layer_types', MIXER_READERS, type), feedForward };
  });
  // The lists say which kinds there are: sizes of others, as studies have them, mean nothing.
  for (const field of SIZES_OF_KINDS) c.raw(field);
  return {
    family: 'marimba',
    name: 'marimba',
    normEpsilon: c.number('rms_norm_eps', 0, 1, 1e-6),
    layers,
    ...UNSCALED,
    ...huggingFaceCommon(c, { tiedHead: false, contextLength: 262_144 }),
  };
}

export const marimba: Family = {
  name: 'marimba',
  huggingFaceTypes: ['marimba'],
  fromHuggingFace,
  fromGguf: (c) => c.fail('general.architecture', 'a family that GGUF files have', 'marimba'),
  gguf: [],
  huggingFaceNames: OWN_NAMES,
};
