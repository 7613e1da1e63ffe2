/** Largest and least 64-bit numbers, to which doubles beyond them saturate. */
const MAX_I64 = 2n ** 63n - 1n;
const MIN_I64 = -(2n ** 63n);

const VARINT = 0;
const BYTES = 2;
const FIXED32 = 5;

/** Bytes that a message has room for at first. */
const FIRST_BYTES = 64;

/**
 * Writes one message in protobuf's wire format (https://protobuf.dev/programming-guides/encoding/), fields in the order
 * of the calls. Every field that is asked for is written, zeros and empty texts as well.
 */
export class MessageWriter {
  #bytes = new Uint8Array(FIRST_BYTES);
  #size = 0;

  /** A signed 64-bit number. */
  int(field: number, value: number): this {
    this.#tag(field, VARINT);
    this.#varint(value);
    return this;
  }

  float(field: number, value: number): this {
    this.#tag(field, FIXED32);
    const at = this.#grow(4);
    new DataView(this.#bytes.buffer).setFloat32(at, value, true);
    return this;
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  texts(field: number, values: readonly string[]): this {
    for (const value of values) this.text(field, value);
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, BYTES);
    this.#varint(value.byteLength);
    const at = this.#grow(value.byteLength);
    this.#bytes.set(value, at);
    return this;
  }

  message(field: number, message: MessageWriter): this {
    return this.bytes(field, message.finish());
  }

  messages(field: number, messages: readonly MessageWriter[]): this {
    for (const message of messages) this.message(field, message);
    return this;
  }

  /** A list of signed 64-bit numbers in one packed field; none at all where it is empty. */
  ints(field: number, values: readonly number[]): this {
    if (values.length === 0) return this;
    const packed = new MessageWriter();
    for (const value of values) packed.#varint(value);
    return this.message(field, packed);
  }

  /** The bytes written so far; further calls may change them. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  #tag(field: number, wire: number): void {
    this.#varint(field * 8 + wire);
  }

  #varint(value: number): void {
    if (value < 0 || value > Number.MAX_SAFE_INTEGER) {
      this.#wideVarint(value);
      return;
    }
    let rest = value;
    // By division, because lengths may pass 2^32.
    while (rest >= 128) {
      this.#push((rest % 128) + 128);
      rest = Math.floor(rest / 128);
    }
    this.#push(rest);
  }

  /** Writes a negative number as its 64-bit two's complement, a large one as far as it fits. */
  #wideVarint(value: number): void {
    const whole = BigInt(value);
    const clamped = whole > MAX_I64 ? MAX_I64 : whole < MIN_I64 ? MIN_I64 : whole;
    let rest = BigInt.asUintN(64, clamped);
    while (rest >= 128n) {
      this.#push(Number(rest % 128n) + 128);
      rest /= 128n;
    }
    this.#push(Number(rest));
  }

  #push(byte: number): void {
    const at = this.#grow(1);
    this.#bytes[at] = byte;
  }

  /** Makes room for so many bytes and returns where they go. */
  #grow(count: number): number {
    const at = this.#size;
    this.#size += count;
    if (this.#size > this.#bytes.byteLength) {
      const grown = new Uint8Array(Math.max(this.#size, 2 * this.#bytes.byteLength));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    return at;
  }
}
