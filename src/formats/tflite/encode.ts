import { Builder } from 'flatbuffers';
import { type Draft, type Field, type Later, type Root, SCALAR_BYTES, type Scalar, type Table } from './table.ts';

interface Encoded {
  readonly bytes: Uint8Array;
  /**
   * Places in `bytes` of the references to `{ later: n }`, by n: each a u32, the distance from itself to its target.
   */
  readonly slots: readonly number[];
}

type Values = { readonly [field: string]: unknown };

interface Writing {
  readonly builder: Builder;
  /** Place of each `later`, counted from the end. */
  readonly fromEnd: number[];
  /** Places of vectors of `SHARED`, by their content. */
  readonly vectors: Map<string, number>;
}

/**
 * Scalar of which equal vectors are written once, as two references may lead to one place: every weight with a scale
 * per channel has as many zero points, all of them 0, which would be a twentieth of an 8-bit MobileBERT.
 */
const SHARED: Scalar = 'long';

/** Writes a FlatBuffer. Fields equal to their default are left out; the same draft always gives the same bytes. */
export function encodeFlatbuffer<T extends object>(root: Root<T>, draft: Draft<T>): Encoded {
  const builder = new Builder(64 * 1024);
  const fromEnd: number[] = [];
  const writing = { builder, fromEnd, vectors: new Map<string, number>() };
  builder.finish(writeTable(writing, root.table, draft as Values), root.identifier);
  const bytes = builder.asUint8Array();
  return { bytes, slots: fromEnd.map((offset) => bytes.byteLength - offset) };
}

function writeTable(writing: Writing, table: Table<object>, values: Values): number {
  const { builder, fromEnd } = writing;
  // Children first: FlatBuffers are built from the back, and tables do not nest while they are written.
  const references = new Map<Field, number>();
  for (const field of table.fields) {
    const value = values[field.name];
    if (value !== undefined && !isLater(value)) {
      const reference = writeReference(writing, field, value);
      if (reference !== undefined) references.set(field, reference);
    }
  }
  const last = table.fields.at(-1);
  builder.startObject(last === undefined ? 0 : last.id + (last.kind === 'union' ? 2 : 1));
  for (const field of table.fields) {
    const value = values[field.name];
    if (value === undefined) continue;
    if (field.kind === 'number') addScalar(builder, field.scalar, field.id, value as number, field.preset);
    else if (field.kind === 'bool') builder.addFieldInt8(field.id, Number(value), Number(field.preset));
    else if (field.kind === 'enum') {
      addScalar(builder, field.scalar, field.id, enumValue(field, value as string), enumValue(field, field.preset));
    } else if (isLater(value)) {
      builder.addFieldInt32(field.id, -1, 0);
      fromEnd[value.later] = builder.offset();
    } else if (field.kind === 'union') {
      builder.addFieldInt8(field.id, tagOf(field, value as Values), 0);
      builder.addFieldOffset(field.id + 1, references.get(field) as number, 0);
    } else builder.addFieldOffset(field.id, references.get(field) as number, 0);
  }
  return builder.endObject();
}

function writeReference(writing: Writing, field: Field, value: unknown): number | undefined {
  const { builder } = writing;
  switch (field.kind) {
    case 'string':
      return builder.createString(value as string);
    case 'bytes':
      return builder.createByteVector(value as Uint8Array);
    case 'floats':
      return writeVector(builder, 'float', value as Float32Array);
    case 'numbers':
      return writeShared(writing, field.scalar, value as readonly number[]);
    case 'strings':
      return writeOffsets(
        builder,
        (value as readonly string[]).map((text) => builder.createString(text) as number),
      );
    case 'table':
      return writeTable(writing, field.of, value as Values);
    case 'tables':
      return writeOffsets(
        builder,
        (value as readonly Values[]).map((item) => writeTable(writing, field.of, item)),
      );
    case 'union': {
      const member = field.of[tagOf(field, value as Values)] as Table<object>;
      return writeTable(writing, member, (value as { value: Values }).value);
    }
    default:
      return undefined;
  }
}

function writeOffsets(builder: Builder, offsets: readonly number[]): number {
  builder.startVector(4, offsets.length, 4);
  for (let i = offsets.length - 1; i >= 0; i--) builder.addOffset(offsets[i] as number);
  return builder.endVector();
}

function writeShared({ builder, vectors }: Writing, scalar: Scalar, values: readonly number[]): number {
  if (scalar !== SHARED) return writeVector(builder, scalar, values);
  const key = values.join();
  const place = vectors.get(key) ?? writeVector(builder, scalar, values);
  vectors.set(key, place);
  return place;
}

function writeVector(builder: Builder, scalar: Scalar, values: ArrayLike<number>): number {
  const width = SCALAR_BYTES[scalar];
  builder.startVector(width, values.length, width);
  for (let i = values.length - 1; i >= 0; i--) {
    const value = values[i] as number;
    if (scalar === 'float') builder.addFloat32(value);
    else if (scalar === 'double') builder.addFloat64(value);
    else if (width === 8) builder.addInt64(BigInt(value));
    else if (width === 4) builder.addInt32(value);
    else if (width === 2) builder.addInt16(value);
    else builder.addInt8(value);
  }
  return builder.endVector();
}

function addScalar(builder: Builder, scalar: Scalar, id: number, value: number, preset: number): void {
  const width = SCALAR_BYTES[scalar];
  if (scalar === 'float') builder.addFieldFloat32(id, value, preset);
  else if (scalar === 'double') builder.addFieldFloat64(id, value, preset);
  else if (width === 8) builder.addFieldInt64(id, BigInt(value), BigInt(preset));
  else if (width === 4) builder.addFieldInt32(id, value, preset);
  else if (width === 2) builder.addFieldInt16(id, value, preset);
  else builder.addFieldInt8(id, value, preset);
}

function isLater(value: unknown): value is Later {
  return typeof value === 'object' && value !== null && 'later' in value;
}

function enumValue(field: Field & { readonly kind: 'enum' }, name: string): number {
  const value = name.startsWith('#') ? Number(name.slice(1)) : field.of[name];
  if (value === undefined) throw new Error(`${field.name} has no value ${name}`);
  return value;
}

function tagOf(field: Field & { readonly kind: 'union' }, value: Values): number {
  for (const tag in field.of) if (field.of[tag]?.name === value['kind']) return Number(tag);
  throw new Error(`${field.name} has no member ${String(value['kind'])}`);
}
