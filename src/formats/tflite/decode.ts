import { MbertError } from '../../errors.ts';
import { decodeText } from '../../io/bytes.ts';
import type { ModelFile } from '../../io/files.ts';
import { type LaterBytes, PagedBytes } from '../../io/paged-bytes.ts';
import { type Buffer, type Model, modelRoot } from './generated/model.ts';
import { type EnumValues, type Field, type Root, SCALAR_BYTES, type Scalar, type Table } from './table.ts';

/** Most tables, the limit of the FlatBuffers verifier that TFLite runs; a 24-layer model has about 5,000. */
const MAX_TABLES = 1_000_000;

/**
 * Most bytes decoded per byte of file. References may share what they point to, so a small file can describe a huge
 * tree; real files share next to nothing, so that more is an attack.
 */
const MAX_BYTES_PER_BYTE = 8;

interface Source {
  readonly bytes: PagedBytes;
  readonly what: string;
  /** Whether large weights stay in the file. */
  readonly leavesWeights: boolean;
  tablesLeft: number;
  bytesLeft: number;
}

/**
 * Reads a whole FlatBuffer that nobody vouches for into plain objects: every offset and length is checked. Byte vectors
 * are views of `bytes`. `what` names the file for errors.
 */
export function decodeFlatbuffer<T extends object>(root: Root<T>, bytes: Uint8Array, what: string): T {
  return decodeRoot(root, PagedBytes.of(bytes), what, false);
}

/** Most bytes of a FlatBuffer, whose offsets have 32 bits with a sign. */
const MAX_FLATBUFFER_BYTES = 2 ** 31 - 1;

/**
 * Reads the model of a TFLite file. Buffers of more than `MAX_KEPT_BYTES` stay in the file: as those behind the
 * FlatBuffer they have no data but a place, `offset` and `size`.
 */
export function decodeTflite(file: ModelFile): Model {
  const bytes = PagedBytes.ofFile(file, Math.min(file.size, MAX_FLATBUFFER_BYTES));
  return decodeRoot(modelRoot, bytes, file.path, true);
}

/** Largest buffer that is read at once: scales, shapes and biases, which are looked at often. */
const MAX_KEPT_BYTES = 2 ** 16;

/**
 * Content of a buffer of `decodeTflite`, undefined for an empty one. Throws MALFORMED, naming `part`, where it lies
 * outside the file.
 */
export function bufferContent(file: ModelFile, buffer: Buffer | undefined, part: string): LaterBytes | undefined {
  const { data, offset = 0, size = 0 } = buffer ?? {};
  if (data !== undefined && data.byteLength > 0) {
    return { byteLength: data.byteLength, isFresh: false, bytes: () => data };
  }
  // Writers put 0 or 1 where there is none.
  if (offset <= 1 || size === 0) return undefined;
  if (offset + size > file.size) {
    const problem = `bytes ${offset} to ${offset + size} lie outside the file's ${file.size}`;
    throw new MbertError('MALFORMED', `${file.path}: ${part}: ${problem}`);
  }
  return { byteLength: size, isFresh: true, bytes: () => file.read(offset, size) };
}

/** Field of a weight's bytes, whose table has fields for a place in the file as well. */
const WEIGHTS = 'Buffer.data';

/** Bytes that stay in the file. */
class Place {
  readonly offset: number;
  readonly size: number;

  constructor(offset: number, size: number) {
    this.offset = offset;
    this.size = size;
  }
}

function decodeRoot<T extends object>(root: Root<T>, bytes: PagedBytes, what: string, leavesWeights: boolean): T {
  const budget = Math.max(MAX_BYTES_PER_BYTE * bytes.size, 4096);
  const source: Source = { bytes, what, leavesWeights, tablesLeft: MAX_TABLES, bytesLeft: budget };
  if (bytes.size < 8 || !hasIdentifier(bytes.bytes(0, 8), root))
    fail(source, 'header', `has no identifier ${root.identifier}`);
  return readTable(source, root.table, bytes.u32(0)) as T;
}

/** True for bytes that begin a FlatBuffer of this root: its identifier follows the offset of the root table. */
export function hasIdentifier(head: Uint8Array, root: Root<object>): boolean {
  return String.fromCharCode(...head.subarray(4, 8)) === root.identifier;
}

function readTable(source: Source, table: Table<object>, at: number): object {
  const { bytes } = source;
  if (source.tablesLeft-- === 0) fail(source, table.name, `is beyond the ${MAX_TABLES} tables that a file may have`);
  check(source, table.name, at, 4);
  const vtable = at - bytes.i32(at);
  check(source, table.name, vtable, 4);
  const vtableBytes = bytes.u16(vtable);
  const tableBytes = bytes.u16(vtable + 2);
  check(source, table.name, vtable, vtableBytes);
  check(source, table.name, at, tableBytes);
  spend(source, table.name, tableBytes);
  /** Place of the field in a slot, or 0 where it is absent. */
  const locate = (field: Field, slot: number, width: number): number => {
    const entry = 4 + 2 * slot;
    const offset = entry + 2 <= vtableBytes ? bytes.u16(vtable + entry) : 0;
    if (offset === 0) return 0;
    if (offset < 4 || offset + width > tableBytes)
      fail(source, `${table.name}.${field.name}`, 'lies outside its table');
    return at + offset;
  };
  const result: Record<string, unknown> = {};
  let left: Place | undefined;
  for (const field of table.fields) {
    const value = readField(source, field, `${table.name}.${field.name}`, locate);
    if (value instanceof Place) left = value;
    result[field.name] = value instanceof Place ? undefined : value;
  }
  return left === undefined ? result : { ...result, offset: left.offset, size: left.size };
}

function readField(
  source: Source,
  field: Field,
  part: string,
  locate: (field: Field, slot: number, width: number) => number,
): unknown {
  const { bytes } = source;
  switch (field.kind) {
    case 'number': {
      const at = locate(field, field.id, SCALAR_BYTES[field.scalar]);
      return at === 0 ? field.preset : readScalar(bytes, field.scalar, at);
    }
    case 'bool': {
      const at = locate(field, field.id, 1);
      return at === 0 ? field.preset : bytes.u8(at) !== 0;
    }
    case 'enum': {
      const at = locate(field, field.id, SCALAR_BYTES[field.scalar]);
      return at === 0 ? field.preset : nameOf(field.of, readScalar(bytes, field.scalar, at));
    }
    case 'union': {
      const tagAt = locate(field, field.id, 1);
      const at = locate(field, field.id + 1, 4);
      const member = tagAt === 0 ? undefined : field.of[bytes.u8(tagAt)];
      if (at === 0 || member === undefined) return undefined;
      return { kind: member.name, value: readTable(source, member, follow(source, part, at)) };
    }
    default: {
      const at = locate(field, field.id, 4);
      return at === 0 ? undefined : readReference(source, field, part, follow(source, part, at));
    }
  }
}

function readReference(source: Source, field: Field, part: string, at: number): unknown {
  const { bytes } = source;
  switch (field.kind) {
    case 'table':
      return readTable(source, field.of, at);
    case 'string':
      return readString(source, part, at);
    case 'bytes': {
      const length = vectorLength(source, part, at, 1);
      const isLeft = source.leavesWeights && part === WEIGHTS && length > MAX_KEPT_BYTES;
      return isLeft ? new Place(at + 4, length) : bytes.bytes(at + 4, length);
    }
    case 'floats': {
      const floats = new Float32Array(vectorLength(source, part, at, 4));
      for (let i = 0; i < floats.length; i++) floats[i] = bytes.f32(at + 4 + 4 * i);
      return floats;
    }
    case 'numbers': {
      const width = SCALAR_BYTES[field.scalar];
      const numbers = new Array<number>(vectorLength(source, part, at, width));
      for (let i = 0; i < numbers.length; i++) numbers[i] = readScalar(bytes, field.scalar, at + 4 + width * i);
      return numbers;
    }
    case 'strings':
      return readEach(source, part, at, (entry) => readString(source, part, entry));
    case 'tables':
      return readEach(source, part, at, (entry) => readTable(source, field.of, entry));
    default:
      throw new Error(`${part}: ${field.kind} is not a reference`);
  }
}

function readEach<T>(source: Source, part: string, at: number, read: (at: number) => T): T[] {
  const items: T[] = [];
  const length = vectorLength(source, part, at, 4);
  for (let i = 0; i < length; i++) items.push(read(follow(source, part, at + 4 + 4 * i)));
  return items;
}

function readString(source: Source, part: string, at: number): string {
  const length = vectorLength(source, part, at, 1);
  return decodeText(source.bytes.peek(at + 4, length), `${source.what}: ${part}`);
}

/** Reads a vector's length and checks that its elements lie in the file. */
function vectorLength(source: Source, part: string, at: number, width: number): number {
  check(source, part, at, 4);
  const length = source.bytes.u32(at);
  check(source, part, at + 4, length * width);
  spend(source, part, length * width);
  return length;
}

/** Target of a reference, always ahead of it. */
function follow(source: Source, part: string, at: number): number {
  const target = at + source.bytes.u32(at);
  if (target === at) fail(source, part, 'refers to itself');
  return target;
}

type Reader = 'i8' | 'u8' | 'i16' | 'u16' | 'i32' | 'u32' | 'f32' | 'f64' | 'i64' | 'u64';

const READERS: { readonly [S in Scalar]: Reader } = {
  byte: 'i8',
  ubyte: 'u8',
  short: 'i16',
  ushort: 'u16',
  int: 'i32',
  uint: 'u32',
  float: 'f32',
  double: 'f64',
  long: 'i64',
  ulong: 'u64',
};

function readScalar(bytes: PagedBytes, scalar: Scalar, at: number): number {
  return bytes[READERS[scalar]](at);
}

function nameOf(values: EnumValues, value: number): string {
  for (const name in values) if (values[name] === value) return name;
  return `#${value}`;
}

function check(source: Source, part: string, at: number, length: number): void {
  if (at < 0 || at + length > source.bytes.size) {
    fail(source, part, `bytes ${at} to ${at + length} lie outside the file's ${source.bytes.size}`);
  }
}

function spend(source: Source, part: string, length: number): void {
  source.bytesLeft -= length;
  if (source.bytesLeft < 0) fail(source, part, 'the file describes many times its own size');
}

function fail(source: Source, part: string, problem: string): never {
  throw new MbertError('MALFORMED', `${source.what}: ${part}: ${problem}`);
}
