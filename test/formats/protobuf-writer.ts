/** A protobuf message from `[field number, value]`: integers become varints, f32 and f64 say so, lists are packed. */
export type ProtoField = readonly [number: number, value: ProtoValue];
type ProtoValue =
  | number
  | bigint
  | string
  | Uint8Array
  | { readonly f32: number }
  | { readonly f64: number }
  | { readonly packed: readonly number[] };

export function message(...fields: readonly ProtoField[]): Uint8Array {
  return Buffer.concat(
    fields.map(([number, value]) => Buffer.concat([varint(number * 8 + wireOf(value)), payload(value)])),
  );
}

/** Two's complement in groups of seven bits. */
export function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

function wireOf(value: ProtoValue): number {
  if (typeof value === 'number' || typeof value === 'bigint') return 0;
  if (typeof value === 'object' && 'f32' in value) return 5;
  return typeof value === 'object' && 'f64' in value ? 1 : 2;
}

function payload(value: ProtoValue): Uint8Array {
  if (typeof value === 'number' || typeof value === 'bigint') return varint(value);
  if (typeof value === 'string') return withLength(new TextEncoder().encode(value));
  if (value instanceof Uint8Array) return withLength(value);
  if ('f32' in value) return new Uint8Array(Float32Array.of(value.f32).buffer);
  if ('f64' in value) return new Uint8Array(Float64Array.of(value.f64).buffer);
  return withLength(Buffer.concat(value.packed.map(varint)));
}

function withLength(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([varint(bytes.byteLength), bytes]);
}
