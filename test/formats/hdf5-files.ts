import { pack } from './memory-file.ts';

/** A message of an object header: its type, its body, and whether it is shared. */
export type Message = readonly [type: number, body: Uint8Array, flags?: number];

/** A group is a map of names, a dataset or any other object its header messages; data are what its layout points at. */
export type H5Object =
  | ReadonlyMap<string, H5Object>
  | readonly Message[]
  | { readonly data: Uint8Array; of(address: number): readonly Message[]; readonly elsewhere?: number };

/** The address of what is not stored: all bits set. */
export const UNDEFINED = -1;

/** Dataspace, version 1. */
export function space(shape: readonly number[]): Message {
  return [1, pack([1, 1], [1, shape.length], [6, 0], ...shape.map((dim) => [8, dim] as const))];
}

/** Datatype: 32-bit floats unless bits are changed. */
export function floatType(
  changes: { flags?: number; size?: number; exponent?: number; fraction?: number } = {},
): Message {
  const { flags = 0x20, size = 4, exponent = 8, fraction = 23 } = changes;
  const bits = [
    [2, 0],
    [2, 8 * size],
    [1, fraction],
    [1, exponent],
    [1, 0],
    [1, fraction],
    [4, 127],
    [4, 0],
  ] as const;
  return [3, pack([1, 0x11], [1, flags], [2, 31], [4, size], ...bits)];
}

export function integerType(size: number, isSigned: boolean): Message {
  return [3, pack([1, 0x10], [1, isSigned ? 8 : 0], [2, 0], [4, size], [2, 0], [2, 8 * size])];
}

/** Contiguous layout, version 3. */
export function contiguous(address: number, size: number): Message {
  return [8, pack([1, 3], [1, 1], [8, address], [8, size], [6, 0])];
}

/** A dataset of 32-bit floats. */
export function dataset(values: readonly number[], shape: readonly number[] = [values.length]): H5Object {
  const data = new Uint8Array(Float32Array.from(values).buffer);
  return { data, of: (address) => [space(shape), floatType(), contiguous(address, data.length)] };
}

/** A file as HDF5 writes it with superblock version 0: each group with one heap, one tree node and one symbol node. */
export function h5File(root: ReadonlyMap<string, H5Object>): Uint8Array {
  const parts: Uint8Array[] = [];
  let end = 96;
  const place = (bytes: Uint8Array): number => {
    const address = end;
    const padded = pack(bytes, new Uint8Array((8 - (bytes.length % 8)) % 8));
    parts.push(padded);
    end += padded.length;
    return address;
  };
  const write = (object: H5Object): number => {
    if (object instanceof Map)
      return place(objectHeader([[0x11, group(object as ReadonlyMap<string, H5Object>, place, write)]]));
    if ('data' in object) return place(objectHeader(object.of(place(object.data)), object.elsewhere));
    return place(objectHeader(object as readonly Message[]));
  };
  const rootAddress = write(root);
  const versions = [
    [5, 0],
    [1, 8],
    [1, 8],
    [1, 0],
    [2, 4],
    [2, 16],
    [4, 0],
  ] as const;
  const addresses = [
    [8, 0],
    [8, UNDEFINED],
    [8, end],
    [8, UNDEFINED],
  ] as const;
  const entry = [
    [8, 0],
    [8, rootAddress],
    [8, 0],
    [16, 0],
  ] as const;
  return pack(
    Buffer.from('894844460d0a1a0a', 'hex'),
    ...versions,
    ...addresses,
    ...entry.slice(0, 3),
    [8, 0],
    [8, 0],
    ...parts,
  );
}

/** `elsewhere` counts messages that a continuation holds. */
function objectHeader(messages: readonly Message[], elsewhere = 0): Uint8Array {
  const body = pack(
    ...messages.map(([type, bytes, flags = 0]) => {
      const padded = pack(bytes, new Uint8Array((8 - (bytes.length % 8)) % 8));
      return pack([2, type], [2, padded.length], [1, flags], [3, 0], padded);
    }),
  );
  return pack([1, 1], [1, 0], [2, messages.length + elsewhere], [4, 1], [4, body.length], [4, 0], body);
}

/** The symbol table message of a group. */
function group(
  children: ReadonlyMap<string, H5Object>,
  place: (bytes: Uint8Array) => number,
  write: (object: H5Object) => number,
): Uint8Array {
  const names = [...children.keys()].sort();
  const offsets: number[] = [];
  let heapData: Uint8Array = new Uint8Array(8);
  for (const name of names) {
    offsets.push(heapData.length);
    heapData = pack(heapData, name, new Uint8Array(8 - (name.length % 8)));
  }
  const symbols = names.map((name, i) =>
    pack([8, offsets[i] as number], [8, write(children.get(name) as H5Object)], [8, 0], [8, 0], [8, 0]),
  );
  const node = place(pack('SNOD', [1, 1], [1, 0], [2, names.length], ...symbols));
  const tree = place(pack('TREE', [1, 0], [1, 0], [2, 1], [8, UNDEFINED], [8, UNDEFINED], [8, 0], [8, node], [8, 0]));
  const heapDataAt = place(heapData);
  const heap = place(pack('HEAP', [4, 0], [8, heapData.length], [8, UNDEFINED], [8, heapDataAt]));
  return pack([8, tree], [8, heap]);
}
