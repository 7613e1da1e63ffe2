import { maskedCrc32c } from '../../src/formats/crc32c.ts';
import { pack } from './memory-file.ts';

export type Pair = readonly [key: string, value: Uint8Array];

export function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Uint8Array.of(...bytes, rest);
}

/** A block of a table; keys share their prefixes where `shares` says so. */
export function block(pairs: readonly Pair[], shares: boolean): Uint8Array {
  let previous = '';
  const entries = pairs.map(([key, value]) => {
    let shared = 0;
    while (shares && shared < Math.min(previous.length, key.length) && previous[shared] === key[shared]) shared++;
    previous = key;
    const rest = Buffer.from(key.slice(shared), 'latin1');
    return pack(varint(shared), varint(rest.length), varint(value.length), rest, value);
  });
  return pack(...entries, [4, 0], [4, 1]);
}

/** A block with its compression and checksum. */
export function sealed(content: Uint8Array, compression = 0): Uint8Array {
  const body = pack(content, [1, compression]);
  return pack(body, [4, maskedCrc32c(Uint8Array.from(body))]);
}

/** A whole table of these blocks. */
export function table(blocks: readonly Uint8Array[]): Uint8Array {
  const handles: Pair[] = [];
  let at = 0;
  for (const [i, each] of blocks.entries()) {
    handles.push([String(i).padStart(4, '0'), pack(varint(at), varint(each.length - 5))]);
    at += each.length;
  }
  const index = sealed(block(handles, false));
  const handlesOfFooter = pack(varint(at), varint(0), varint(at), varint(index.length - 5));
  const magic = Buffer.from('57fb808b247547db', 'hex');
  return pack(...blocks, index, handlesOfFooter, new Uint8Array(40 - handlesOfFooter.length), magic);
}

/** A field of protobuf: a number as a varint, bytes with their length; `fixed` as four bytes. */
function field(number: number, value: number | Uint8Array, fixed = false): Uint8Array {
  if (fixed) return pack(varint(number * 8 + 5), [4, value as number]);
  if (typeof value === 'number') return pack(varint(number * 8), varint(value));
  return pack(varint(number * 8 + 2), varint(value.length), value);
}

export function header(shards: number, endianness = 0): Uint8Array {
  return pack(field(1, shards), field(2, endianness));
}

export interface EntryFields {
  readonly dtype: number;
  readonly shape: readonly number[];
  readonly shard?: number;
  readonly offset: number;
  readonly data: Uint8Array;
  readonly size?: number;
}

/** A BundleEntryProto. */
export function entry({ dtype, shape, shard = 0, offset, data, size = data.length }: EntryFields): Uint8Array {
  const dims = pack(...shape.map((dim) => field(2, field(1, dim))));
  const parts = [field(1, dtype), field(2, dims), field(3, shard), field(4, offset), field(5, size)];
  return pack(...parts, field(6, maskedCrc32c(Uint8Array.from(data)), true));
}

/** An index of these entries in one block. */
export function indexOf(pairs: readonly Pair[], shards = 1): Uint8Array {
  return table([sealed(block([['', header(shards)], ...pairs], true))]);
}
