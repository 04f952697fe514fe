// Models that come as blobs: picked or dropped in a page, or fetched from an address.
import { HubError, MarimbaError } from '../errors.ts';
import { ProgressMeter, type PullListener } from '../hub/progress.ts';

export interface NamedBlob {
  readonly name: string;
  readonly blob: Blob;
}

export function namedBlobs(source: Blob | readonly NamedBlob[]): readonly NamedBlob[] {
  if (!(source instanceof Blob)) return source;
  const name = 'name' in source && typeof source.name === 'string' ? source.name : 'model.gguf';
  return [{ name, blob: source }];
}

export interface FetchBlobOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: PullListener | undefined;
  /** Default: the platform's own. */
  readonly fetch?: typeof fetch | undefined;
}

/**
 * A single file by its address. Kept as a Blob, which browsers may hold on disk. Throws HubError with the
 * cause, or the signal's reason.
 */
export async function fetchBlob(
  url: string,
  { signal, onProgress, fetch: send = (input, init) => fetch(input, init) }: FetchBlobOptions = {},
): Promise<NamedBlob> {
  const name = new URL(url).pathname.split('/').at(-1) || 'model.gguf';
  try {
    const response = await send(url, signal ? { signal } : {});
    if (!response.ok) throw refusal(url, response);
    const byteLength = Number(response.headers.get('content-length') ?? 0);
    const meter = new ProgressMeter([{ path: name, byteLength }], onProgress);
    meter.update(name, 0, true);
    let received = 0;
    const counting = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        received += chunk.byteLength;
        meter.update(name, received, true);
        controller.enqueue(chunk);
      },
    });
    const body = response.body?.pipeThrough(counting as ReadableWritablePair<Uint8Array, BufferSource>);
    return { name, blob: await new Response(body ?? null).blob() };
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (error instanceof MarimbaError) throw error;
    throw new HubError(
      `${url}: cannot be fetched (${explain(error)}). Check the address and the connection.`,
      {
        code: 'unreachable',
        cause: error,
      },
    );
  }
}

function refusal(url: string, { status, statusText }: Response): HubError {
  const message = `${url}: expected a model file, the server answered ${status} ${statusText}`.trimEnd();
  const code =
    status === 404 ? 'not-found' : status === 401 || status === 403 ? 'not-permitted' : 'hub-failed';
  return new HubError(`${message}. Check the address.`, { code });
}

/** Node hides the reason in the cause of "fetch failed". */
function explain(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
}
