import { MbertError } from '../errors.ts';
import { ByteReader } from '../io/bytes.ts';
import { sizeOf } from '../ir/shape.ts';
import { byteLength, type DType, type Tensor } from '../ir/tensor.ts';

/**
 * First bytes of numpy's array file, formats 1.0 to 3.0:
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
const MAGIC = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59);

/** Most bytes of a header: a plain array's has about 80, numpy's own reader stops at 10,000. */
const MAX_HEADER_BYTES = 10_000;

/** Largest rank that numpy has since 2.0. */
const MAX_RANK = 64;

/** Dtypes by numpy's names, where `|` means that byte order does not apply. */
const DTYPE_OF: ReadonlyMap<string, DType> = new Map([
  ['<f8', 'f64'],
  ['<f4', 'f32'],
  ['<f2', 'f16'],
  ['<i8', 'i64'],
  ['<u8', 'u64'],
  ['<i4', 'i32'],
  ['<u4', 'u32'],
  ['<i2', 'i16'],
  ['<u2', 'u16'],
  ['|i1', 'i8'],
  ['|u1', 'u8'],
  ['|b1', 'bool'],
]);

interface Header {
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

/**
 * Reads the array in the bytes of a .npy file, as a view of them: little endian, C order. Throws MALFORMED for bytes
 * that are no such file and UNSUPPORTED for arrays that numpy can write and mbert has no type for.
 */
export function readNpy(bytes: Uint8Array, what: string): Tensor {
  const reader = new ByteReader(bytes, what);
  if (!MAGIC.every((byte, i) => bytes[i] === byte)) reader.fail('is not a .npy file');
  reader.seek(MAGIC.length);
  const version = reader.u8();
  const minor = reader.u8();
  if (version < 1 || version > 3 || minor !== 0) reader.fail(`.npy version ${version}.${minor} is unknown`);
  const headerBytes = version === 1 ? reader.u16() : reader.u32();
  if (headerBytes > MAX_HEADER_BYTES) reader.fail(`header of ${headerBytes} bytes is over ${MAX_HEADER_BYTES}`);
  const { descr, fortranOrder, shape } = parseHeader(reader.text(headerBytes), `${what}: header`);

  const dtype = DTYPE_OF.get(descr);
  if (dtype === undefined) {
    throw new MbertError('UNSUPPORTED', `${what}: arrays of type "${descr}"`, {
      hint: 'save it as little-endian numbers, e.g. with .astype("<f4")',
    });
  }
  if (fortranOrder && shape.length > 1) {
    throw new MbertError('UNSUPPORTED', `${what}: Fortran order`, { hint: 'save numpy.ascontiguousarray(array)' });
  }
  const length = byteLength(dtype, shape);
  if (length !== reader.left) reader.fail(`${dtype}[${shape}] takes ${length} bytes, ${reader.left} are there`);
  const data = reader.bytes(length);
  return { dtype, shape, bytes: () => data };
}

const STRING = `'([^'\\\\]*)'`;
const ENTRY = new RegExp(`\\s*${STRING}\\s*:\\s*(?:${STRING}|(True|False)|\\(([\\d,\\s]*)\\))\\s*(?:,\\s*|$)`, 'y');

/** Reads the header's Python literal: a dict of exactly `descr`, `fortran_order` and `shape`, in any order. */
function parseHeader(text: string, what: string): Header {
  const body = /^\{(.*)\}\s*$/s.exec(text)?.[1] ?? '';
  // A list as type is a structured array, which is no fault of the file.
  if (/'descr'\s*:\s*\[/.test(body)) {
    throw new MbertError('UNSUPPORTED', `${what}: structured arrays`, { hint: 'save one array a file' });
  }
  const entries = new Map<string, string | boolean | readonly number[]>();
  for (let at = 0; at < body.length; at = ENTRY.lastIndex) {
    ENTRY.lastIndex = at;
    const entry = ENTRY.exec(body);
    if (entry === null) return notHeader(what);
    const [, key = '', word, flag, tuple] = entry;
    if (entries.has(key)) throw new MbertError('MALFORMED', `${what}: "${key}" occurs twice`);
    entries.set(
      key,
      tuple !== undefined ? parseShape(tuple, what) : flag !== undefined ? flag === 'True' : (word ?? ''),
    );
  }
  const descr = entries.get('descr');
  const fortranOrder = entries.get('fortran_order');
  const shape = entries.get('shape');
  if (entries.size !== 3 || typeof descr !== 'string' || typeof fortranOrder !== 'boolean' || !Array.isArray(shape)) {
    return notHeader(what);
  }
  return { descr, fortranOrder, shape };
}

function notHeader(what: string): never {
  throw new MbertError('MALFORMED', `${what}: is not a dict of descr, fortran_order and shape`);
}

/** Reads the inside of a tuple: nothing, `3,` or `3, 4` with or without a last comma. */
function parseShape(tuple: string, what: string): readonly number[] {
  const text = tuple.trim();
  if (text === '') return [];
  const parts = text.replace(/,$/, '').split(',');
  const shape = parts.map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : Number.NaN));
  if (shape.length > MAX_RANK || !shape.every(Number.isSafeInteger) || !Number.isSafeInteger(sizeOf(shape) * 8)) {
    throw new MbertError('MALFORMED', `${what}: shape (${text.slice(0, 80)}) is out of range`);
  }
  return shape;
}
