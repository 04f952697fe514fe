// Answers HTTP requests with text as it is generated; a client that leaves ends its generation. Requests that
// overlap share passes over the weights. Run: node scripts/with-node.mjs examples/text-stream.ts [PORT] then:
// curl -d 'Abraham Lincoln, 1862' http://localhost:8080
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { loadModel } from '@marimba/engine';

const model = await loadModel('packages/marimba/model/speeches-jamba.q8_0.gguf');

const server = createServer(async (request, response) => {
  using session = model.createSession();
  const generation = session.generate(await text(request), { maxTokens: 100 });
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  await pipeline(Readable.from(generation.textStream), response).catch(() => {}); // the client left
});

server.listen(Number(process.argv[2] ?? 8080), '127.0.0.1', () => {
  const address = server.address();
  if (address && typeof address === 'object') console.log(`http://127.0.0.1:${address.port}`);
});
