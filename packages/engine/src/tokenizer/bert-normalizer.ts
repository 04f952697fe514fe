// BERT's own normaliser, as Hugging Face tokenizers' `BertNormalizer` has it: no control characters, spaces around
// Chinese characters, no accents, lower case.

export interface BertNormalizerOptions {
  readonly cleanText: boolean;
  readonly handleChinese: boolean;
  readonly stripAccents: boolean;
  readonly lowercase: boolean;
}

/** What is no text, tabs and line ends apart. */
const NO_TEXT = /[[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u{fffd}]--[\t\n\r]]/gv;
const SPACE = /\p{White_Space}/gv;
/** The blocks of CJK ideographs that BERT sets apart; the fifth begins where Hugging Face's does. */
const CHINESE =
  /[\u{4e00}-\u{9fff}\u{3400}-\u{4dbf}\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{f900}-\u{faff}\u{2f800}-\u{2fa1f}]/gv;
const PLAIN = /^[\x20-\x7e]*$/;

export function bertNormalizer(options: BertNormalizerOptions): (text: string) => string {
  const { cleanText, handleChinese, stripAccents, lowercase } = options;
  return (text) => {
    let current = text;
    if (!PLAIN.test(text)) {
      if (cleanText) current = current.replace(NO_TEXT, '').replace(SPACE, ' ');
      if (handleChinese) current = current.replace(CHINESE, ' $& ');
      if (stripAccents) current = current.normalize('NFD').replace(/\p{Mn}/gv, '');
    }
    return lowercase ? current.replaceAll('Σ', 'σ').toLowerCase() : current;
  };
}
