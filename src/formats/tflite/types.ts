import type { DType } from '../../ir/tensor.ts';
import type { TensorType } from './generated/model.ts';

/** TFLite's type for each dtype. */
export const TFLITE_TYPES = {
  f32: 'FLOAT32',
  f16: 'FLOAT16',
  f64: 'FLOAT64',
  bf16: 'BFLOAT16',
  i64: 'INT64',
  u64: 'UINT64',
  i32: 'INT32',
  u32: 'UINT32',
  i16: 'INT16',
  u16: 'UINT16',
  i8: 'INT8',
  u8: 'UINT8',
  i4: 'INT4',
  u4: 'UINT4',
  bool: 'BOOL',
} as const satisfies { readonly [D in DType]: TensorType };

const DTYPES: ReadonlyMap<TensorType, DType> = new Map(
  (Object.entries(TFLITE_TYPES) as [DType, TensorType][]).map(([dtype, type]) => [type, dtype]),
);

/** The dtype of a TFLite type; undefined for texts, resources and complex numbers. */
export function tfliteDtype(type: TensorType): DType | undefined {
  return DTYPES.get(type);
}
