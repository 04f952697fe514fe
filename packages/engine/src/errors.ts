// Every error that this package throws on purpose. A message names the subject, what was expected, what was found and
// what to do about it: "model.gguf: tensor blk.0.ssm_in.weight: offset 99999 + 4096 bytes lies outside the file
// (12345 bytes). The file is truncated; download it again."

/** A file is damaged, hostile or of an unknown kind. Nothing of it was kept. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

/** The model's configuration or weights cannot be run: unknown family, missing tensor, wrong shape, too large. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
}

/** A saved or live session does not fit what is asked of it: another model's state, a position beyond its end. */
export class StateError extends Error {
  override readonly name = 'StateError';
}

/** The caller passed something that cannot mean anything: an unknown option, an empty prompt, a closed model. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A model could not be fetched: not found, not permitted, damaged on the way, no space left. */
export class HubError extends Error {
  override readonly name = 'HubError';
}
