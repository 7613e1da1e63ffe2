import { expect, test } from 'vitest';
import { Adam } from '../../src/solve/adam.ts';

test('the first step moves each value by the rate, times its own factor, against its gradient', () => {
  const values = Float32Array.of(1, 1, 1);
  const slower = Float32Array.of(1);
  const adam = new Adam([
    { values, rate: 1 },
    { values: slower, rate: 0.5 },
  ]);
  adam.step([{ values: Float32Array.of(0.5, -1e-4, 0) }, { values: Float32Array.of(3) }], 0.01);
  const rounded = (array: Float32Array) => Array.from(array, (value) => Number(value.toFixed(4)));
  expect(rounded(values)).toEqual([0.99, 1.01, 1]);
  expect(rounded(slower)).toEqual([0.995]);
});

test('finds the minimum of a quadratic of unlike curvatures', () => {
  const values = [Float32Array.of(3), Float32Array.of(-2, 5)];
  const curvatures = [[0.1], [10, 1]];
  const adam = new Adam(values.map((part) => ({ values: part, rate: 1 })));
  for (let step = 0; step < 2000; step++) {
    const slopes = values.map((part, i) => ({
      values: part.map((value, k) => value * (curvatures[i]?.[k] as number)),
    }));
    adam.step(slopes, 0.02 * (1 - step / 2000));
  }
  for (const value of values.flatMap((part) => [...part])) expect(value).toBeCloseTo(0, 2);
});

test('long gradients are shortened all alike, so that their length does not count', () => {
  const [short, long] = [Float32Array.of(0, 0), Float32Array.of(0, 0)];
  const after = (values: Float32Array, scale: number) => {
    const adam = new Adam([{ values, rate: 1 }]);
    // Without shortening, the first would still weigh more in the means than the second.
    adam.step([{ values: Float32Array.of(3 * scale, 4 * scale) }], 0.01);
    adam.step([{ values: Float32Array.of(-0.3, 0.4) }], 0.01);
    return values;
  };
  expect(after(long, 1000)).toEqual(after(short, 1));
  // 0.3 and 0.4 are shorter than 1 and stay so.
  expect(after(Float32Array.of(0, 0), 0.1)).not.toEqual(short);
});

test('of a table only the rows with a gradient move, as far as they would alone', () => {
  const table = Float32Array.of(1, 2, 3, 4, 5, 6);
  const adam = new Adam([{ values: table, rate: 1 }]);
  // What lies in the other rows is from an earlier step and must not count.
  const values = Float32Array.of(99, 99, 0.1, -0.2, 99, 99);
  adam.step([{ values, rows: { places: [1], width: 2 } }], 0.01);
  const alone = Float32Array.of(3, 4);
  new Adam([{ values: alone, rate: 1 }]).step([{ values: Float32Array.of(0.1, -0.2) }], 0.01);
  expect([...table]).toEqual([1, 2, ...alone, 5, 6]);
});

test('goes on from its state as if it had not stopped, and leaves alone what has no gradient', () => {
  const gradients = [0.3, -0.2, 0.5, 0.1].map((value) => [{ values: Float32Array.of(value) }, undefined]);
  const trained = (stops: boolean) => {
    const parameters = [Float32Array.of(1), Float32Array.of(7)].map((values) => ({ values, rate: 1 }));
    let adam = new Adam(parameters);
    for (const [i, gradient] of gradients.entries()) {
      if (stops && i === 2) adam = new Adam(parameters, structuredClone(adam.state));
      adam.step(gradient, 0.01);
    }
    return parameters.map(({ values }) => [...values]);
  };
  expect(trained(true)).toEqual(trained(false));
  expect(trained(false)[1]).toEqual([7]);
});
