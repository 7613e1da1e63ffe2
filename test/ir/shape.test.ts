import { expect, test } from 'vitest';
import { bindDim, limitedDim } from '../../src/ir/shape.ts';

test.each([
  [40, 32],
  [7, 7],
  ['sequence', 'sequence:32'],
  ['sequence:64', 'sequence:32'],
  ['sequence:8', 'sequence:8'],
  ['batch*sequence', null],
])('%s is limited to 32 as %s', (dim, limited) => {
  expect(limitedDim(dim, 32)).toBe(limited);
});

test.each([
  ['sequence:32', 5, 5],
  ['sequence:32', 100, 32],
  ['2*sequence:32', 100, 64],
])('%s of a sequence of %d is %d', (dim, sequence, size) => {
  expect(bindDim(dim, { sequence })).toBe(size);
});
