import { pack } from './memory-file.ts';

/** A class or function. */
export interface Global {
  readonly module: string;
  readonly member: string;
}

/** What a pickle is made of: tuples are arrays, dictionaries are maps. */
export type Picklable =
  | null
  | boolean
  | number
  | string
  | readonly Picklable[]
  | ReadonlyMap<string, Picklable>
  | Global
  | { readonly call: Global; readonly args: readonly Picklable[] }
  | { readonly persistent: Picklable }
  /** Opcodes as they are. */
  | Uint8Array;

export function global(path: string): Global {
  const dot = path.lastIndexOf('.');
  return { module: path.slice(0, dot), member: path.slice(dot + 1) };
}

/** The value as Python's pickle writes it in protocol 2, without its memo. */
export function pickle(value: Picklable): Uint8Array {
  return pack(Uint8Array.of(0x80, 2), encode(value), '.');
}

function encode(value: Picklable): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (value === null) return pack('N');
  if (typeof value === 'boolean') return Uint8Array.of(value ? 0x88 : 0x89);
  if (typeof value === 'number') return Number.isInteger(value) ? integer(value) : float(value);
  if (typeof value === 'string') return pack('X', [4, Buffer.byteLength(value)], value);
  if (Array.isArray(value)) return pack('(', ...(value as readonly Picklable[]).map(encode), 't');
  if (value instanceof Map) return pack('}(', ...[...value].flat().map(encode), 'u');
  if ('call' in value) return pack(encode(value.call), encode(value.args), 'R');
  if ('persistent' in value) return pack(encode(value.persistent), 'Q');
  const { module, member } = value as Global;
  return pack(`c${module}\n${member}\n`);
}

function integer(value: number): Uint8Array {
  const isSmall = value >= -(2 ** 31) && value < 2 ** 31;
  return isSmall ? pack('J', [4, value]) : pack(Uint8Array.of(0x8a, 8), [8, value]);
}

function float(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return pack('G', bytes);
}
