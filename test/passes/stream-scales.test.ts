import { describe, expect, test } from 'vitest';
import { clampedScale, guessSizes, meanShares, scaleOf } from '../../src/passes/streams/stream-scales.ts';
import { graphOf } from '../core.ts';
import { fc } from '../fast-check.ts';
import { nodeNamed } from './values.ts';

const f64 = (...values: number[]) => Float64Array.from(values);
const close = (values: ArrayLike<number>) => Array.from(values, (value) => expect.closeTo(value, 10));

describe('the share of a channel', () => {
  test('is its size over the mean of all, and over several points their geometric mean', () => {
    expect([...meanShares([f64(1, 3)])]).toEqual(close([0.5, 1.5]));
    // 1/2 and 2/1: √(1/2 · 2) = 1; 3/2 and 0/1 is one point only.
    expect([...meanShares([f64(1, 3), f64(2, 0)])]).toEqual(close([1, 1.5]));
  });

  test('does not change with how large a point is as a whole', () => {
    const sizes = fc.array(fc.double({ min: 1e-3, max: 1e3, noNaN: true }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(sizes, sizes, fc.double({ min: 1e-6, max: 1e6, noNaN: true }), (a, b, factor) => {
        const plain = meanShares([f64(...a), f64(...b)]);
        const scaled = meanShares([f64(...a.map((size) => factor * size)), f64(...b)]);
        for (const [c, share] of scaled.entries()) expect(share / (plain[c] as number)).toBeCloseTo(1, 9);
      }),
      { numRuns: 100, seed: 1 },
    );
  });

  test('of one that is dead everywhere is the median of the others', () => {
    expect([...meanShares([f64(1, 0, 2)])]).toEqual([1, Number.NaN, 2]);
    expect([...scaleOf([f64(1, 0, 2, 3)])]).toEqual(close([2 / 3, 4 / 3, 4 / 3, 2]));
    expect([...scaleOf([f64(0, 0)])]).toEqual([1, 1]);
  });
});

describe('a scale', () => {
  test('stays within 2^30 of the median, and says which channels it does not reach', () => {
    const far = 2 ** 30;
    expect(clampedScale(f64(far, 1, 1 / far, 1, 1))).toEqual({ scale: f64(far, 1, 1 / far, 1, 1), clamped: [] });
    const { scale, clamped } = clampedScale(f64(4 * far, 2, 1 / far, 2, 2));
    expect([...scale]).toEqual([2 * far, 2, 2 / far, 2, 2]);
    expect(clamped).toEqual([0, 2]);
  });
});

describe('sizes that are guessed from weights', () => {
  const graph = graphOf(`graph g (ids: i32[5], x: f32[5, 2])
  e = gather(table f32[2, 2] {3, 0, 4, 2}, ids)
  l = linear(x, w f32[2, 2] {3, 4, 0, 2}, b f32[2] {12, 0})
  n = noNorm(l, g f32[2] {2, 10}, c f32[2] {0, 1})
  s = add(e, l)
  m = mul(s, k f32[1] {0.5})
  j = concat(x, m) {axis: 1}
  r = relu(j)
return n: n, j: r`);
  const sizes = guessSizes(graph);
  const of = (name: string) => [...(sizes.get(nodeNamed(graph, name)) ?? [])];

  test.each([
    ['what is not known has rms 1', 'x', [1, 1]],
    ['of a table the rms of each column', 'e', [Math.sqrt((9 + 16) / 2), Math.sqrt(4 / 2)]],
    ['products add up their squares, and the bias its own', 'l', [13, 2]],
    ['a norm scales them', 'n', [26, Math.sqrt(400 + 1)]],
    ['sums add up their squares', 's', [Math.sqrt(12.5 + 169), Math.sqrt(2 + 4)]],
    ['one number scales all of them', 'm', [Math.sqrt(12.5 + 169) / 2, Math.sqrt(6) / 2]],
    ['parts stand beside each other', 'j', [1, 1, Math.sqrt(12.5 + 169) / 2, Math.sqrt(6) / 2]],
    ['what is done to them otherwise is not known', 'r', [1, 1, 1, 1]],
  ])('%s', (_, name, expected) => {
    expect(of(name)).toEqual(expected.map((value) => expect.closeTo(value, 6)));
  });
});
