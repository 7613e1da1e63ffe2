import { MbertError } from '../../errors.ts';
import { decodeText } from '../../io/bytes.ts';
import { type EnumValues, type Field, type Root, SCALAR_BYTES, type Scalar, type Table } from './table.ts';

/** Most tables, the limit of the FlatBuffers verifier that TFLite runs; a 24-layer model has about 5,000. */
const MAX_TABLES = 1_000_000;

/**
 * Most bytes decoded per byte of file. References may share what they point to, so a small file can describe a huge
 * tree; real files share next to nothing, so that more is an attack.
 */
const MAX_BYTES_PER_BYTE = 8;

interface Source {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly what: string;
  tablesLeft: number;
  bytesLeft: number;
}

/**
 * Reads a whole FlatBuffer that nobody vouches for into plain objects: every offset and length is checked. Byte vectors
 * are views of `bytes`. `what` names the file for errors.
 */
export function decodeFlatbuffer<T extends object>(root: Root<T>, bytes: Uint8Array, what: string): T {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const budget = Math.max(MAX_BYTES_PER_BYTE * bytes.byteLength, 4096);
  const source: Source = { bytes, view, what, tablesLeft: MAX_TABLES, bytesLeft: budget };
  if (bytes.byteLength < 8 || !hasIdentifier(bytes, root))
    fail(source, 'header', `has no identifier ${root.identifier}`);
  return readTable(source, root.table, view.getUint32(0, true)) as T;
}

/** True for bytes that begin a FlatBuffer of this root: its identifier follows the offset of the root table. */
export function hasIdentifier(head: Uint8Array, root: Root<object>): boolean {
  return String.fromCharCode(...head.subarray(4, 8)) === root.identifier;
}

function readTable(source: Source, table: Table<object>, at: number): object {
  const { view } = source;
  if (source.tablesLeft-- === 0) fail(source, table.name, `is beyond the ${MAX_TABLES} tables that a file may have`);
  check(source, table.name, at, 4);
  const vtable = at - view.getInt32(at, true);
  check(source, table.name, vtable, 4);
  const vtableBytes = view.getUint16(vtable, true);
  const tableBytes = view.getUint16(vtable + 2, true);
  check(source, table.name, vtable, vtableBytes);
  check(source, table.name, at, tableBytes);
  spend(source, table.name, tableBytes);
  /** Place of the field in a slot, or 0 where it is absent. */
  const locate = (field: Field, slot: number, width: number): number => {
    const entry = 4 + 2 * slot;
    const offset = entry + 2 <= vtableBytes ? view.getUint16(vtable + entry, true) : 0;
    if (offset === 0) return 0;
    if (offset < 4 || offset + width > tableBytes)
      fail(source, `${table.name}.${field.name}`, 'lies outside its table');
    return at + offset;
  };
  const result: Record<string, unknown> = {};
  for (const field of table.fields)
    result[field.name] = readField(source, field, `${table.name}.${field.name}`, locate);
  return result;
}

function readField(
  source: Source,
  field: Field,
  part: string,
  locate: (field: Field, slot: number, width: number) => number,
): unknown {
  const { view } = source;
  switch (field.kind) {
    case 'number': {
      const at = locate(field, field.id, SCALAR_BYTES[field.scalar]);
      return at === 0 ? field.preset : readScalar(view, field.scalar, at);
    }
    case 'bool': {
      const at = locate(field, field.id, 1);
      return at === 0 ? field.preset : view.getUint8(at) !== 0;
    }
    case 'enum': {
      const at = locate(field, field.id, SCALAR_BYTES[field.scalar]);
      return at === 0 ? field.preset : nameOf(field.of, readScalar(view, field.scalar, at));
    }
    case 'union': {
      const tagAt = locate(field, field.id, 1);
      const at = locate(field, field.id + 1, 4);
      const member = tagAt === 0 ? undefined : field.of[view.getUint8(tagAt)];
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
  const { view, bytes } = source;
  switch (field.kind) {
    case 'table':
      return readTable(source, field.of, at);
    case 'string':
      return readString(source, part, at);
    case 'bytes': {
      const length = vectorLength(source, part, at, 1);
      return bytes.subarray(at + 4, at + 4 + length);
    }
    case 'floats': {
      const floats = new Float32Array(vectorLength(source, part, at, 4));
      for (let i = 0; i < floats.length; i++) floats[i] = view.getFloat32(at + 4 + 4 * i, true);
      return floats;
    }
    case 'numbers': {
      const width = SCALAR_BYTES[field.scalar];
      const numbers = new Array<number>(vectorLength(source, part, at, width));
      for (let i = 0; i < numbers.length; i++) numbers[i] = readScalar(view, field.scalar, at + 4 + width * i);
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
  return decodeText(source.bytes.subarray(at + 4, at + 4 + length), `${source.what}: ${part}`);
}

/** Reads a vector's length and checks that its elements lie in the file. */
function vectorLength(source: Source, part: string, at: number, width: number): number {
  check(source, part, at, 4);
  const length = source.view.getUint32(at, true);
  check(source, part, at + 4, length * width);
  spend(source, part, length * width);
  return length;
}

/** Target of a reference, always ahead of it. */
function follow(source: Source, part: string, at: number): number {
  const target = at + source.view.getUint32(at, true);
  if (target === at) fail(source, part, 'refers to itself');
  return target;
}

function readScalar(view: DataView, scalar: Scalar, at: number): number {
  switch (scalar) {
    case 'byte':
      return view.getInt8(at);
    case 'ubyte':
      return view.getUint8(at);
    case 'short':
      return view.getInt16(at, true);
    case 'ushort':
      return view.getUint16(at, true);
    case 'int':
      return view.getInt32(at, true);
    case 'uint':
      return view.getUint32(at, true);
    case 'float':
      return view.getFloat32(at, true);
    case 'double':
      return view.getFloat64(at, true);
    case 'long':
      return Number(view.getBigInt64(at, true));
    case 'ulong':
      return Number(view.getBigUint64(at, true));
  }
}

function nameOf(values: EnumValues, value: number): string {
  for (const name in values) if (values[name] === value) return name;
  return `#${value}`;
}

function check(source: Source, part: string, at: number, length: number): void {
  if (at < 0 || at + length > source.bytes.byteLength) {
    fail(source, part, `bytes ${at} to ${at + length} lie outside the file's ${source.bytes.byteLength}`);
  }
}

function spend(source: Source, part: string, length: number): void {
  source.bytesLeft -= length;
  if (source.bytesLeft < 0) fail(source, part, 'the file describes many times its own size');
}

function fail(source: Source, part: string, problem: string): never {
  throw new MbertError('MALFORMED', `${source.what}: ${part}: ${problem}`);
}
