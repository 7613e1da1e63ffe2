import { MbertError } from '../errors.ts';
import type { ByteReader } from '../io/bytes.ts';
import type { DType } from '../ir/tensor.ts';

/** Most dimensions that HDF5 allows. */
const MAX_RANK = 32;

/** Reads a dataset's shape from its dataspace message; undefined for one without data. */
export function readDataspace(body: ByteReader): number[] | undefined {
  const version = body.u8();
  if (version !== 1 && version !== 2) body.fail(`dataspace of version ${version}`);
  const rank = body.u8();
  if (rank > MAX_RANK) body.fail(`has ${rank} dimensions`);
  body.seek(3);
  const NULL = 2;
  if (version === 2 && body.u8() === NULL) return undefined;
  body.seek(version === 1 ? 8 : 4);
  return Array.from({ length: rank }, () => body.u64());
}

const CLASSES = [
  'integer',
  'float',
  'time',
  'string',
  'bit field',
  'opaque',
  'compound',
  'reference',
  'enum',
  'list',
  'array',
];

/** Dtypes by the widths of exponent and fraction in bits: IEEE's floats and bfloat16. */
const FLOATS: ReadonlyMap<string, DType> = new Map([
  ['11,52', 'f64'],
  ['8,23', 'f32'],
  ['5,10', 'f16'],
  ['8,7', 'bf16'],
]);
const INTEGERS: ReadonlyMap<string, DType> = new Map([
  ['i8', 'i64'],
  ['u8', 'u64'],
  ['i4', 'i32'],
  ['u4', 'u32'],
  ['i2', 'i16'],
  ['u2', 'u16'],
  ['i1', 'i8'],
  ['u1', 'u8'],
]);

/** Reads the type of a dataset's elements from its datatype message. Throws UNSUPPORTED for what is no plain number. */
export function describeType(body: ByteReader): DType {
  const kind = CLASSES[body.u8() & 15] ?? 'unknown';
  const flags = body.u8();
  body.seek(4);
  const width = body.u32();
  const isBigEndian = (flags & 1) !== 0;
  let dtype: DType | undefined;
  if (!isBigEndian && kind === 'integer') dtype = INTEGERS.get(`${(flags & 8) !== 0 ? 'i' : 'u'}${width}`);
  if (!isBigEndian && kind === 'float') {
    // The offset and number of its bits, then the place and width of the exponent and of the fraction.
    body.seek(13);
    const exponent = body.u8();
    body.seek(15);
    const fraction = body.u8();
    dtype = 8 * width === 1 + exponent + fraction ? FLOATS.get(`${exponent},${fraction}`) : undefined;
  }
  if (dtype !== undefined) return dtype;
  const what = `${8 * width}-bit ${isBigEndian ? 'big-endian ' : ''}${kind}`;
  throw new MbertError('UNSUPPORTED', `${body.what}: elements of type ${what} are not supported`);
}
