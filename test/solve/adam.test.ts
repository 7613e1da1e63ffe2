import { expect, test } from 'vitest';
import { Adam } from '../../src/solve/adam.ts';

test('the first step moves each value by the rate, times its own factor, against its gradient', () => {
  const values = Float32Array.of(1, 1, 1);
  const slower = Float32Array.of(1);
  const adam = new Adam([
    { values, rate: 1 },
    { values: slower, rate: 0.5 },
  ]);
  adam.step([Float32Array.of(0.5, -1e-4, 0), Float32Array.of(3)], 0.01);
  const rounded = (array: Float32Array) => Array.from(array, (value) => Number(value.toFixed(4)));
  expect(rounded(values)).toEqual([0.99, 1.01, 1]);
  expect(rounded(slower)).toEqual([0.995]);
});

test('finds the minimum of a quadratic of unlike curvatures', () => {
  const values = [Float32Array.of(3), Float32Array.of(-2, 5)];
  const curvatures = [[0.1], [10, 1]];
  const adam = new Adam(values.map((part) => ({ values: part, rate: 1 })));
  for (let step = 0; step < 2000; step++) {
    const slopes = values.map((part, i) => part.map((value, k) => value * (curvatures[i]?.[k] as number)));
    adam.step(slopes, 0.02 * (1 - step / 2000));
  }
  for (const value of values.flatMap((part) => [...part])) expect(value).toBeCloseTo(0, 2);
});

test('long gradients are shortened all alike, so that their length does not count', () => {
  const [short, long] = [Float32Array.of(0, 0), Float32Array.of(0, 0)];
  const after = (values: Float32Array, scale: number) => {
    const adam = new Adam([{ values, rate: 1 }]);
    // Without shortening, the first would still weigh more in the means than the second.
    adam.step([Float32Array.of(3 * scale, 4 * scale)], 0.01);
    adam.step([Float32Array.of(-0.3, 0.4)], 0.01);
    return values;
  };
  expect(after(long, 1000)).toEqual(after(short, 1));
  // 0.3 and 0.4 are shorter than 1 and stay so.
  expect(after(Float32Array.of(0, 0), 0.1)).not.toEqual(short);
});
