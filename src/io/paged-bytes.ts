import type { ModelFile } from './files.ts';

/** Bytes of a page: one read of a disk, and far more than the names and sizes between two weights. */
const PAGE_BYTES = 2 ** 16;

/** Bytes of the next page that a page holds as well, so that no number lies in two. */
const OVERLAP = 8;

/** Most bytes of a range that is copied out of its page: names and numbers, of which a model has thousands. */
const MAX_SMALL_BYTES = 2 ** 12;

/** Pages that are kept at once: readers go forwards, and come back to what they have just passed. */
const PAGES = 64;

/**
 * Little-endian numbers and ranges of a file by offset. Only the pages that are looked at are read, so that a model is
 * understood without its weights in memory. Offsets beyond the end throw MALFORMED.
 */
export class PagedBytes {
  readonly size: number;
  readonly #source: ModelFile | Uint8Array;
  readonly #pages: (Page | undefined)[] = [];
  #page: Page;

  private constructor(size: number, source: ModelFile | Uint8Array, first: Page) {
    this.size = size;
    this.#source = source;
    this.#page = first;
  }

  /** The first `size` bytes of a file, which must stay open. */
  static ofFile(file: ModelFile, size = file.size): PagedBytes {
    return new PagedBytes(size, file, EMPTY);
  }

  /** Bytes in memory: one page. */
  static of(bytes: Uint8Array): PagedBytes {
    return new PagedBytes(bytes.byteLength, bytes, pageOf(bytes, 0, bytes.byteLength));
  }

  u8(at: number): number {
    return this.#viewAt(at).getUint8(at - this.#page.start);
  }

  i8(at: number): number {
    return this.#viewAt(at).getInt8(at - this.#page.start);
  }

  u16(at: number): number {
    return this.#viewAt(at).getUint16(at - this.#page.start, true);
  }

  i16(at: number): number {
    return this.#viewAt(at).getInt16(at - this.#page.start, true);
  }

  u32(at: number): number {
    return this.#viewAt(at).getUint32(at - this.#page.start, true);
  }

  i32(at: number): number {
    return this.#viewAt(at).getInt32(at - this.#page.start, true);
  }

  u64(at: number): number {
    return Number(this.#viewAt(at).getBigUint64(at - this.#page.start, true));
  }

  i64(at: number): number {
    return Number(this.#viewAt(at).getBigInt64(at - this.#page.start, true));
  }

  f32(at: number): number {
    return this.#viewAt(at).getFloat32(at - this.#page.start, true);
  }

  f64(at: number): number {
    return this.#viewAt(at).getFloat64(at - this.#page.start, true);
  }

  /** Bytes of a range: a view of bytes in memory, of a file the caller's own at each call. */
  bytes(at: number, length: number): Uint8Array {
    if (this.#source instanceof Uint8Array) return this.#source.subarray(at, at + length);
    if (length > MAX_SMALL_BYTES) return this.#source.read(at, length);
    return this.peek(at, length).slice();
  }

  /** Bytes of a range to be looked at now: a view of what is kept for others, too. */
  peek(at: number, length: number): Uint8Array {
    if (this.#source instanceof Uint8Array) return this.#source.subarray(at, at + length);
    if (length === 0 || length > MAX_SMALL_BYTES) return this.#source.read(at, length);
    const { buffer, byteOffset, byteLength } = this.#viewAt(at);
    const from = at - this.#page.start;
    if (from + length > byteLength) return this.#source.read(at, length);
    return new Uint8Array(buffer, byteOffset + from, length);
  }

  later(at: number, length: number): LaterBytes {
    return { byteLength: length, isFresh: !(this.#source instanceof Uint8Array), bytes: () => this.bytes(at, length) };
  }

  #viewAt(at: number): DataView {
    if (at < this.#page.start || at >= this.#page.end) this.#page = this.#pageAt(at);
    return this.#page.view;
  }

  #pageAt(at: number): Page {
    const file = this.#source;
    if (file instanceof Uint8Array) throw new RangeError(`byte ${at} of ${this.size}`);
    const start = at - (at % PAGE_BYTES);
    const slot = (start / PAGE_BYTES) % PAGES;
    const known = this.#pages[slot];
    if (known?.start === start) return known;
    const length = Math.min(PAGE_BYTES + OVERLAP, this.size - start);
    const page = pageOf(file.read(start, length), start, start + Math.min(length, PAGE_BYTES));
    this.#pages[slot] = page;
    return page;
  }
}

/** Bytes from `start` on; what lies before `end` is looked up here. */
interface Page {
  readonly start: number;
  readonly end: number;
  readonly view: DataView;
}

/** Bytes that are read when they are asked for. */
export interface LaterBytes {
  readonly byteLength: number;
  /** Whether each call gives bytes of its own, which the caller may change. */
  readonly isFresh: boolean;
  bytes(): Uint8Array;
}

const EMPTY: Page = { start: 0, end: 0, view: new DataView(new ArrayBuffer(0)) };

function pageOf(bytes: Uint8Array, start: number, end: number): Page {
  return { start, end, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}
