// What /save writes: the conversation as JSON and the session's state behind it, so that /load needs to read nothing again.
//   "MARIMBA-CHAT-1\n", length of the JSON (u32, little-endian), the JSON, the bytes of session.save()
// The state carries its own checksum and model fingerprint.
import { type FileHandle, open } from 'node:fs/promises';
import { type ChatMessage, StateError } from '@marimba/engine';

const MAGIC = new TextEncoder().encode('MARIMBA-CHAT-1\n');
const START = MAGIC.length + 4;

export interface ChatHeader {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly turns: readonly { position: number; input: readonly number[] }[];
}

/** What stands before the session's bytes. */
export function encodeHeader(header: ChatHeader): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const out = new Uint8Array(START + json.length);
  out.set(MAGIC);
  new DataView(out.buffer).setUint32(MAGIC.length, json.length, true);
  out.set(json, START);
  return out;
}

/** The header, and where the session's bytes begin. */
export async function readHeader(path: string): Promise<{ header: ChatHeader; offset: number }> {
  const file = await open(path);
  try {
    const start = await read(file, 0, START);
    if (!MAGIC.every((byte, i) => start[i] === byte))
      throw new StateError(`${path}: expected a file that /save wrote, found another kind of file`);
    const { size } = await file.stat();
    const offset =
      START + (start.length < START ? 0 : new DataView(start.buffer).getUint32(MAGIC.length, true));
    if (offset > size)
      throw new StateError(
        `${path}: expected ${offset} bytes or more, found ${size}. The file is cut short.`,
      );
    return { header: parseHeader(path, await read(file, START, offset - START)), offset };
  } finally {
    await file.close();
  }
}

/** So many bytes, or fewer where the file ends. */
async function read(file: FileHandle, position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.slice(0, done);
}

function parseHeader(path: string, json: Uint8Array): ChatHeader {
  const bad = (what: string) =>
    new StateError(`${path}: expected ${what} in its header, found none. The file is damaged.`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch {
    throw bad('JSON');
  }
  if (typeof value !== 'object' || value === null) throw bad('an object');
  const { model, messages, turns } = value as Record<string, unknown>;
  if (typeof model !== 'string') throw bad('a model name');
  if (!Array.isArray(messages) || !messages.every(isMessage)) throw bad('messages');
  if (!Array.isArray(turns) || !turns.every(isTurn)) throw bad('turns');
  return { model, messages, turns };
}

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

const isMessage = (value: unknown): value is ChatMessage =>
  typeof value === 'object' &&
  value !== null &&
  'role' in value &&
  'content' in value &&
  ['system', 'user', 'assistant'].includes(String(value.role)) &&
  typeof value.content === 'string';

const isTurn = (value: unknown): value is ChatHeader['turns'][number] =>
  typeof value === 'object' &&
  value !== null &&
  'position' in value &&
  isCount(value.position) &&
  'input' in value &&
  Array.isArray(value.input) &&
  value.input.every(isCount);
