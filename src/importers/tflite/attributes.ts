import type { TfAttributes, TfShape } from '../../formats/graphdef.ts';
import { tfTypeOf } from '../../formats/tf-types.ts';
import type { TensorType } from '../../formats/tflite/generated/model.ts';
import { tfliteDtype } from '../../formats/tflite/types.ts';
import type { Attr } from '../../ir/op.ts';

/** Options of an operator as TensorFlow's attributes; what TensorFlow writes as types are its output's here. */
export function attributesOf(
  values: { readonly [name: string]: Attr | undefined },
  output: { readonly type: TensorType; readonly shapes: readonly TfShape[] },
): TfAttributes {
  const names = Object.keys(values).filter((name) => values[name] !== undefined);
  const dtype = tfliteDtype(output.type);
  const list = (name: string) => (Array.isArray(values[name]) ? (values[name] as readonly (number | string)[]) : []);
  return {
    names,
    plain: (name) => values[name] as number | string | boolean | readonly number[] | undefined,
    int: (name) => Number(values[name] ?? 0),
    float: (name) => Number(values[name] ?? 0),
    bool: (name) => values[name] === true,
    text: (name) => String(values[name] ?? ''),
    type: () => (dtype && tfTypeOf(dtype)) ?? 0,
    shape: () => undefined,
    ints: (name) => list(name).map(Number),
    texts: (name) => list(name).map(String),
    shapes: (name) => (name === '_output_shapes' ? output.shapes : []),
    functionName: () => '',
    tensor: () => undefined,
  };
}
