// How rows get from a file of the page cache into memory that nobody has touched yet. Copying them there
// takes a page fault for every 4 KiB: nothing on bare metal (0.3 us), most of loading in some virtual
// machines (12 us). A direct read (O_DIRECT) has the device write into the rows' own place; the system then
// provides its pages all at once, 3 to 4 times as fast in such a machine. Elsewhere, and wherever the device
// is slow, the page cache is faster, and what is read past it is not there the next time. So each thread
// measures first, and reads directly only where page faults are what takes the time.
import type { ByteSource } from '../../formats/types.ts';

/** Offsets, lengths and addresses of direct reads are multiples of this, which every disk accepts. */
const PAGE = 4096;
const TRIALS = 2;
/** Milliseconds a page to pack rows into fresh memory; without page faults it takes less than a third. */
const SLOW_PAGE_MS = 0.003;
const STEP = 1.1;
const FORGET = 0.98;

interface Way {
  jobs: number;
  /** Milliseconds for 4 KiB: about the median of late. */
  pageMs: number;
}

/** How one thread reads, decided anew for each job. */
export class ReadingChoice {
  readonly #buffered: Way = { jobs: 0, pageMs: 0 };
  readonly #direct: Way = { jobs: 0, pageMs: 0 };
  #last = this.#buffered;
  #memoryIsSlow = false;

  get direct(): boolean {
    if (this.#buffered.jobs < TRIALS || !this.#memoryIsSlow) return false;
    return this.#direct.jobs < TRIALS || this.#direct.pageMs < this.#buffered.pageMs;
  }

  /** A job read through the page cache: all its time, and what the reads took of it. */
  addBuffered(byteLength: number, elapsedMs: number, readMs: number): void {
    this.#add(this.#buffered, elapsedMs / (byteLength / PAGE));
    const packMs = elapsedMs - readMs;
    // Where reads take longer than faults, the file was not in the page cache.
    this.#memoryIsSlow = packMs > 2 * readMs && packMs > SLOW_PAGE_MS * (byteLength / PAGE);
  }

  addDirect(byteLength: number, elapsedMs: number): void {
    this.#add(this.#direct, elapsedMs / (byteLength / PAGE));
  }

  /** Never again. */
  refuseDirect(): void {
    Object.assign(this.#direct, { jobs: TRIALS, pageMs: Number.POSITIVE_INFINITY });
  }

  /** A job that the system put aside takes ten times as long, so no single one counts for much. */
  #add(way: Way, pageMs: number): void {
    if (way.jobs === 0) way.pageMs = pageMs;
    else if (way.jobs < TRIALS) way.pageMs = Math.min(way.pageMs, pageMs);
    else if (way !== this.#last) way.pageMs = pageMs;
    else way.pageMs *= pageMs > way.pageMs ? STEP : 1 / STEP;
    way.jobs++;
    this.#last = way;
    const other = way === this.#direct ? this.#buffered : this.#direct;
    other.pageMs *= FORGET; // and so gets another chance
  }
}

/**
 * Reads `place.byteLength` bytes from `offset` directly into their place, as far as whole pages go, none of
 * them ahead of where they belong: whoever rewrites the place from its beginning never meets what it has
 * written. Returns a function that copies any of these bytes (by file offset) from there, or from the file
 * where they are not; null when there is no reading directly.
 */
export function readInPlace(
  source: ByteSource,
  offset: number,
  place: Uint8Array,
): ((from: number, into: Uint8Array) => void) | null {
  const { readNow, readDirect } = source;
  if (!readNow || !readDirect) return null;
  const first = roundUp(offset);
  const start = roundUp(place.byteOffset + first - offset) - place.byteOffset;
  const end = offset + place.byteLength;
  const length = Math.floor(Math.min(end - first, place.byteLength - start) / PAGE) * PAGE;
  if (length <= 0) return null;
  const pages = place.subarray(start, start + length);
  if (!readDirect(first, pages)) return null;
  const last = first + length;
  return (from, into) => {
    const to = from + into.byteLength;
    const [head, tail] = [Math.min(Math.max(from, first), to), Math.max(Math.min(to, last), from)];
    if (head > from) readNow(from, into.subarray(0, head - from));
    if (tail > head) into.set(pages.subarray(head - first, tail - first), head - from);
    if (to > Math.max(head, tail)) readNow(Math.max(head, tail), into.subarray(Math.max(head, tail) - from));
  };
}

const roundUp = (offset: number): number => Math.ceil(offset / PAGE) * PAGE;
