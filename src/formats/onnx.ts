import type { Shape } from '../ir/shape.ts';
import type { DType, Tensor } from '../ir/tensor.ts';

/** An attribute of an ONNX node, tagged with its kind because 1 the integer and 1 the float are stored differently. */
export type OnnxAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly text: string }
  | { readonly ints: readonly number[] };

/** Operators of ONNX Runtime's own (github.com/microsoft/onnxruntime, docs/ContribOperators.md), with their domain. */
const DOMAINS: ReadonlyMap<string, string> = new Map([
  ['GatherBlockQuantized', 'com.microsoft'],
  ['MatMulNBits', 'com.microsoft'],
]);

/** The domain of an operator that mbert writes: empty for those of ONNX itself. */
export function domainOf(op: string): string {
  return DOMAINS.get(op) ?? '';
}

/** An operator; its name tells its domain. An input that is left out is the empty name. */
export interface OnnxNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: { readonly [name: string]: OnnxAttribute };
}

/** An input or output; a symbol in the shape becomes a `dim_param`. */
export interface OnnxValue {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** A constant of the graph. */
export interface OnnxInitializer {
  readonly name: string;
  readonly tensor: Tensor;
}

/** A model as the file holds it: nodes in topological order, names unique. */
export interface OnnxModel {
  readonly irVersion: number;
  readonly opset: number;
  readonly producerName: string;
  readonly producerVersion: string;
  /** Entries of `metadata_props`, in this order. */
  readonly properties: { readonly [key: string]: string };
  readonly graphName: string;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxInitializer[];
}

/** Numbers of onnx.proto's TensorProto.DataType. The 4-bit ones came with IR version 10 (opset 21). */
export const ONNX_DTYPES = {
  f32: 1,
  u8: 2,
  i8: 3,
  u16: 4,
  i16: 5,
  i32: 6,
  i64: 7,
  bool: 9,
  f16: 10,
  f64: 11,
  u32: 12,
  u64: 13,
  bf16: 16,
  u4: 21,
  i4: 22,
} as const satisfies { readonly [D in DType]: number };
