import { describe, expect, test } from 'vitest';
import type { NodeStatistics } from '../../src/ir/statistics.ts';
import type { ValueClass } from '../../src/quantization/plan.ts';
import type { ActivationDType } from '../../src/quantization/qparams.ts';
import { saturationOf } from '../../src/quantization/saturation.ts';
import { graphOf } from '../core.ts';

const GRAPH = graphOf(`graph g (x: f32[2, 3])
  a = tanh(x)
  b = tanh(a)
return b: b`);

/** Statistics of values as calibration gives them, with 8192 bins up to 16. */
function observed(values: readonly number[]): NodeStatistics {
  const counts = new Float64Array(8192);
  for (const value of values) {
    const bin = Math.floor(((value + 16) / 32) * counts.length);
    counts[bin] = (counts[bin] as number) + 1;
  }
  const [min, max] = [Math.min(...values), Math.max(...values)];
  return { rows: values.length, min, max, mean: 0, rms: 1, histogram: { limit: 16, counts } };
}

/** The saturation of values a of a range from -1.28 to 1.27 in steps of 0.01, and of b, which is always inside. */
function saturated(values: readonly number[], more: Partial<ValueClass> = {}, dtype: ActivationDType = 'i8') {
  const classOf = (name: string): ValueClass => ({
    dtype,
    members: GRAPH.nodes().filter((node) => node.name === name),
    symmetric: false,
    method: 'minmax',
    ...(name === 'a' && more),
  });
  const scale = dtype === 'i16' ? 1.27 / 32767 : 0.01;
  const quant = { per: 'tensor', scale, zeroPoint: 0 } as const;
  const quants = new Map([
    [classOf('a'), quant],
    [classOf('b'), quant],
  ]);
  return saturationOf(
    quants,
    new Map([
      ['a', observed(values)],
      ['b', observed([0, 0.5, 1, -1])],
    ]),
  );
}

describe('values of other texts', () => {
  const inside = Array.from({ length: 996 }, (_, i) => (i - 498) / 400);

  test('that stay inside their ranges are no saturation', () => {
    expect(saturated(inside)).toEqual({ ranges: 2, narrow: 0, share: 0, worst: undefined });
  });

  test('are counted beyond either end, and the furthest is named', () => {
    const { ranges, share, worst } = saturated([...inside, 2.54, -1.92, 1.5, -1.5]);
    expect(ranges).toBe(2);
    expect(share).toBeCloseTo(4 / 1004, 9);
    expect(worst).toEqual({ name: 'a', reach: expect.closeTo(2, 1) });
  });

  test('within half a step of an end are rounded to it like others', () => {
    expect(saturated([...inside, 1.273]).share).toBe(0);
    expect(saturated([...inside, 1.29]).share).toBeGreaterThan(0);
  });

  test.each(['i8', 'i16'] as const)(
    'make a range narrow where its ends cost more than 8 bits of steps: %s',
    (dtype) => {
      // 1000 values lose 1000 · 0.01² / 12 by steps, which is what one loses by 0.091.
      expect(saturated([...inside, 1.345], {}, dtype).narrow).toBe(0);
      expect(saturated([...inside, 1.395], {}, dtype).narrow).toBe(1);
    },
  );

  test('are not looked at where no sample has chosen the range', () => {
    const fixed = { per: 'tensor', scale: 1 / 256, zeroPoint: -128 } as const;
    expect(saturated([9], { fixed })).toMatchObject({ ranges: 1, narrow: 0, share: 0 });
    expect(saturated([9], { attention: 'masked' })).toMatchObject({ ranges: 1, narrow: 0, share: 0 });
  });
});
