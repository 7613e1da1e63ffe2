import { MbertError } from '../errors.ts';
import type { ModelFile } from '../io/files.ts';
import { shapeText, sizeOf } from '../ir/shape.ts';
import { byteLength, type DType, type Tensor, tensorOf } from '../ir/tensor.ts';
import { MAX_RANK } from './graph-limits.ts';
import { ONNX_DTYPES } from './onnx.ts';
import type { ProtoMessage } from './protobuf.ts';

/** Opens files beside the model, each one once. */
export type ExternalFiles = (name: string) => ModelFile;

/** Dtypes by their number in TensorProto.DataType. */
export const ONNX_DTYPE_OF: ReadonlyMap<number, DType> = new Map(
  (Object.entries(ONNX_DTYPES) as [DType, number][]).map(([dtype, number]) => [number, dtype]),
);

/**
 * Reads a TensorProto: raw bytes by range, in the model's file or in another one, or one of the typed lists.
 * The data must be as long as dims and type say, which is checked before anything is allocated.
 */
export function readOnnxTensor(message: ProtoMessage, external: ExternalFiles): Tensor {
  const part = nameOf(message);
  const number = message.int(2);
  const dtype = ONNX_DTYPE_OF.get(number);
  if (dtype === undefined) {
    throw new MbertError('UNSUPPORTED', `${message.what}: ${part}: tensors of type ${number} are not supported`);
  }
  const shape = message.ints(1);
  if (shape.length > MAX_RANK) message.fail(`${part}: has ${shape.length} axes`);
  if (shape.some((dim) => dim < 0)) message.fail(`${part}: has a negative size, ${shapeText(shape)}`);
  const length = byteLength(dtype, shape);
  if (!Number.isSafeInteger(length)) message.fail(`${part}: ${shapeText(shape)} is larger than any file`);
  if (message.has(3)) message.fail(`${part}: tensors in segments are not supported`);
  if (message.int(14) === EXTERNAL) return externalTensor(message, dtype, shape, external);
  if (message.has(9)) return rawTensor(message, dtype, shape);
  return listedTensor(message, dtype, shape);
}

/** Value of TensorProto.DataLocation for data in another file. */
const EXTERNAL = 1;

function nameOf(message: ProtoMessage): string {
  return message.text(8) || 'a tensor without a name';
}

/** Least weight that stays in the file until it is asked for: smaller ones, as scalars and shapes, are looked at often. */
const MIN_LATER_BYTES = 2 ** 16;

function rawTensor(message: ProtoMessage, dtype: DType, shape: readonly number[]): Tensor {
  const raw = message.later(9);
  const wanted = byteLength(dtype, shape);
  if (raw.byteLength !== wanted) {
    message.fail(
      `${nameOf(message)}: ${dtype}${shapeText(shape)} takes ${wanted} bytes, raw_data has ${raw.byteLength}`,
    );
  }
  if (wanted >= MIN_LATER_BYTES) return { dtype, shape, fresh: raw.isFresh, bytes: raw.bytes };
  const bytes = raw.bytes();
  return { dtype, shape, bytes: () => bytes };
}

function externalTensor(
  message: ProtoMessage,
  dtype: DType,
  shape: readonly number[],
  external: ExternalFiles,
): Tensor {
  const entries = message.textEntries(13, 'external_data');
  const wanted = byteLength(dtype, shape);
  const part = nameOf(message);
  const location = entries.get('location') ?? message.fail(`${part}: external data without a location`);
  const file = openExternal(message, location, external);
  const offset = Number(entries.get('offset') ?? 0);
  const length = Number(entries.get('length') ?? wanted);
  if (length !== wanted)
    message.fail(`${part}: ${dtype}${shapeText(shape)} takes ${wanted} bytes, its external data has ${length}`);
  if (!Number.isSafeInteger(offset) || offset < 0 || offset + length > file.size) {
    message.fail(`${part}: bytes ${offset} to ${offset + length} lie outside the ${file.size} bytes of ${file.path}`);
  }
  return { dtype, shape, fresh: true, bytes: () => file.read(offset, length) };
}

const EXTERNAL_PROBLEMS: { readonly [code: string]: string } = {
  NOT_FOUND: 'which does not exist',
  MALFORMED: "which is outside the model's folder",
};

function openExternal(message: ProtoMessage, location: string, external: ExternalFiles): ModelFile {
  try {
    return external(location);
  } catch (cause) {
    if (!(cause instanceof MbertError)) throw cause;
    const where = EXTERNAL_PROBLEMS[cause.code] ?? `which cannot be opened: ${cause.message}`;
    const problem = `its data is in ${JSON.stringify(location)}, ${where}`;
    throw new MbertError(cause.code, `${message.what}: ${nameOf(message)}: ${problem}`, {
      hint: 'the files of a model must lie in its folder, or below it',
      cause,
    });
  }
}

/** Reads values of a typed list: for most types int32_data, where f16 and bf16 are bits and two i4 share a number. */
function listedTensor(message: ProtoMessage, dtype: DType, shape: readonly number[]): Tensor {
  const values = listedValues(message, dtype);
  const count = dtype === 'i4' || dtype === 'u4' ? byteLength(dtype, shape) : sizeOf(shape);
  if (values.length !== count) {
    message.fail(
      `${nameOf(message)}: ${dtype}${shapeText(shape)} takes ${count} values, the file has ${values.length}`,
    );
  }
  return tensorOf(dtype, shape, values);
}

function listedValues(message: ProtoMessage, dtype: DType) {
  switch (dtype) {
    case 'f32':
      return message.floats(4);
    case 'f64':
      return message.doubles(10);
    case 'i64':
      return BigInt64Array.from(message.ints(7), bigInteger);
    case 'u64':
      return BigUint64Array.from(message.ints(11), bigInteger);
    case 'u32':
      return Uint32Array.from(message.ints(11));
    default:
      return new LISTED_ARRAYS[dtype](message.ints(5));
  }
}

/** Largest number below 2^63 that a double holds: sizes such as "to the end" come as 2^63 - 1 and would wrap round. */
const MAX_INTEGER = 2 ** 63 - 1024;

function bigInteger(value: number): bigint {
  return BigInt(Math.min(value, MAX_INTEGER));
}

const LISTED_ARRAYS = {
  i32: Int32Array,
  i16: Int16Array,
  u16: Uint16Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  i8: Int8Array,
  u8: Uint8Array,
  bool: Uint8Array,
  i4: Uint8Array,
  u4: Uint8Array,
} as const;
