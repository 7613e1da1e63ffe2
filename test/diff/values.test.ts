import { describe, expect, test } from 'vitest';
import { diffGraphs } from '../../src/diff/diff-graphs.ts';
import { findGivenNames } from '../../src/diff/names.ts';
import { isRounding, limitOf } from '../../src/diff/tolerance.ts';
import { compareValues, errorOf } from '../../src/diff/values.ts';
import { Graph } from '../../src/ir/graph.ts';
import { convertTensor, type DType, type Quant, readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { randomTensor } from '../core.ts';

const f32 = (...values: number[]) => Float32Array.from(values);

/** A linear with one weight. */
function graphWith(tensor: Tensor, quant?: Quant): Graph {
  const graph = new Graph('g');
  const x = graph.input('x', { dtype: 'f32', shape: [1, tensor.shape[1] as number] });
  graph.output('y', graph.add('linear', [x, graph.constant(tensor, 'w', quant)]));
  return graph;
}

const matrix = (values: readonly number[], columns = 2) =>
  tensorOf('f32', [values.length / columns, columns], Float32Array.from(values));

/** What is said of two weights in one place. */
function changesOf(a: Graph, b: Graph, options = {}): string[] {
  return diffGraphs(a, b, options).differences.map(({ kind, change }) => `${kind} ${change}`);
}

describe('how far apart values are', () => {
  test('is measured on all of them', () => {
    expect(errorOf(compareValues(f32(3, 0, -4), f32(3, 1, -4)))).toEqual({
      maxAbs: 1,
      relative: 0.25,
      sqnrDb: 10 * Math.log10(25),
      changed: 1,
      elements: 3,
    });
  });

  test('is not known where one side is not a number; where both are, they are equal', () => {
    expect(errorOf(compareValues(f32(1, 2), f32(1, Number.NaN)))).toMatchObject({ maxAbs: null, changed: 1 });
    expect(compareValues(f32(1, Number.NaN), f32(1, Number.NaN))).toMatchObject({ maxAbs: 0, changed: 0 });
  });

  test('counts no element that differs in the sign of zero only', () => {
    expect(compareValues(f32(0), f32(-0)).changed).toBe(0);
  });
});

describe('a tolerance', () => {
  const [a, b] = [matrix([1, 2, 3, 100]), matrix([1, 2, 3.5, 100])];

  test('is a distance, and a share of the largest value of either side', () => {
    expect(limitOf({ absolute: 0.5, relative: 0.01 }, 100)).toBe(1.5);
  });

  test.each([
    [{ absolute: 0.5, relative: 0 }, 0],
    [{ absolute: 0.499, relative: 0 }, 1],
    [{ absolute: 0, relative: 0.005 }, 0],
    [{ absolute: 0, relative: 0.00499 }, 1],
  ])('%j leaves %d differences of 0.5 beside 100', (tolerance, count) => {
    const { differences, constants } = diffGraphs(graphWith(a), graphWith(b), { tolerance });
    expect(differences.length).toBe(count);
    expect(constants).toEqual({ compared: 1, equal: 1 - count });
  });
});

describe('another float type', () => {
  test.each(['f16', 'bf16'] as const)('%s is the same numbers as far as it holds them', (dtype) => {
    const real = readF32(randomTensor({ dtype: 'f32', shape: [1000] }, 1));
    const bits = new Uint32Array(real.slice().buffer).map((word) => (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000);
    const stored = dtype === 'bf16' ? new Float32Array(bits.buffer) : narrow(real);
    expect(isRounding(real, stored, 'f32', dtype)).toBe(true);
    const nudged = stored.slice();
    nudged[7] = (nudged[7] as number) * (dtype === 'f16' ? 1 + 2 ** -9 : 1 + 2 ** -5);
    expect(isRounding(real, nudged, 'f32', dtype)).toBe(false);
  });

  test('rounds what is next to nothing to half of the least step of f16', () => {
    expect(isRounding(f32(2 ** -25), f32(0), 'f32', 'f16')).toBe(true);
    expect(isRounding(f32(2 ** -24), f32(0), 'f32', 'f16')).toBe(false);
  });

  test('is a difference of its own, unless that does not count', () => {
    const weight = matrix([1, 2, 3, 4]);
    const half = convertTensor(weight, 'f16');
    expect(changesOf(graphWith(weight), graphWith(half))).toEqual(['weights dtype']);
    expect(changesOf(graphWith(weight), graphWith(half), { dtype: false })).toEqual([]);
  });

  function narrow(values: Float32Array): Float32Array {
    return readF32(convertTensor(tensorOf('f32', [values.length], values), 'f16'));
  }
});

describe('what turns one weight into another', () => {
  const weight = randomTensor({ dtype: 'f32', shape: [4, 6] }, 2);
  const changed = (change: (value: number, i: number) => number, shape: readonly number[] = [4, 6]) =>
    changesOf(graphWith(weight), graphWith(tensorOf('f32', shape, readF32(weight).map(change))));

  test.each<[change: string, how: (value: number, i: number) => number]>([
    ['zeroed', () => 0],
    ['scaled', (value) => value * 1.01],
    ['scaled', (value, i) => value * (1 + Math.floor(i / 6))],
    ['values', (value, i) => value * (1 + (i % 6))],
    ['values', (value, i) => (i === 3 ? value * 1.01 : value * 2)],
    ['values', (value, i) => (i === 0 ? value + 1e-3 : value)],
    ['permuted', (_, i) => readF32(weight)[(i + 6) % 24] as number],
    ['permuted', (_, i) => readF32(weight)[i - (i % 6) + ((i + 1) % 6)] as number],
  ])('%s', (change, how) => {
    expect(changed(how)).toEqual([`weights ${change}`]);
  });

  test.each([
    [8, 127],
    [4, 7],
  ])('rounding to %d bits, a scale for each row, and back', (bits, most) => {
    const values = readF32(weight).slice();
    for (let row = 0; row < 4; row++) {
      const part = values.subarray(row * 6, row * 6 + 6);
      const step = Math.max(...part.map(Math.abs)) / most;
      part.set(part.map((value) => Math.round(value / step) * step));
    }
    const rounded = graphWith(tensorOf('f32', [4, 6], values));
    const { differences } = diffGraphs(graphWith(weight), rounded);
    expect(differences).toMatchObject([{ kind: 'weights', change: 'rounded', bits, axis: 0 }]);
    expect(changesOf(rounded, graphWith(weight))).toEqual(['weights unrounded']);
    values[8] = (values[8] as number) + 0.02;
    expect(changesOf(graphWith(weight), graphWith(tensorOf('f32', [4, 6], values)))).toEqual(['weights values']);
  });
});

describe('quantized weights', () => {
  const real = readF32(randomTensor({ dtype: 'f32', shape: [2, 8] }, 3));
  const quant = (scale: number): Quant => ({ per: 'channel', axis: 0, scales: f32(scale, scale) });
  const stored = (scale: number, nudge = 0): Graph => {
    const integers = Int8Array.from(real, (value, i) => Math.round(value / scale) + (i === 5 ? nudge : 0));
    return graphWith(tensorOf('i8', [2, 8], integers), quant(scale));
  };
  const float = graphWith(tensorOf('f32', [2, 8], real));

  test('stand for the floats that they were rounded from', () => {
    expect(changesOf(float, stored(0.01))).toEqual(['quant scheme']);
  });

  test('stand for other numbers where one is off by more than half a step', () => {
    expect(changesOf(float, stored(0.01, 1))).toEqual(['quant scheme', 'weights values']);
  });

  test('with one scale for all are the same numbers to half a step of both', () => {
    const whole = Int8Array.from(real, (value) => Math.round(value / 0.02));
    const perTensor = graphWith(tensorOf('i8', [2, 8], whole), { per: 'tensor', scale: 0.02, zeroPoint: 0 });
    expect(changesOf(stored(0.01), perTensor)).toEqual(['quant granularity']);
    expect(changesOf(stored(0.01, 4), perTensor)).toEqual(['quant granularity', 'weights values']);
  });

  test('in another integer type are another storage', () => {
    const wide = (dtype: DType) => {
      const integers = Int16Array.from(real, (value) => Math.round(value / 0.01));
      return graphWith(convertTensor(tensorOf('i16', [2, 8], integers), dtype), quant(0.01));
    };
    expect(changesOf(wide('i8'), wide('i16'))).toEqual(['quant storage']);
  });
});

test('names that only count say nothing: more than four that differ in their number', () => {
  const isGiven = findGivenNames(['layer.0.query', 'layer.1.query', 'add_1', 'add_2', 'add_3', 'add_4', 'x:0']);
  expect(['layer.0.query', 'add_3', 'x:0'].map(isGiven)).toEqual([true, true, true]);
  const counts = findGivenNames(['add_1', 'add_2', 'add_3', 'add_4', 'add_5', 'mul_1:0', 'mul_2:0']);
  expect(['add_3', 'add_9', 'mul_1:0'].map(counts)).toEqual([false, false, true]);
});
