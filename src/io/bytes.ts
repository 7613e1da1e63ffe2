import { MbertError } from '../errors.ts';

/** Reads little-endian fields from untrusted bytes: every read is checked against the end. */
export class ByteReader {
  readonly size: number;
  readonly what: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  /** Reads from `bytes`; `what` names the file and part in errors, e.g. `model.safetensors: header`. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.size = bytes.byteLength;
    this.what = what;
  }

  get offset(): number {
    return this.#offset;
  }

  get left(): number {
    return this.size - this.#offset;
  }

  seek(offset: number): void {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > this.size) {
      this.fail(`offset ${offset} is outside its ${this.size} bytes`);
    }
    this.#offset = offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  f64be(): number {
    return this.#view.getFloat64(this.#take(8), false);
  }

  /** An unsigned 64-bit field; beyond 2^53 it comes back rounded, which every limit check still refuses. */
  u64(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  i64(): number {
    return Number(this.#view.getBigInt64(this.#take(8), true));
  }

  /** An unsigned LEB128 varint of at most ten bytes, as protobuf and LevelDB write it. */
  varint(): number {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.u8();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
    return this.fail('varint is longer than ten bytes');
  }

  /** A view of the next `length` bytes, not a copy. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Decodes strict UTF-8: invalid bytes are MALFORMED, never replaced by U+FFFD. */
  text(length: number): string {
    return decodeText(this.bytes(length), this.what);
  }

  fail(problem: string, hint?: string): never {
    throw new MbertError('MALFORMED', `${this.what}: ${problem}`, hint === undefined ? {} : { hint });
  }

  #take(length: number): number {
    if (!Number.isSafeInteger(length) || length < 0 || length > this.left) {
      this.fail(`needs ${length} bytes at offset ${this.#offset}, ${this.left} are left`);
    }
    const at = this.#offset;
    this.#offset += length;
    return at;
  }
}

/** One for all: making one takes longer than decoding a name with it. */
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** Decodes strict UTF-8; throws MALFORMED, naming `what`, for anything else. */
export function decodeText(bytes: Uint8Array, what: string): string {
  try {
    return UTF8.decode(bytes);
  } catch (cause) {
    throw new MbertError('MALFORMED', `${what}: is not UTF-8 text`, { cause });
  }
}
