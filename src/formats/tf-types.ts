import type { DType } from '../ir/tensor.ts';

/** A value's type by its number in types.proto. */
export type TfType = number;

export const TF_STRING: TfType = 7;

/**
 * Rows of tensorflow/core/framework/types.proto (TensorFlow 2.18): name, number, and mbert's dtype where there is one.
 */
const TYPES: readonly (readonly [name: string, type: TfType, dtype?: DType])[] = [
  ['DT_FLOAT', 1, 'f32'],
  ['DT_DOUBLE', 2, 'f64'],
  ['DT_INT32', 3, 'i32'],
  ['DT_UINT8', 4, 'u8'],
  ['DT_INT16', 5, 'i16'],
  ['DT_INT8', 6, 'i8'],
  ['DT_STRING', TF_STRING],
  ['DT_COMPLEX64', 8],
  ['DT_INT64', 9, 'i64'],
  ['DT_BOOL', 10, 'bool'],
  ['DT_BFLOAT16', 14, 'bf16'],
  ['DT_UINT16', 17, 'u16'],
  ['DT_HALF', 19, 'f16'],
  ['DT_RESOURCE', 20],
  ['DT_VARIANT', 21],
  ['DT_UINT32', 22, 'u32'],
  ['DT_UINT64', 23, 'u64'],
];

const TYPE_OF_NAME: ReadonlyMap<string, TfType> = new Map(TYPES.map(([name, type]) => [name, type]));
const NAME_OF_TYPE: ReadonlyMap<TfType, string> = new Map(TYPES.map(([name, type]) => [type, name]));
const DTYPE_OF_TYPE: ReadonlyMap<TfType, DType | undefined> = new Map(TYPES.map(([, type, dtype]) => [type, dtype]));
const TYPE_OF_DTYPE: ReadonlyMap<DType, TfType> = new Map(
  TYPES.flatMap(([, type, dtype]) => (dtype === undefined ? [] : [[dtype, type]])),
);

/** Number that makes a type a reference to a variable of that type, when it is added. */
const REFERENCE = 100;

/** The type of a name such as `DT_FLOAT`. */
export function tfTypeNamed(name: string): TfType | undefined {
  return TYPE_OF_NAME.get(name);
}

export function tfTypeName(type: TfType): string {
  return NAME_OF_TYPE.get(type) ?? `#${type}`;
}

/** TensorFlow's type for mbert's dtype; undefined for 4-bit integers. */
export function tfTypeOf(dtype: DType): TfType | undefined {
  return TYPE_OF_DTYPE.get(dtype);
}

/** mbert's dtype of stored values; undefined for texts, resources, complex and quantized numbers. */
export function storedDtype(type: TfType): DType | undefined {
  return DTYPE_OF_TYPE.get(type);
}

/** mbert's dtype of a graph's value; a reference to a variable (TF1) counts as what it refers to. */
export function tfDtypeOf(type: TfType): DType | undefined {
  return storedDtype(type > REFERENCE ? type - REFERENCE : type);
}
