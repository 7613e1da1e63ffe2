import { describe, expect, test } from 'vitest';
import { planStridedSlice, type SliceMasks } from '../../src/importers/strided-slice.ts';
import type { Dim, Shape } from '../../src/ir/shape.ts';
import { fc } from '../fast-check.ts';

const NO_MASKS: SliceMasks = { begin: 0, end: 0, ellipsis: 0, newAxis: 0, shrink: 0 };

function plan(shape: Shape, begin: readonly Dim[], end: readonly Dim[], masks: Partial<SliceMasks> = {}) {
  return planStridedSlice(shape, { begin, end, strides: begin.map(() => 1), masks: { ...NO_MASKS, ...masks } });
}

test('a part of a list is what JavaScript takes, or nothing to plan where it is empty', () => {
  const place = fc.integer({ min: -12, max: 12 });
  const masks = fc.record({ begin: fc.constantFrom(0, 1), end: fc.constantFrom(0, 1) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), place, place, masks, (size, begin, end, mask) => {
      const list = Array.from({ length: size }, (_, i) => i);
      const wanted = list.slice(mask.begin ? 0 : begin, mask.end ? size : end);
      const found = plan([size], [begin], [end], mask);
      if (wanted.length === 0) expect(found).toBeNull();
      else {
        const [cut = { axis: 0, start: 0, end: size }] = found?.cuts ?? [];
        expect(list.slice(cut.start, cut.end as number)).toEqual(wanted);
        expect(found?.shape).toEqual([wanted.length]);
      }
    }),
    { numRuns: 500, seed: 1 },
  );
});

describe('masks', () => {
  test('a new axis has size 1 and takes nothing', () => {
    expect(plan([2, 3], [0, 0], [0, 0], { newAxis: 1, begin: 2, end: 2 })).toEqual({ cuts: [], shape: [1, 2, 3] });
  });

  test('an ellipsis leaves as many axes as the others do not name', () => {
    expect(plan([2, 3, 4, 5], [0, 1], [0, 3], { ellipsis: 1 })).toEqual({
      cuts: [{ axis: 3, start: 1, end: 3 }],
      shape: [2, 3, 4, 2],
    });
  });

  test('beside a new axis an ellipsis leaves one more', () => {
    expect(plan([2, 3], [0, 0, 1], [0, 0, 2], { ellipsis: 1, newAxis: 2 })).toEqual({
      cuts: [{ axis: 1, start: 1, end: 2 }],
      shape: [2, 1, 1],
    });
  });

  test('a shrunk axis is one element, whatever the end and the stride are', () => {
    const found = planStridedSlice([4, 5], { begin: [-1], end: [0], strides: [7], masks: { ...NO_MASKS, shrink: 1 } });
    expect(found).toEqual({ cuts: [{ axis: 0, start: 3, end: 4 }], shape: [5] });
  });
});

describe('an open size', () => {
  test.each([
    [
      'may be cut to a number, or is taken whole below it',
      [0],
      [8],
      {},
      { cuts: [{ axis: 0, start: 0, end: 'n:8' }], shape: ['n:8'] },
    ],
    ['may be taken whole', [0], [0], { end: 1 }, { cuts: [], shape: ['n'] }],
    ['has no place counted from its end', [-1], [0], { end: 1 }, null],
    ['ends nowhere that is counted from its end', [0], [-1], {}, null],
    ['has no length from a later start on', [1], [0], { end: 1 }, null],
  ] as const)('%s', (_, begin, end, masks, expected) => {
    expect(plan(['n'], begin, end, masks)).toEqual(expected);
  });
});

test.each([
  ['a stride', [3], [0], [3], [2]],
  ['more axes than there are', [3], [0, 0], [1, 1], [1, 1]],
  ['lists of unequal length', [3], [0], [1, 1], [1]],
  ['a start that is a symbol', [3], ['n'], [3], [1]],
] as const)('%s has no plan', (_, shape, begin, end, strides) => {
  expect(planStridedSlice(shape, { begin, end, strides, masks: NO_MASKS })).toBeNull();
});
