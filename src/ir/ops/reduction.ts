import { computedType, defineOp, type Int8Rule, invalid, isFloat, type OpDef } from '../op.ts';
import { aroundAxis, axisOf, shapeText, sizeOf } from '../shape.ts';
import { numbersOf, resultTensor } from './elementwise.ts';

/** Differences between ops that make one number of all along an axis. */
interface Reduction {
  readonly int8?: Int8Rule;
  /** Whether integers are taken as well as floats. */
  readonly integers: boolean;
  /** Folds the numbers from `first` on. */
  readonly first: number;
  readonly fold: (total: number, value: number) => number;
  readonly finish?: (total: number, length: number) => number;
}

/** An op that makes one number of all along one axis, which stays with size 1 where `keepDims`. */
export function reductionOp(
  name: string,
  { int8, integers, first, fold, finish }: Reduction,
): OpDef<readonly ['x'], { readonly axis: number; readonly keepDims: boolean }> {
  return defineOp({
    inputs: ['x'] as const,
    attrs: { axis: -1 as number, keepDims: true as boolean },
    tokens: 'mixed',
    stream: 'fixed',
    ...(int8 && { int8 }),
    infer({ x }, { axis, keepDims }) {
      const at = axisOf(axis, x.shape.length);
      const isTaken = isFloat(x.dtype) || (integers && x.dtype !== 'bool');
      if (!isTaken || at === null) invalid(`${name} of axis ${axis} of ${x.dtype}${shapeText(x.shape)}`);
      const shape = keepDims ? x.shape.with(at, 1) : x.shape.toSpliced(at, 1);
      return { dtype: computedType(x.dtype), shape };
    },
    evaluate({ x }, { axis, keepDims }) {
      const at = axisOf(axis, x.shape.length) as number;
      const { outer, length, inner } = aroundAxis(x.shape, at);
      const source = numbersOf(x);
      const shape = keepDims ? x.shape.with(at, 1) : x.shape.toSpliced(at, 1);
      const values = new Float64Array(sizeOf(shape));
      for (let o = 0; o < outer; o++) {
        for (let k = 0; k < inner; k++) {
          let total = first;
          for (let i = 0; i < length; i++) total = fold(total, source[(o * length + i) * inner + k] as number);
          values[o * inner + k] = finish ? finish(total, length) : total;
        }
      }
      return resultTensor(computedType(x.dtype), shape, values);
    },
  });
}
