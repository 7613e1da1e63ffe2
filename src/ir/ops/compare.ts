import { booleanOp } from './logical.ts';

/** Tests of a against b, in this order. */
export type Comparison = 'equal' | 'less' | 'lessOrEqual' | 'greater' | 'greaterOrEqual';

/** `test` of a and b for each element, broadcasting; the result is bool. */
export const compare = booleanOp(
  'compare',
  { attrs: { test: 'equal' as Comparison }, commutative: false },
  (a, b, { test }) => comparisons[test](a, b),
);

/** The computation of each test. */
const comparisons: { readonly [C in Comparison]: (a: number, b: number) => boolean } = {
  equal: (a, b) => a === b,
  less: (a, b) => a < b,
  lessOrEqual: (a, b) => a <= b,
  greater: (a, b) => a > b,
  greaterOrEqual: (a, b) => a >= b,
};
