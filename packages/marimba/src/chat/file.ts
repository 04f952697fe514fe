// What /save writes: the conversation as JSON and the session's state behind it, so that /load needs to read nothing again.
//   "MARIMBA-CHAT-1\n", length of the JSON (u32, little-endian), the JSON, the bytes of session.save()
// The state carries its own checksum and model fingerprint.
import { type ChatMessage, StateError } from '@marimba/engine';

const MAGIC = new TextEncoder().encode('MARIMBA-CHAT-1\n');

export interface ChatHeader {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly turns: readonly { position: number; pending: number | undefined; input: readonly number[] }[];
  /** Sampled, not read yet. */
  readonly pending: number | null;
}

export function encodeChat(header: ChatHeader, state: Uint8Array): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const out = new Uint8Array(MAGIC.length + 4 + json.length + state.length);
  out.set(MAGIC);
  new DataView(out.buffer).setUint32(MAGIC.length, json.length, true);
  out.set(json, MAGIC.length + 4);
  out.set(state, MAGIC.length + 4 + json.length);
  return out;
}

export function decodeChat(bytes: Uint8Array): { header: ChatHeader; state: Uint8Array } {
  const start = MAGIC.length + 4;
  if (bytes.length < start || !MAGIC.every((byte, i) => bytes[i] === byte))
    throw new StateError('saved chat: expected a file that /save wrote, found another kind of file');
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length, true);
  if (start + length > bytes.length)
    throw new StateError(
      `saved chat: expected ${start + length} bytes or more, found ${bytes.length}. The file is cut short.`,
    );
  return {
    header: parseHeader(bytes.subarray(start, start + length)),
    state: bytes.subarray(start + length),
  };
}

function parseHeader(json: Uint8Array): ChatHeader {
  const bad = (what: string) =>
    new StateError(`saved chat: expected ${what} in its header, found none. The file is damaged.`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch {
    throw bad('JSON');
  }
  if (typeof value !== 'object' || value === null) throw bad('an object');
  const { model, messages, turns, pending } = value as Record<string, unknown>;
  if (typeof model !== 'string') throw bad('a model name');
  if (!Array.isArray(messages) || !messages.every(isMessage)) throw bad('messages');
  if (!Array.isArray(turns) || !turns.every(isTurn)) throw bad('turns');
  if (pending !== null && !isCount(pending)) throw bad('a pending token or null');
  return { model, messages, turns, pending };
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
  (!('pending' in value) || value.pending === undefined || isCount(value.pending)) &&
  'input' in value &&
  Array.isArray(value.input) &&
  value.input.every(isCount);
