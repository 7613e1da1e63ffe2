import { MbertError } from '../errors.ts';
import type { Bindings, Dim, Shape } from './shape.ts';
import type { DType, Tensor, TensorType } from './tensor.ts';

/** A value of an op's attribute. */
export type Attr = number | boolean | string | readonly number[] | Shape;
/** An op's attributes by name. */
export type Attrs = { readonly [name: string]: Attr };

/** Turns `['x', 'bias?', 'more...']` into `{ x: T; bias?: T; more: readonly T[] }`. */
export type Named<I extends readonly string[], T> = {
  readonly [N in I[number] as N extends `${string}?` | `${string}...` ? never : N]: T;
} & {
  readonly [N in I[number] as N extends `${infer K}?` ? K : never]?: T;
} & {
  readonly [N in I[number] as N extends `${infer K}...` ? K : never]: readonly T[];
};

/** A scale and a zero point: real = scale·(stored - zeroPoint). */
export interface QuantParams {
  readonly scale: number;
  readonly zeroPoint: number;
}

/**
 * Source of an integer result's scale. `calibrated`: the values that it takes on the calibration samples. Two scales
 * with zero points: TFLite's kernels give these, whatever they read
 * (ai.google.dev/edge/litert/models/quantization_spec; its kernels for i16).
 */
export type Int8Rule = 'calibrated' | { readonly i8: QuantParams; readonly i16: QuantParams };

/**
 * Treatment of tokens, the rows of values [..., channels], by an op. `elementwise`: any input may hold them,
 * broadcasting. `first-input`: each token of the first input by itself, the other inputs are parameters for all.
 * `along-axis`: each token by itself where the op's axis is the last one; any input may hold them. `mixed`: nothing may
 * rely on either.
 */
export type TokenRule = 'elementwise' | 'first-input' | 'along-axis' | 'mixed';

/**
 * Rule for rescaling the channels (last axis) of a residual stream around an op. `sum`: all inputs and the result share
 * one scale. `affine`: the op's constants absorb the scale of what it reads, and can give its result any other.
 * `moved`: the result has the scale of the value that is moved. `fixed`: the op needs and gives the real values.
 */
export type StreamRule = 'sum' | 'affine' | 'moved' | 'fixed';

/** Movement of elements by an op that computes nothing. */
export interface Movement<A extends Attrs = Attrs> {
  /**
   * True where each token's channels (last axis) stay together and in order; `x` is the shape of the value that is
   * moved.
   */
  keepsChannels(x: Shape, attrs: A): boolean;
}

/**
 * Cost of an op for each number of its result, in multiply-adds of a matrix product that take as long: measured on one
 * thread with 64 rows of 128 and 512 numbers, forty of the op in a row, in ONNX Runtime 1.30 and in LiteRT 2.5's
 * WebAssembly build (whose products are slower, so that everything else counts less). Rounded, as machines differ.
 */
export interface Cost {
  readonly onnx: number;
  readonly tflite: number;
}

/** Everything that mbert knows about an op, in one place. */
export interface OpDef<I extends readonly string[] = readonly string[], A extends Attrs = Attrs> {
  /**
   * Input names in order. A trailing `?` marks an optional input, a trailing `...` any number of them; either comes
   * last.
   */
  readonly inputs: I;
  /** Every attribute with its default. */
  readonly attrs: A;
  /** True where the order of the inputs does not matter. */
  readonly commutative?: boolean;
  readonly tokens: TokenRule;
  readonly stream: StreamRule;
  /**
   * Present where each element of the result is an element of the first input (of all inputs, where that is `xs...`) or
   * a zero. The result is stored as the value that is moved: with its scale and zero point.
   */
  readonly moves?: Movement<A>;
  /** Scale of an integer result. Absent where no runtime computes the op on integers, or the op only moves them. */
  readonly int8?: Int8Rule;
  /** Measured cost. Absent: that of an op that reads and writes each number once. */
  readonly cost?: Cost;
  /** Number of products that are summed up for each number of the result. Absent where the op is no matrix product. */
  terms?(inputs: Named<I, TensorType>): Dim;
  /** The output's type; throws INVALID_GRAPH where the inputs do not fit. */
  infer(inputs: Named<I, TensorType>, attrs: A): TensorType;
  /** The float reference semantics, exact to f32. Absent where the op is only carried, never computed. */
  evaluate?(inputs: Named<I, Tensor>, attrs: A, bindings: Bindings): Tensor;
}

/** Types an op's definition: the names of its inputs and attributes become those of `infer` and `evaluate`. */
export function defineOp<const I extends readonly string[], A extends Attrs>(def: OpDef<I, A>): OpDef<I, A> {
  return def;
}

/** Gives positional values their input names; `what` names the op in the error. */
export function nameInputs<T>(def: OpDef, values: readonly T[], what: string): Named<readonly string[], T> {
  const named: Record<string, T | readonly T[]> = {};
  let used = 0;
  for (const input of def.inputs) {
    if (input.endsWith('...')) {
      named[input.slice(0, -3)] = values.slice(used);
      used = values.length;
    } else if (input.endsWith('?')) {
      const value = values[used++];
      if (value !== undefined) named[input.slice(0, -1)] = value;
    } else {
      const value = values[used++];
      if (value === undefined) invalid(`${what} lacks its input ${input}`);
      named[input] = value;
    }
  }
  if (used < values.length) invalid(`${what} has ${values.length} inputs, takes ${def.inputs.length}`);
  return named as Named<readonly string[], T>;
}

/** Throws INVALID_GRAPH, as shape rules do for inputs that do not fit. */
export function invalid(problem: string): never {
  throw new MbertError('INVALID_GRAPH', problem);
}

const FLOATS: ReadonlySet<DType> = new Set(['f64', 'f32', 'f16', 'bf16']);

export function isFloat(dtype: DType): boolean {
  return FLOATS.has(dtype);
}

/**
 * The dtype of a computed value: f32 for all floats, as only constants are stored narrower; integers keep their type.
 */
export function computedType(dtype: DType): DType {
  return isFloat(dtype) ? 'f32' : dtype;
}
