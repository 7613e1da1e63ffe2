/** FlatBuffers scalars that the schemas use, with their widths in bytes. */
export const SCALAR_BYTES = {
  byte: 1,
  ubyte: 1,
  short: 2,
  ushort: 2,
  int: 4,
  uint: 4,
  float: 4,
  long: 8,
  ulong: 8,
  double: 8,
};
export type Scalar = keyof typeof SCALAR_BYTES;

type FieldKind =
  | { readonly kind: 'number'; readonly scalar: Scalar; readonly preset: number }
  | { readonly kind: 'bool'; readonly preset: boolean }
  | { readonly kind: 'enum'; readonly scalar: Scalar; readonly of: EnumValues; readonly preset: string }
  | { readonly kind: 'string' | 'strings' | 'bytes' | 'floats' }
  | { readonly kind: 'numbers'; readonly scalar: Scalar }
  | { readonly kind: 'table' | 'tables'; readonly of: Table<object> }
  | { readonly kind: 'union'; readonly of: { readonly [tag: number]: Table<object> } };

export type EnumValues = { readonly [name: string]: number };

/** A field of a table: `id` is its slot in the vtable. A union's tag sits in that slot, its value in the next one. */
export type Field = FieldKind & { readonly name: string; readonly id: number };

/** Description of a table that TypeScript sees as `T`, for the decoder and the encoder. */
export interface Table<T extends object> {
  readonly name: string;
  readonly fields: readonly Field[];
  /** Type of the table, never there: it ties the type to the description. */
  readonly example?: T;
}

/** A whole file: its root table and the four letters at offset 4. */
export interface Root<T extends object> {
  readonly identifier: string;
  readonly table: Table<T>;
}

/** Bytes that are written later: the encoder leaves a reference and says where it lies. */
export interface Later {
  readonly later: number;
}

/** Values that a table is built from: every field may be left out, which means its default. */
export type Draft<T> = { readonly [K in keyof T]?: DraftField<T[K]> };

type DraftField<V> = V extends Uint8Array
  ? Uint8Array | Later
  : V extends Float32Array | number | string | boolean | undefined
    ? V
    : V extends readonly (infer E)[]
      ? readonly DraftField<E>[]
      : V extends { readonly kind: infer K; readonly value: infer U }
        ? { readonly kind: K; readonly value: Draft<U> }
        : Draft<V>;
