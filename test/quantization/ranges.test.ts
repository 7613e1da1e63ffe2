import { describe, expect, test } from 'vitest';
import type { Node } from '../../src/ir/graph.ts';
import type { Histogram, NodeStatistics } from '../../src/ir/statistics.ts';
import type { ValueClass } from '../../src/quantization/plan.ts';
import { quantOf } from '../../src/quantization/qparams.ts';
import { chooseQuants, chooseRange } from '../../src/quantization/ranges.ts';
import { graphOf, random } from '../core.ts';
import { fc } from '../fast-check.ts';

/** Statistics of values as calibration would give them, with 8192 bins. */
function observed(values: readonly number[]): NodeStatistics {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const limit = 2 ** (Math.floor(Math.log2(largest)) + 1);
  const counts = new Float64Array(8192);
  for (const value of values) {
    const bin = Math.floor(((value + limit) / (2 * limit)) * counts.length);
    counts[bin] = (counts[bin] as number) + 1;
  }
  const squares = values.reduce((sum, value) => sum + value * value, 0);
  return {
    rows: values.length,
    min: values.reduce((least, value) => Math.min(least, value)),
    max: values.reduce((most, value) => Math.max(most, value)),
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    rms: Math.sqrt(squares / values.length),
    histogram: { limit, counts },
  };
}

/** A bell of 400,000 values within ±5.5, and one outlier. */
const bell = Array.from({ length: 400_000 }, (_, i) => {
  const u = (i + 0.5) / 400_000;
  return Math.log(u / (1 - u)) / 2.6;
});
const withOutlier = [...bell, 90];

describe('chooseRange', () => {
  test('minmax holds every value', () => {
    expect(chooseRange(observed(withOutlier), 'minmax', 'u8')).toEqual({ least: bell[0], most: 90 });
  });

  test.each(['percentile', 'mse', 'entropy'] as const)('%s clips a lone outlier', (method) => {
    const { least, most } = chooseRange(observed(withOutlier), method, 'u8');
    expect(most).toBeLessThan(80);
    expect(most).toBeGreaterThan(1);
    expect(least).toBeLessThan(-1);
  });

  test.each(['percentile', 'mse', 'entropy'] as const)('%s never leaves the observed range', (method) => {
    const values = [-1, -0.5, 0, 0.25, 2];
    const { least, most } = chooseRange(observed(values), method, 'u8');
    expect(least).toBeGreaterThanOrEqual(-1);
    expect(most).toBeLessThanOrEqual(2);
  });

  test('mse keeps an even distribution whole', () => {
    const even = Array.from({ length: 5000 }, (_, i) => i / 2500 - 1);
    expect(chooseRange(observed(even), 'mse', 'u8')).toEqual({ least: -1, most: even.at(-1) });
  });

  test('mse clips both ends alike, down to a fifth at most', () => {
    // 10,000 of 10,001 values are within ±0.01: finer steps are worth more than the one at the end.
    const counts = new Float64Array(2000);
    counts.fill(500, 990, 1010);
    counts[1999] = 1;
    const found = chooseRange(
      { rows: 10_001, min: -0.5, max: 1, mean: 0, rms: 0.01, histogram: { limit: 1, counts } },
      'mse',
      'u8',
    );
    expect(found.least / -0.5).toBeCloseTo(found.most, 10);
    expect(found.most).toBeGreaterThanOrEqual(0.2 - 1e-12);
  });

  test.each(['mse', 'entropy'] as const)('%s clips less where steps are finer', (method) => {
    const [coarse, fine] = (['u8', 'i16'] as const).map((dtype) => chooseRange(observed(withOutlier), method, dtype));
    expect(coarse?.most).toBeLessThan(80);
    expect(fine?.most).toBeGreaterThan(coarse?.most as number);
  });

  test.each([1, -1])(
    'entropy counts what it clips at the ends: a tail of one value in twenty stays, sign %d',
    (sign) => {
      const tail = Array.from({ length: 20_000 }, (_, i) => 6 + (34 * i) / 20_000);
      const { least, most } = chooseRange(observed([...bell, ...tail].map((value) => sign * value)), 'entropy', 'u8');
      expect(sign > 0 ? most : -least).toBeGreaterThan(39);
    },
  );

  test('entropy keeps values that all lie on the edge of a bin, as those of a saturated tanh', () => {
    const saturated = [...bell.map(Math.tanh), ...new Array<number>(100_000).fill(1)];
    expect(chooseRange(observed(saturated), 'entropy', 'u8').most).toBe(1);
  });

  test.each(['percentile', 'mse'] as const)('%s treats both signs alike', (method) => {
    for (let seed = 1; seed <= 20; seed++) {
      const next = random(seed);
      const counts = Float64Array.from({ length: 64 }, (_, i) => Math.floor(1e6 * next() ** (1 + Math.abs(i - 20))));
      const found = (histogram: Histogram, min: number, max: number) =>
        chooseRange({ rows: 1, min, max, mean: 0, rms: 1, histogram }, method, 'u8');
      const one = found({ limit: 1, counts }, -1, 1);
      const other = found({ limit: 1, counts: counts.toReversed() }, -1, 1);
      expect([other.least, other.most]).toEqual([expect.closeTo(-one.most, 9), expect.closeTo(-one.least, 9)]);
    }
  });

  test('values that are all zero have an empty range', () => {
    expect(chooseRange({ rows: 2, min: 0, max: 0, mean: 0, rms: 0 }, 'mse', 'u8')).toEqual({ least: 0, most: 0 });
  });
});

describe('quantOf', () => {
  test.each([
    [{ least: -1, most: 3 }, 'u8', false, { scale: Math.fround(4 / 255), zeroPoint: 64 }],
    [{ least: -1, most: 3 }, 'i8', false, { scale: Math.fround(4 / 255), zeroPoint: -64 }],
    [{ least: -1, most: 3 }, 'i8', true, { scale: Math.fround(3 / 127), zeroPoint: 0 }],
    [{ least: -1, most: 3 }, 'i16', false, { scale: Math.fround(3 / 32767), zeroPoint: 0 }],
    [{ least: 1, most: 3 }, 'u8', false, { scale: Math.fround(3 / 255), zeroPoint: 0 }],
    [{ least: -5, most: -2 }, 'i8', false, { scale: Math.fround(5 / 255), zeroPoint: 127 }],
    [{ least: 0, most: 0 }, 'u8', false, { scale: 1, zeroPoint: 0 }],
  ] as const)('of %o as %s, symmetric %s', (range, dtype, symmetric, expected) => {
    expect(quantOf(range, dtype, symmetric)).toEqual({ per: 'tensor', ...expected });
  });
});

test('quantOf holds 0 exactly and both ends to half a step, whatever the range', () => {
  const value = fc.double({ min: -1e30, max: 1e30, noNaN: true });
  fc.assert(
    fc.property(value, value, fc.constantFrom('i8', 'u8', 'i16'), fc.boolean(), (a, b, dtype, symmetric) => {
      const range = { least: Math.min(a, b), most: Math.max(a, b) };
      const { scale, zeroPoint } = quantOf(range, dtype, symmetric);
      const [low, high] = { i8: [-128, 127], u8: [0, 255], i16: [-32768, 32767] }[dtype] as [number, number];
      expect(Math.fround(scale)).toBe(scale);
      expect(Number.isInteger(zeroPoint) && zeroPoint >= low && zeroPoint <= high).toBe(true);
      if (symmetric) expect(zeroPoint).toBe(0);
      if (dtype === 'u8' && symmetric) return;
      const slack = scale * (0.5 + 1e-4);
      expect(scale * (low - zeroPoint)).toBeLessThanOrEqual(range.least + slack);
      expect(scale * (high - zeroPoint)).toBeGreaterThanOrEqual(range.most - slack);
    }),
    { numRuns: 500, seed: 1 },
  );
});

test('a scale that f32 could not hold as a normal number becomes 1: such values are zero', () => {
  expect(quantOf({ least: 0, most: 255 * 2 ** -60 }, 'u8').scale).toBe(2 ** -60);
  expect(quantOf({ least: 0, most: 254 * 2 ** -60 }, 'u8').scale).toBe(1);
});

describe('percentile', () => {
  const rangeOf = (histogram: Histogram) =>
    chooseRange({ rows: 1, min: -1e9, max: 1e9, mean: 0, rms: 1, histogram }, 'percentile', 'u8');

  test('keeps 99.999 % of 2.1 million values: ten and a half may go at each end', () => {
    const counts = new Float64Array(100).fill(2, 0, 10).fill(2, 90);
    counts[50] = 2_099_960;
    expect(rangeOf({ limit: 1, counts })).toEqual({ least: expect.closeTo(-0.9, 12), most: expect.closeTo(0.9, 12) });
  });

  test('cuts less than a value in 200,000 off each end, and would cut more with one bin less', () => {
    const bins = fc.array(fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 10_000_000 })), {
      minLength: 2,
      maxLength: 64,
    });
    fc.assert(
      fc.property(bins, fc.integer({ min: -20, max: 20 }), (counts, exponent) => {
        const total = counts.reduce((sum, count) => sum + count, 0);
        fc.pre(total > 0);
        const limit = 2 ** exponent;
        const { least, most } = rangeOf({ limit, counts: Float64Array.from(counts) });
        const width = (2 * limit) / counts.length;
        const [first, end] = [Math.round((least + limit) / width), Math.round((most + limit) / width)];
        const sum = (from: number, to: number) => counts.slice(from, to).reduce((all, count) => all + count, 0);
        const most200000th = total / 200_000 + 1e-6;
        expect(sum(0, first)).toBeLessThanOrEqual(most200000th);
        expect(sum(0, first + 1)).toBeGreaterThan(most200000th - 2e-6);
        expect(sum(end, counts.length)).toBeLessThanOrEqual(most200000th);
        expect(sum(end - 1, counts.length)).toBeGreaterThan(most200000th - 2e-6);
      }),
      { numRuns: 300, seed: 1 },
    );
  });
});

describe('margins of smoothed graphs', () => {
  /** An attention's context that a linear reads, and a norm's result, multiplied with `factor` before a linear. */
  const textWith = (factor: string) => `graph g (p: f32[2, 4, 4], v: f32[2, 4, 8], x: f32[4, 16])
    s = softmax(p)
    c = matmul(s, v)
    t = transpose(c) {permutation: [1, 0, 2]}
    r = reshape(t) {shape: [4, 16]}
    n = layerNorm(x, g f32[16] #1, b f32[16] #2)
    m = mul(n, k ${factor})
    y = linear(r, w f32[16, 16] #3)
    z = linear(m, w f32[16, 16] #3)
  return y: y, z: z`;
  const ends = (factor: string) => {
    const graph = graphOf(textWith(factor));
    const node = (name: string) => graph.nodes().find((each) => each.name === name) as Node;
    const values = ['r', 'm', 'n'].map(
      (name): ValueClass => ({ dtype: 'u8', members: [node(name)], symmetric: false, method: 'minmax' }),
    );
    const copies = new Map(values.map((each) => [each.members[0] as Node, each]));
    const plan = {
      graph,
      settings: new Map(),
      integer: new Set<Node>(),
      stored: new Map(),
      copies,
      storedFor: new Map(),
    };
    const reach: NodeStatistics = { rows: 1, min: -1, max: 1, mean: 0, rms: 1 };
    const quants = chooseQuants(plan, new Map(['r', 'm', 'n'].map((name) => [name, reach])));
    return values.map((each) => Number((((quants.get(each)?.scale ?? 0) * 255) / 2).toFixed(3)));
  };

  test('contexts and products behind a norm reach further than observed, the norm itself does not', () => {
    expect(ends('f32[16] #4')).toEqual([1.3, 1.15, 1]);
  });

  test('without a smoothed value contexts end where they were seen to end', () => {
    expect(ends('f32[1] {2}')).toEqual([1, 1, 1]);
  });
});

describe('chooseQuants', () => {
  const graph = graphOf('graph g (a: f32[2], b: f32[2])\n  c = concat(a, b, k f32[2] {-7, 9}) {axis: 0}\nreturn c: c');
  const nodes = graph.nodes();
  const found = (min: number, max: number): NodeStatistics => ({ rows: 1, min, max, mean: 0, rms: 1 });
  const rangeOf = (parts: Partial<ValueClass>, statistics: readonly (readonly [string, NodeStatistics])[]) => {
    const values: ValueClass = { dtype: 'u8', members: nodes, symmetric: false, method: 'minmax', ...parts };
    const plan = {
      graph,
      settings: new Map(),
      integer: new Set(nodes),
      stored: new Map([[nodes[0] as never, values]]),
      copies: new Map(),
      storedFor: new Map(),
    };
    const quant = chooseQuants(plan, new Map(statistics)).get(values);
    const [least = 0, most = 0] = quant ? [-quant.zeroPoint * quant.scale, (255 - quant.zeroPoint) * quant.scale] : [];
    return [least, most].map((value) => Number(value.toFixed(1)) + 0);
  };

  test('holds what all values of a class reach, constants among them', () => {
    expect(
      rangeOf({}, [
        ['a', found(-1, 2)],
        ['b', found(-3, 1)],
        ['c', found(0, 0)],
      ]),
    ).toEqual([-7, 9]);
  });

  test('what only moves values and was not observed itself has the range of all that it moves', () => {
    const moved = nodes.filter(({ op }) => op === 'concat');
    expect(
      rangeOf({ members: moved }, [
        ['a', found(-1, 2)],
        ['b', found(-30, 1)],
      ]),
    ).toEqual([-30, 9]);
  });

  test.each([
    ['masked', [-3, 5], [-25, 5]],
    ['masked', [-8, 5], [-28, 5]],
    ['mask', [-3, 5], [-25, 0]],
    ['mask', [-8, 5], [-28, 0]],
  ] as const)('%s: scores of %j leave room for 20 below the largest of either sign', (attention, scores, expected) => {
    const members = nodes.filter(({ name }) => name === 'a');
    rangeOf({ members, attention }, [['a', found(scores[0], scores[1])]]).forEach((end, i) => {
      expect(end).toBeCloseTo(expected[i] as number, 0);
    });
  });

  test.each([
    [Number.NEGATIVE_INFINITY, 1],
    [0, Number.POSITIVE_INFINITY],
    [Number.NaN, Number.NaN],
  ])('refuses values that reach %d to %d', (min, max) => {
    expect(() => rangeOf({ members: nodes.filter(({ name }) => name === 'a') }, [['a', found(min, max)]])).toThrow(
      expect.objectContaining({ code: 'MALFORMED', message: expect.stringMatching(/^a: values reach/) }),
    );
  });
});

describe('the range of a value that was scaled, its tokens moved or not', () => {
  const rangeBehind = (op: string, parameters: string) => {
    const graph = graphOf(`graph g (x: f32[2, 3])
  y = ${op}(x${parameters})
  r = reshape(y) {shape: [1, 2, 3]}
  t = transpose(r) {permutation: [1, 0, 2]}
  z = mul(t, s f32[3] {1, 0.5, 1})
return z: z`);
    const z = graph.nodes().find(({ name }) => name === 'z') as ValueClass['members'][number];
    const values: ValueClass = { dtype: 'u8', members: [z], symmetric: false, method: 'minmax' };
    const plan = { graph, settings: new Map(), integer: new Set([z]), stored: new Map([[z, values]]) };
    const quants = chooseQuants(
      { ...plan, copies: new Map(), storedFor: new Map() },
      new Map([['z', observed([-1, 2])]]),
    );
    const { scale, zeroPoint } = quants.get(values) as { scale: number; zeroPoint: number };
    return { least: -zeroPoint * scale, most: (255 - zeroPoint) * scale };
  };

  test.each([
    ['a norm', 'layerNorm', ', g f32[3] {1, 1, 1}, b f32[3] {0, 0, 0}', -1.15, 2.3],
    ['a GELU', 'gelu', '', -1, 2.7],
    ['anything else', 'tanh', '', -1, 2],
  ])('behind %s', (_, op, parameters, least, most) => {
    const range = rangeBehind(op, parameters);
    expect(range.most - range.least).toBeCloseTo(most - least, 3);
    expect(Math.abs(range.most - most)).toBeLessThan(0.01);
  });
});
