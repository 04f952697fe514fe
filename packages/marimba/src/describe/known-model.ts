// What is known of a model on the hub before anything of it is downloaded.
import type { JsonObject } from '@marimba/engine/formats';

export interface KnownModel {
  /** For `plan`. */
  readonly name: string;
  /** Repository of 16-bit safetensors on the hub, for every command that runs a model. */
  readonly hub: string;
  readonly licence: string;
  readonly goodFor: string;
  /** In millions, as published. */
  readonly publishedParameters: number;
  readonly config: JsonObject;
}

export const APACHE = 'Apache-2.0';
