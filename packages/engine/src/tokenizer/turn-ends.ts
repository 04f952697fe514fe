// Markers that are known by their text, whatever a file says of their type: fine-tunes often leave
// <|im_end|> an ordinary token, and then the model would go on and play both sides. The lists are those of
// llama.cpp (src/llama-vocab.cpp, "auto-detect special tokens by text" and "end-of-generation").

/** End a turn in some family, and so an answer. */
const TURN_ENDS: ReadonlySet<string> = new Set([
  '<|eot_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|return|>',
  '<|call|>',
  '<|flush|>',
  '<|calls|>',
  '<end_of_turn>',
  '<|endoftext|>',
  '</s>',
  '<|eom_id|>',
  '<EOT>',
  '_<EOT>',
  '<|eot|>',
  '[EOT]',
  '[EOS]',
  '<|end_of_text|>',
  '<end_of_utterance>',
  '<eos>',
  '<turn|>',
  '<|tool_response>',
  '<｜end▁of▁sentence｜>',
  '[e~[',
]);

/** Between files and around holes of code: an answer that writes one has come to its end too. */
const FILE_ENDS: ReadonlySet<string> = new Set([
  '<|fim_pad|>',
  '<fim-pad>',
  '<fim_pad>',
  '<PAD>',
  '[PAD]',
  '<|fim_repo|>',
  '<|repo_name|>',
  '<fim-repo>',
  '<REPO>',
  '<reponame>',
  '<|file_sep|>',
]);

/** Markers of holes in code, which end nothing. */
const HOLES: ReadonlySet<string> = new Set([
  '<|fim_prefix|>',
  '<fim-prefix>',
  '<fim_prefix>',
  '<｜fim▁begin｜>',
  '<PRE>',
  '▁<PRE>',
  '<|code_prefix|>',
  '<|prefix|>',
  '<|fim_suffix|>',
  '<fim-suffix>',
  '<fim_suffix>',
  '<｜fim▁hole｜>',
  '<SUF>',
  '▁<SUF>',
  '<|code_suffix|>',
  '<|suffix|>',
  '<|fim_middle|>',
  '<fim-middle>',
  '<fim_middle>',
  '<｜fim▁end｜>',
  '<MID>',
  '▁<MID>',
  '<|code_middle|>',
  '<|middle|>',
]);

/** A marker whatever type the file gives it. `has`: whether the vocabulary holds a text. */
export function isMarker(text: string, has: (text: string) => boolean): boolean {
  return HOLES.has(text) || FILE_ENDS.has(text) || endsTurn(text, has);
}

/** Ends an answer. Harmony's <|end|> ends one message of several, and Gemma's </s> is a tag of HTML. */
export function endsTurn(text: string, has: (text: string) => boolean): boolean {
  if (text === '<|end|>' && (has('<|call|>') || has('<|calls|>')) && (has('<|return|>') || has('<|flush|>')))
    return false;
  if (text === '</s>' && (has('<|tool_response>') || has('<end_of_turn>'))) return false;
  return TURN_ENDS.has(text) || FILE_ENDS.has(text);
}
