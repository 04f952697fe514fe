// What exports of a trained model have in common.

/** The tokenizer's files as they were written for training. */
export interface ExportedText {
  readonly tokenizerJson: string;
  readonly tokenizerConfig: string;
}

export interface ExportOptions {
  /** Default: marimba. */
  readonly name?: string | undefined;
  readonly text?: ExportedText | undefined;
}
