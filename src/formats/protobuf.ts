import { MbertError } from '../errors.ts';
import { decodeText } from '../io/bytes.ts';
import type { ModelFile } from '../io/files.ts';
import { type LaterBytes, PagedBytes } from '../io/paged-bytes.ts';

/** Largest message, whatever its parser: sizes are signed 32-bit numbers (protobuf.dev, "Proto Limits"). */
export const MAX_PROTOBUF_BYTES = 2 ** 31 - 1;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const MAX_VARINT_BYTES = 10;
const MAX_FIELD_NUMBER = 2 ** 29 - 1;

/** Most fields that readers ask for, not that the file holds: a SavedModel of 24 layers needs less than a million. */
const MAX_FIELDS = 8_000_000;

/** Most messages that are opened: a SavedModel of 24 layers has 200,000. An empty one takes two bytes of a file and fifty times that here. */
const MAX_MESSAGES = 1_000_000;

/** Deepest nesting, protobuf's own limit for recursion. */
const MAX_DEPTH = 100;

/** Numbers that the index keeps of a field: its number, wire type, start and end. */
const FIELD_NUMBERS = 4;

/** Fields that the index has room for at first. */
const FIRST_FIELDS = 1024;

/** State that all messages of a file share. */
interface Source {
  readonly file: string;
  readonly bytes: PagedBytes;
  /** Index of the fields of all opened messages. Arrays of their own would take five times the memory. */
  fields: Uint32Array;
  fieldCount: number;
  fieldsLeft: number;
  messagesLeft: number;
}

interface Field {
  readonly wire: number;
  readonly at: number;
  readonly end: number;
}

/** Bytes of a file that is one message. Throws MALFORMED where it is larger than a protobuf can be. */
export function readProtobuf(file: ModelFile): Uint8Array {
  if (file.size > MAX_PROTOBUF_BYTES) {
    throw new MbertError('MALFORMED', `${file.path}: ${file.size} bytes are more than a protobuf may have`);
  }
  return file.read(0, file.size);
}

/**
 * Reads protobuf's wire format (https://protobuf.dev/programming-guides/encoding/) without trusting it. A message is an
 * index of its own fields; what lies deeper is looked at when somebody asks for it. So a reader names the field numbers
 * that it knows, and nothing else is built.
 */
export class ProtoMessage {
  readonly #source: Source;
  readonly #part: string;
  readonly #depth: number;
  /** Range of the index, from `#from` to `#to`, that holds this message's own fields. */
  readonly #from: number;
  readonly #to: number;

  private constructor(source: Source, at: number, end: number, part: string, depth: number) {
    this.#source = source;
    this.#part = part;
    this.#depth = depth;
    if (depth > MAX_DEPTH) this.fail(`is nested deeper than ${MAX_DEPTH} levels`);
    if (source.messagesLeft-- === 0) this.fail(`has more than ${MAX_MESSAGES} messages`);
    this.#from = source.fieldCount * FIELD_NUMBERS;
    this.#index(at, end);
    this.#to = source.fieldCount * FIELD_NUMBERS;
  }

  /** Opens the outermost message; `file` names it in errors. */
  static open(bytes: Uint8Array, file: string): ProtoMessage {
    return ProtoMessage.#outermost(PagedBytes.of(bytes), file);
  }

  /** Opens a file that is one message, of which only what is asked for is read. It must stay open meanwhile. */
  static openFile(file: ModelFile): ProtoMessage {
    return ProtoMessage.#outermost(PagedBytes.ofFile(file), file.path);
  }

  static #outermost(bytes: PagedBytes, file: string): ProtoMessage {
    const source: Source = {
      file,
      bytes,
      fields: new Uint32Array(FIRST_FIELDS * FIELD_NUMBERS),
      fieldCount: 0,
      fieldsLeft: MAX_FIELDS,
      messagesLeft: MAX_MESSAGES,
    };
    return new ProtoMessage(source, 0, bytes.size, '', 0);
  }

  /** The message in words, `file: part`, for errors. */
  get what(): string {
    return this.#part === '' ? this.#source.file : `${this.#source.file}: ${this.#part}`;
  }

  has(number: number): boolean {
    const { fields } = this.#source;
    for (let i = this.#from; i < this.#to; i += FIELD_NUMBERS) if (fields[i] === number) return true;
    return false;
  }

  /** A signed integer of up to 64 bits, 0 where it is absent. Beyond 2^53 it is rounded. */
  int(number: number): number {
    const field = this.#last(number, VARINT);
    return field === undefined ? 0 : this.#varint(field.at, field.end).value;
  }

  bool(number: number): boolean {
    return this.int(number) !== 0;
  }

  float(number: number): number {
    const field = this.#last(number, FIXED32);
    return field === undefined ? 0 : this.#source.bytes.f32(field.at);
  }

  /** An unsigned number of four bytes, such as a checksum; 0 where it is absent. */
  fixed32(number: number): number {
    const field = this.#last(number, FIXED32);
    return field === undefined ? 0 : this.#source.bytes.u32(field.at);
  }

  /** A text in strict UTF-8, empty where it is absent. */
  text(number: number): string {
    const field = this.#last(number, BYTES);
    return field === undefined ? '' : this.#decode(field);
  }

  /** The field's bytes, empty where it is absent: of bytes in memory a view. */
  bytes(number: number): Uint8Array {
    const field = this.#last(number, BYTES);
    return field === undefined ? new Uint8Array(0) : this.#slice(field);
  }

  /** The field's bytes, to be read later. */
  later(number: number): LaterBytes {
    const field = this.#last(number, BYTES) ?? { wire: BYTES, at: 0, end: 0 };
    return this.#source.bytes.later(field.at, field.end - field.at);
  }

  /** A message inside; an absent one reads as one without fields. */
  message(number: number, part: string): ProtoMessage {
    return this.#enter(this.#last(number, BYTES) ?? { wire: BYTES, at: 0, end: 0 }, part);
  }

  texts(number: number): string[] {
    return this.#all(number, BYTES).map((field) => this.#decode(field));
  }

  blobs(number: number): Uint8Array[] {
    return this.#all(number, BYTES).map((field) => this.#slice(field));
  }

  /** Messages of a list, which may be `most` long. */
  messages(number: number, part: string, most = MAX_MESSAGES): ProtoMessage[] {
    this.#refuseMore(number, part, Math.min(most, this.#source.messagesLeft));
    return this.#all(number, BYTES).map((field) => this.#enter(field, part));
  }

  /** A map whose keys are texts and whose values are messages; of equal keys the last counts. */
  entries(number: number, part: string): Map<string, ProtoMessage> {
    const entries = this.messages(number, part);
    return new Map(entries.map((entry) => [entry.text(1), entry.message(2, `${part} ${entry.text(1)}`)]));
  }

  /** A map from text to text. */
  textEntries(number: number, part: string): Map<string, string> {
    return new Map(this.messages(number, part).map((entry) => [entry.text(1), entry.text(2)]));
  }

  /** Repeated signed integers, packed or one by one. */
  ints(number: number): number[] {
    const values: number[] = [];
    for (const field of this.#all(number, VARINT, BYTES)) {
      for (let at = field.at; at < field.end; ) {
        this.#spend();
        const { value, end } = this.#varint(at, field.end);
        values.push(value);
        at = end;
      }
    }
    return values;
  }

  /** Repeated f32, packed or one by one. */
  floats(number: number): Float32Array {
    const starts = this.#starts(number, FIXED32, 4);
    return Float32Array.from(starts, (at) => this.#source.bytes.f32(at));
  }

  /** Repeated f64, packed or one by one. */
  doubles(number: number): Float64Array {
    const starts = this.#starts(number, FIXED64, 8);
    return Float64Array.from(starts, (at) => this.#source.bytes.f64(at));
  }

  fail(problem: string): never {
    throw new MbertError('MALFORMED', `${this.what}: ${problem}`);
  }

  /** Lists the fields between two places. Offsets fit 32 bits, as a message is smaller than 2 GiB. */
  #index(start: number, limit: number): void {
    const source = this.#source;
    for (let at = start; at < limit; ) {
      this.#spend();
      const tag = this.#varint(at, limit);
      const number = Math.floor(tag.value / 8);
      const wire = tag.value % 8;
      if (number < 1 || number > MAX_FIELD_NUMBER) this.fail(`is no protobuf: field ${number} at byte ${at - start}`);
      const field = this.#locate(wire, tag.end, start, limit);
      if (source.fields.length === source.fieldCount * FIELD_NUMBERS) {
        const grown = new Uint32Array(source.fields.length * 2);
        grown.set(source.fields);
        source.fields = grown;
      }
      const i = source.fieldCount++ * FIELD_NUMBERS;
      source.fields[i] = number;
      source.fields[i + 1] = wire;
      source.fields[i + 2] = field.at;
      source.fields[i + 3] = field.end;
      at = field.end;
    }
  }

  #locate(wire: number, at: number, messageStart: number, limit: number): Field {
    if (wire === VARINT) return { wire, at, end: this.#varint(at, limit).end };
    let start = at;
    let length = wire === FIXED64 ? 8 : 4;
    if (wire === BYTES) {
      const prefix = this.#varint(at, limit);
      start = prefix.end;
      length = prefix.value;
    } else if (wire !== FIXED64 && wire !== FIXED32)
      this.fail(`is no protobuf: wire type ${wire} at byte ${at - messageStart}`);
    if (length < 0 || start + length > limit) {
      this.fail(`needs ${length} bytes at byte ${start - messageStart}, ${limit - start} are left`);
    }
    return { wire, at: start, end: start + length };
  }

  /** Reads a 64-bit two's complement number in at most ten groups of seven bits. */
  #varint(at: number, limit: number): { readonly value: number; readonly end: number } {
    let low = 0;
    let high = 0;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      if (at + i >= limit) this.fail(`ends inside a number at byte ${at}`);
      const byte = this.#source.bytes.u8(at + i);
      const group = byte & 127;
      if (i < 4) low += group * 2 ** (7 * i);
      else if (i > 4) high += group * 2 ** (7 * i - 32);
      else {
        // The fifth group lies across the border of the two words.
        low += (group & 15) * 2 ** 28;
        high = group >> 4;
      }
      if (byte < 128) return { value: (high | 0) * 2 ** 32 + low, end: at + i + 1 };
    }
    return this.fail(`number at byte ${at} is longer than ${MAX_VARINT_BYTES} bytes`);
  }

  *#starts(number: number, wire: number, width: number): Iterable<number> {
    for (const field of this.#all(number, wire, BYTES)) {
      if ((field.end - field.at) % width !== 0) this.fail(`field ${number} ends inside a number`);
      for (let at = field.at; at < field.end; at += width) yield at;
    }
  }

  #all(number: number, ...wires: readonly number[]): Field[] {
    const { fields } = this.#source;
    const found: Field[] = [];
    for (let i = this.#from; i < this.#to; i += FIELD_NUMBERS) {
      if (fields[i] !== number) continue;
      const wire = fields[i + 1] as number;
      if (!wires.includes(wire)) this.fail(`field ${number} is of another type`);
      found.push({ wire, at: fields[i + 2] as number, end: fields[i + 3] as number });
    }
    return found;
  }

  /** Refuses a list that is too long before the first message of it is opened. */
  #refuseMore(number: number, part: string, most: number): void {
    const { fields } = this.#source;
    let count = 0;
    for (let i = this.#from; i < this.#to; i += FIELD_NUMBERS) if (fields[i] === number) count++;
    if (count > most) this.fail(`${part}: is there ${count} times, and ${most} is the limit`);
  }

  /** The last of the fields of one number, which is the one that counts. */
  #last(number: number, wire: number): Field | undefined {
    return this.#all(number, wire).at(-1);
  }

  #decode({ at, end }: Field): string {
    return decodeText(this.#source.bytes.peek(at, end - at), this.what);
  }

  #slice(field: Field): Uint8Array {
    return this.#source.bytes.bytes(field.at, field.end - field.at);
  }

  #enter(field: Field, part: string): ProtoMessage {
    return new ProtoMessage(this.#source, field.at, field.end, part, this.#depth + 1);
  }

  #spend(): void {
    if (this.#source.fieldsLeft-- === 0) this.fail(`has more than ${MAX_FIELDS} fields`);
  }
}
