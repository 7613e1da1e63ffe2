import type { TfAttributes, TfShape, TfType } from '../../formats/graphdef.ts';
import type { TensorType } from '../../formats/tflite/generated/model.ts';
import type { Attr } from '../../ir/op.ts';
import type { DType } from '../../ir/tensor.ts';

/** TFLite's types as mbert's and as TensorFlow's. Texts, resources and complex numbers have no mbert type. */
const TYPES: { readonly [T in TensorType]?: { readonly dtype: DType; readonly type: TfType } } = {
  FLOAT32: { dtype: 'f32', type: 1 },
  FLOAT16: { dtype: 'f16', type: 19 },
  FLOAT64: { dtype: 'f64', type: 2 },
  BFLOAT16: { dtype: 'bf16', type: 14 },
  INT4: { dtype: 'i4', type: 29 },
  UINT4: { dtype: 'u4', type: 30 },
  INT8: { dtype: 'i8', type: 6 },
  UINT8: { dtype: 'u8', type: 4 },
  INT16: { dtype: 'i16', type: 5 },
  UINT16: { dtype: 'u16', type: 17 },
  INT32: { dtype: 'i32', type: 3 },
  UINT32: { dtype: 'u32', type: 22 },
  INT64: { dtype: 'i64', type: 9 },
  UINT64: { dtype: 'u64', type: 23 },
  BOOL: { dtype: 'bool', type: 10 },
};

export function tfliteDtype(type: TensorType): DType | undefined {
  return TYPES[type]?.dtype;
}

/** An operator's options as TensorFlow's attributes. The types that TensorFlow writes as attributes are its output's here. */
export function attributesOf(
  values: { readonly [name: string]: Attr | undefined },
  output: { readonly type: TensorType; readonly shapes: readonly TfShape[] },
): TfAttributes {
  const names = Object.keys(values).filter((name) => values[name] !== undefined);
  const list = (name: string) => (Array.isArray(values[name]) ? (values[name] as readonly (number | string)[]) : []);
  return {
    names,
    plain: (name) => values[name] as number | string | boolean | readonly number[] | undefined,
    int: (name) => Number(values[name] ?? 0),
    float: (name) => Number(values[name] ?? 0),
    bool: (name) => values[name] === true,
    text: (name) => String(values[name] ?? ''),
    type: () => TYPES[output.type]?.type ?? 0,
    shape: () => undefined,
    ints: (name) => list(name).map(Number),
    texts: (name) => list(name).map(String),
    shapes: (name) => (name === '_output_shapes' ? output.shapes : []),
    functionName: () => '',
    tensor: () => undefined,
  };
}
