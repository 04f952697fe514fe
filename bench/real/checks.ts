// What `npm run test:real` holds of each model, one function each. An answer is right, wrong, or skipped by the name
// of what is missing; its text has the figures.
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChatMessage, loadModel, type Model } from '@marimba/engine';
import { llamaGreedy, llamaProgram, python, reference, run } from './peers.ts';

export interface Outcome {
  readonly kind: 'right' | 'wrong' | 'skipped';
  readonly text: string;
}

export interface Subject {
  readonly path: string;
  readonly model: Model;
  readonly threads: number;
}

const outcome = (holds: boolean, text: string): Outcome => ({ kind: holds ? 'right' : 'wrong', text });
const skipped = (missing: string): Outcome => ({ kind: 'skipped', text: `no ${missing}` });
const isFile = (path: string) => path.endsWith('.gguf');

/** Composed (NFC), since llama.cpp leaves normal forms to its callers. */
const MULTILINGUAL = [
  "The quick brown fox (it's 3.14159) jumps over 12345 lazy dogs; déjà vu!",
  'Größe, naïve café, ÉCOLE — „Zitat“. Zażółć gęślą jaźń. Привет, мир 2024! Ελληνικά.',
  '日本語のテキスト、中文字符123。한국어 문장입니다. สวัสดีครับ नमस्ते العربية עברית',
  'def f(x):\n    return x ** 2  # 👍🏽 emoji\n\n\n\tif a == b: print("<tag attr=\'v\'>")\r\n',
  '   leading, trailing   \n\n \n and   inner spaces ',
] as const;

const CONVERSATIONS: readonly ChatMessage[][] = [
  [{ role: 'user', content: 'Hello! What is 2 + 2?' }],
  [
    { role: 'system', content: 'You are terse.' },
    { role: 'user', content: 'Größe "quoted" <b>\n\nlines' },
    { role: 'assistant', content: 'Yes.' },
    { role: 'user', content: '再见' },
  ],
];

/** A text that no file depends on, the same on every machine. */
function longText(): string {
  const path = join(import.meta.dirname, '../../fixtures/text/moby-dick.jsonl');
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.map((line) => (JSON.parse(line) as { text: string }).text).join('\n\n');
}

const PROMPT = 'The capital of France is Paris. The capital of Japan is Tokyo. The capital of Italy is';

/** Weights as stored and activations in f32, against transformers in float32. */
export async function logits({ path, threads }: Subject): Promise<Outcome> {
  if (!python()) return skipped('PYTHON');
  const exact = await loadModel(path, { activations: 'f32', cacheType: 'f32', threads });
  try {
    const tokens = exact.encode(PROMPT);
    const { last, best } = await reference<{ last: number[]; best: number[] }>('logits', {
      path,
      tokens,
      threads,
    });
    const [step] = await exact.step([{ session: exact.createSession(), tokens, logits: 'all' }]);
    const size = exact.vocabularySize;
    const rows = tokens.map((_, row) => step!.logits!.subarray(row * size, (row + 1) * size));
    const largest = last.reduce((most, value, i) => Math.max(most, Math.abs(value - rows.at(-1)![i]!)), 0);
    const same = rows.filter((row, i) => argmax(row) === best[i]).length;
    return outcome(
      largest < 2e-3 && same === rows.length,
      `largest difference ${largest.toExponential(1)}, same best token at ${same} of ${rows.length} positions`,
    );
  } finally {
    await exact.close();
  }
}

function argmax(row: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i;
  return best;
}

export async function tokens({ path, model }: Subject): Promise<Outcome> {
  const found = MULTILINGUAL.map((text) => model.tokenizer!.encode(text, { addBos: false }));
  const expected = isFile(path)
    ? await llamaTokens(path)
    : python()
      ? await reference<number[][]>('tokens', { path, texts: MULTILINGUAL })
      : null;
  if (!expected) return skipped(isFile(path) ? 'LLAMA_BIN (llama-tokenize)' : 'PYTHON');
  const wrong = found.findIndex((ids, i) => `${ids}` !== `${expected[i]}`);
  const count = found.reduce((sum, { length }) => sum + length, 0);
  const by = isFile(path) ? 'llama-tokenize' : 'tokenizers';
  return outcome(
    wrong < 0,
    wrong < 0
      ? `${count} tokens as ${by}`
      : `${JSON.stringify(MULTILINGUAL[wrong])}: ${found[wrong]} instead of ${expected[wrong]}`,
  );
}

async function llamaTokens(path: string): Promise<number[][] | null> {
  const program = llamaProgram('llama-tokenize');
  if (!program) return null;
  const folder = await mkdtemp(join(tmpdir(), 'marimba-real-'));
  try {
    const all: number[][] = [];
    for (const text of MULTILINGUAL) {
      await writeFile(join(folder, 'text'), text);
      const args = [
        '-m',
        path,
        '-f',
        join(folder, 'text'),
        '--ids',
        '--no-bos',
        '--no-parse-special',
        '--log-disable',
      ];
      all.push(JSON.parse((await run(program, args)).stdout.trim().split('\n').at(-1)!));
    }
    return all;
  } finally {
    await rm(folder, { recursive: true });
  }
}

export async function template({ model }: Subject): Promise<Outcome> {
  const { chatTemplate, tokenizer } = model;
  if (!chatTemplate) return { kind: 'skipped', text: 'a base model, no template' };
  if (!python()) return skipped('PYTHON');
  const text = (id: number | null | undefined) =>
    id === null || id === undefined ? '' : tokenizer!.tokenText(id);
  const special = { bos_token: text(tokenizer!.special.bos), eos_token: text(tokenizer!.special.eos[0]) };
  const expected = await reference<string[]>('template', {
    source: chatTemplate.source,
    conversations: CONVERSATIONS,
    special,
  });
  const found = CONVERSATIONS.map((messages) => chatTemplate.render(messages));
  const wrong = found.findIndex((one, i) => one !== expected[i]);
  return outcome(
    wrong < 0,
    wrong < 0
      ? `${found.join('').length} characters as Jinja2`
      : JSON.stringify([found[wrong], expected[wrong]]),
  );
}

/** Both round activations to 8 bits, each its own way: a token may differ where two are nearly as likely. */
const LARGEST_MARGIN = 0.5;

export async function greedy({ path, model, threads }: Subject): Promise<Outcome> {
  if (!isFile(path) || !llamaProgram('llama-server')) return skipped('LLAMA_BIN (llama-server)');
  const prompt = model.encode(longText().slice(0, 600));
  const theirs = await llamaGreedy(path, prompt, 200, threads);
  const session = model.createSession();
  let row = await session.prefill(prompt);
  let [first, most, same] = [-1, 0, 0];
  for (const [i, token] of theirs.entries()) {
    const best = argmax(row);
    if (best === token) same++;
    else {
      most = Math.max(most, row[best]! - row[token]!);
      if (first < 0) first = i;
    }
    row = await session.prefill([token]);
  }
  session.close();
  const differing = first < 0 ? '' : `; first at ${first}, largest margin ${most.toFixed(3)}`;
  return outcome(
    theirs.length >= 200 && most <= LARGEST_MARGIN,
    `${same} of ${theirs.length} as llama.cpp${differing}`,
  );
}

const WINDOW = 512;

/** Windows and positions of llama-perplexity: the second half of each, the first token replaced by the beginning. */
export async function perplexity({ path, model, threads }: Subject, windows = 8): Promise<Outcome> {
  const text = longText();
  const all = model.encode(text).slice(0, windows * WINDOW);
  let [sum, count] = [0, 0];
  for (let at = 0; at + WINDOW <= all.length; at += WINDOW) {
    const piece = all.slice(at, at + WINDOW);
    if (model.tokenizer!.addBos) piece[0] = model.tokenizer!.special.bos!;
    const session = model.createSession();
    const half = WINDOW / 2;
    await session.prefill(piece.slice(0, half));
    // The rows of half a window of a large vocabulary take 270 MB: they are read in parts.
    for (let row = half; row < WINDOW - 1; row += 32) {
      const part = piece.slice(row, Math.min(row + 32, WINDOW - 1));
      const [step] = await model.step([{ session, tokens: part, logits: 'all' }]);
      part.forEach((_, i) => {
        const size = model.vocabularySize;
        sum += surprise(step!.logits!.subarray(i * size, (i + 1) * size), piece[row + i + 1]!);
        count++;
      });
    }
    session.close();
  }
  const ours = Math.exp(sum / count);
  const program = isFile(path) ? llamaProgram('llama-perplexity') : null;
  if (!program) return { kind: 'skipped', text: `${ours.toFixed(3)}; no LLAMA_BIN (llama-perplexity)` };
  const folder = await mkdtemp(join(tmpdir(), 'marimba-real-'));
  try {
    await writeFile(join(folder, 'text'), text);
    const args = [
      '-m',
      path,
      '-f',
      join(folder, 'text'),
      '-c',
      `${WINDOW}`,
      '--chunks',
      `${windows}`,
      '-t',
      `${threads}`,
    ];
    const { stdout, stderr } = await run(program, args);
    const theirs = Number(/PPL = ([\d.]+)/.exec(stdout + stderr)?.[1]);
    return outcome(ours <= theirs * 1.001, `${ours.toFixed(3)}, llama.cpp ${theirs.toFixed(3)}`);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function surprise(row: Float32Array, token: number): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of row) if (value > most) most = value;
  let total = 0;
  for (const value of row) total += Math.exp(value - most);
  return most + Math.log(total) - row[token]!;
}

const QUESTIONS = [
  'My name is Ada. What is a list?',
  'Give one example.',
  'Shorter, please.',
  'And a set?',
  'What is my name?',
];
const BRIEF = { temperature: 0, maxTokens: 16 } as const;

/** Five turns: a fork, an edit and a restored copy answer as conversations of their own do. */
export async function conversation({ model }: Subject): Promise<Outcome> {
  if (!model.chatTemplate) return branches(model);
  const chat = model.createChat();
  for (const question of QUESTIONS.slice(0, 4)) await chat.send(question, BRIEF).result;
  const restored = model.restoreChat(chat.save());
  const forked = chat.fork();
  const { text } = await chat.send(QUESTIONS[4]!, BRIEF).result;
  const copies = [restored, forked].map((copy) => copy.send(QUESTIONS[4]!, BRIEF).result);
  const fresh = model.createChat({ messages: chat.messages.slice(0, 8) });
  const answers = await Promise.all([...copies, fresh.send(QUESTIONS[4]!, BRIEF).result]);
  const edited = await chat.edit(2, 'Give two examples.', BRIEF).result;
  const own = await model
    .createChat({ messages: chat.messages.slice(0, 2) })
    .send('Give two examples.', BRIEF).result;
  const holds = answers.every((answer) => answer.text === text) && edited.text === own.text;
  const reused = `${edited.usage.reusedTokens} of ${edited.usage.promptTokens} tokens reused by the edit`;
  return outcome(
    holds,
    holds ? reused : JSON.stringify([text, answers.map((a) => a.text), edited.text, own.text]),
  );
}

/** The same without a template: a text that is continued. */
async function branches(model: Model): Promise<Outcome> {
  const session = model.createSession();
  await session.complete(PROMPT, BRIEF);
  const [restored, forked] = [model.restoreSession(session.save()), session.fork()];
  const { text } = await session.complete(' And then', BRIEF);
  const others = await Promise.all([restored, forked].map((copy) => copy.complete(' And then', BRIEF)));
  return outcome(
    others.every((other) => other.text === text),
    'a text in three branches; no template to talk with',
  );
}

export async function embeddings({ path, model, threads }: Subject): Promise<Outcome> {
  if (!python()) return skipped('PYTHON');
  const texts = [
    'A man is eating food.',
    'Someone eats a meal.',
    MULTILINGUAL[1],
    'The stock market fell. '.repeat(60),
  ];
  const { pooling, maxTokens } = model.embedding;
  const expected = await reference<number[][]>('embeddings', {
    path,
    texts,
    pooling,
    maxTokens: maxTokens ?? 512,
    threads,
  });
  const found = await model.embed(texts);
  const largest = expected.reduce(
    (most, vector, i) =>
      vector.reduce((m, value, j) => Math.max(m, Math.abs(value - found[i]!.vector[j]!)), most),
    0,
  );
  return outcome(largest < 1e-4, `largest difference ${largest.toExponential(1)} from transformers`);
}
