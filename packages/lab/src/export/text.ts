// What an exported model takes along to read and write text.

export interface ExportedText {
  readonly tokenizerJson: string;
  readonly tokenizerConfig: string;
}
