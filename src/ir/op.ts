import { MbertError } from '../errors.ts';
import type { Bindings, Shape } from './shape.ts';
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

/** Where the int8 output's scale comes from. Ops with a `weight` also get it per channel, and `bias` as i32. */
export type Int8Rule =
  | { readonly output: 'calibrated' | 'same-as-input' }
  | { readonly output: { readonly scale: number; readonly zeroPoint: number } };

/** Everything the project knows of an op, in one place. */
export interface OpDef<I extends readonly string[] = readonly string[], A extends Attrs = Attrs> {
  /** In order. A trailing `?` marks an optional input, a trailing `...` any number of them; either comes last. */
  readonly inputs: I;
  /** Every attribute with its default. */
  readonly attrs: A;
  readonly commutative?: boolean;
  /** Absent: stays float. */
  readonly int8?: Int8Rule;
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
