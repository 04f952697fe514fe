// Byte-level BPE writes every byte as one visible character, so that vocabularies are plain text: printable
// Latin-1 stands for itself, the other 68 bytes for U+0100 onwards in order (a space becomes Ġ). Source:
// GPT-2's encoder.py, `bytes_to_unicode`. Byte tokens of SentencePiece vocabularies are spelled <0x00> …
// <0xFF>.

const utf8 = new TextEncoder();

/** Byte → its character. */
export const byteCharacters: readonly string[] = buildByteCharacters();

/** Character code (below 0x144) → its byte, −1 where there is none. */
const characterBytes: Int16Array = buildCharacterBytes();

function buildByteCharacters(): string[] {
  const characters: string[] = [];
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    characters.push(String.fromCharCode(printable ? byte : next++));
  }
  return characters;
}

function buildCharacterBytes(): Int16Array {
  const bytes = new Int16Array(0x144).fill(-1);
  for (let byte = 0; byte < 256; byte++) bytes[byteCharacters[byte]!.charCodeAt(0)] = byte;
  return bytes;
}

/** The UTF-8 bytes of a well-formed text, one character each. */
export function toByteCharacters(text: string): string {
  let out = '';
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) return out + bytesToCharacters(utf8.encode(text.slice(i)));
    out += byteCharacters[unit]!;
  }
  return out;
}

function bytesToCharacters(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) out += byteCharacters[byte]!;
  return out;
}

/**
 * The bytes that a byte-level vocabulary entry stands for; an entry with any other character stands for
 * itself.
 */
export function fromByteCharacters(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const byte = characterBytes[text.charCodeAt(i)] ?? -1;
    if (byte < 0) return utf8.encode(text);
    bytes[i] = byte;
  }
  return bytes;
}

/** `<0x0A>` → 10; null for any other text. */
export function byteOfToken(text: string): number | null {
  if (text.length !== 6 || !text.startsWith('<0x') || text[5] !== '>') return null;
  const digits = text.slice(3, 5);
  return /^[0-9A-Fa-f]{2}$/.test(digits) ? Number.parseInt(digits, 16) : null;
}

/** 10 → `<0x0A>`. */
export function tokenOfByte(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
}
