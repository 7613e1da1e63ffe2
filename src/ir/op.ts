import { MbertError } from '../errors.ts';
import type { Bindings, Dim, Shape } from './shape.ts';
import type { DType, Tensor, TensorType } from './tensor.ts';

export type Attr = number | boolean | string | readonly number[] | Shape;
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
export interface Steps {
  readonly scale: number;
  readonly zeroPoint: number;
}

/**
 * Where an integer result's scale comes from. `calibrated`: from the values that it takes. Two pairs of numbers: TFLite's
 * kernels give these, whatever they read (ai.google.dev/edge/litert/models/quantization_spec; its kernels for i16).
 */
export type Int8Rule = 'calibrated' | { readonly i8: Steps; readonly i16: Steps };

/**
 * How an op treats tokens, the rows of values [..., channels]. `elementwise`: any input may hold them, broadcasting.
 * `first-input`: each token of the first input by itself, the other inputs are parameters for all. `along-axis`: each
 * token by itself where the op's axis is the last one; any input may hold them. `mixed`: nothing may rely on either.
 */
export type TokenRule = 'elementwise' | 'first-input' | 'along-axis' | 'mixed';

/**
 * What may be done to the scale of channels (last axis) around an op: its place in a residual stream. `sum`: all sides
 * and the result have one scale. `affine`: constants of the op take up the scale of what it reads, and give its result
 * any. `moved`: the result has the scale of what is moved. `fixed`: the op needs and gives the real values.
 */
export type StreamRule = 'sum' | 'affine' | 'moved' | 'fixed';

/** How an op that computes nothing moves elements. */
export interface Movement<A extends Attrs = Attrs> {
  /** True where each token's channels (last axis) stay together and in order; `x` is the shape of what is moved. */
  keepsChannels(x: Shape, attrs: A): boolean;
}

/**
 * What an op costs for each number that it gives, in multiply-adds of a matrix product that take as long: measured on one
 * thread with 64 rows of 128 and 512 numbers, forty of the op in a row, in ONNX Runtime 1.30 and in LiteRT 2.5's
 * WebAssembly build (whose products are slower, so that everything else counts less). Rounded: machines differ.
 */
export interface Cost {
  readonly onnx: number;
  readonly tflite: number;
}

/** Everything the project knows of an op, in one place. */
export interface OpDef<I extends readonly string[] = readonly string[], A extends Attrs = Attrs> {
  /** In order. A trailing `?` marks an optional input, a trailing `...` any number of them; either comes last. */
  readonly inputs: I;
  /** Every attribute with its default. */
  readonly attrs: A;
  readonly commutative?: boolean;
  readonly tokens: TokenRule;
  readonly stream: StreamRule;
  /**
   * Set where each element of the result is one of the first input's, or of all inputs' where that is `xs...`, or a zero.
   * The result is stored as what is moved is: with its scale, its zero point.
   */
  readonly moves?: Movement<A>;
  /** Absent: no runtime computes the op on integers, or it moves them. */
  readonly int8?: Int8Rule;
  /** Absent: that of an op that reads and writes each number once. */
  readonly cost?: Cost;
  /** How many products each number of the result is the sum of. Absent: the op is no matrix product. */
  terms?(inputs: Named<I, TensorType>): Dim;
  /** The output's type; throws INVALID_GRAPH where the inputs do not fit. */
  infer(inputs: Named<I, TensorType>, attrs: A): TensorType;
  /** The float reference semantics, exact to f32. Absent where the op is only carried, never computed. */
  evaluate?(inputs: Named<I, Tensor>, attrs: A, bindings: Bindings): Tensor;
}

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

/** Refuses a graph that makes no sense; a shape rule's way out. */
export function invalid(problem: string): never {
  throw new MbertError('INVALID_GRAPH', problem);
}

const FLOATS: ReadonlySet<DType> = new Set(['f64', 'f32', 'f16', 'bf16']);

export function isFloat(dtype: DType): boolean {
  return FLOATS.has(dtype);
}

/** Computed floats are f32 throughout; only constants are stored narrower. Integers keep their type. */
export function computedType(dtype: DType): DType {
  return isFloat(dtype) ? 'f32' : dtype;
}
