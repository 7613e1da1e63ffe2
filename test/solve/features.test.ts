import { expect, test } from 'vitest';
import { solveCholesky } from '../../src/solve/cholesky.ts';
import { featuresOf } from '../../src/solve/features.ts';
import { at, built, noise, runs } from './matrices.ts';

const h = noise(3, 1);

test('the ridge is a power of ten of the mean energy of a column around its mean', async () => {
  const { ridgeOf, h: centred } = await featuresOf(h, runs);
  const energy = (rows: number) => {
    let sum = 0;
    for (let row = 0; row < rows; row++) for (let c = 0; c < 3; c++) sum += at(centred, row, c) ** 2;
    return sum / 3;
  };
  expect(ridgeOf('train', -2)).toBeCloseTo(energy(h.fitted) / 100, 6);
  expect(ridgeOf('all', 1)).toBeCloseTo(10 * energy(h.rows), 3);
});

test('columns that are there twice leave it as it is', async () => {
  const twice = built(6, (row, c) => at(h, row, c % 3));
  const [one, two] = [await featuresOf(h, runs), await featuresOf(twice, runs)];
  expect(two.ridgeOf('train', -3)).toBeCloseTo(one.ridgeOf('train', -3), 6);
});

test('factors are of hᵀh plus the ridge, each part and each power its own', async () => {
  const features = await featuresOf(h, runs);
  const solved = (part: 'train' | 'all', exponent: number) => {
    const sides = Float64Array.of(1, 0, 0);
    solveCholesky(features.factorOf(part, exponent), 3, sides);
    return sides[0] as number;
  };
  // More rows and more regularization both make less of the same right-hand side.
  const values = [solved('train', -6), solved('all', -6), solved('train', 1), solved('all', 1)];
  expect(values).toEqual(values.toSorted((a, b) => b - a));
  expect(new Set(values).size).toBe(4);
  expect(features.factorOf('train', -6)).toBe(features.factorOf('train', -6));
});
