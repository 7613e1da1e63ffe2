import { expect, test } from 'vitest';
import { principalAxes } from '../../src/solve/principal-axes.ts';
import { random } from '../core.ts';
import { fc } from '../fast-check.ts';

test('finds the line that points lie on, and how far they spread along it', () => {
  // (1, 2) + t (3, 4) / 5 for t = -5, 0, 5, the last one twice.
  const rows = Float32Array.of(-2, -2, 1, 2, 4, 6, 4, 6);
  const { mean, energies, axes, total } = principalAxes(rows, 2, Float64Array.of(1, 1, 1, 1));
  expect(Array.from(mean)).toEqual([1.75, 3]);
  // t is 1.25 on average, so the squares of t - 1.25 add up.
  expect(energies[0]).toBeCloseTo(6.25 ** 2 + 1.25 ** 2 + 2 * 3.75 ** 2, 10);
  expect(energies[1]).toBeCloseTo(0, 10);
  expect(Math.abs(axes[0] as number)).toBeCloseTo(0.6, 10);
  expect(Math.abs(axes[1] as number)).toBeCloseTo(0.8, 10);
  expect(total).toBeCloseTo(8 + 5 + 52 + 52, 10);
});

test('a row that counts twice is two rows', () => {
  const once = principalAxes(Float32Array.of(1, 0, 0, 1, 3, 1, 3, 1), 2, Float64Array.of(1, 1, 1, 1));
  const twice = principalAxes(Float32Array.of(1, 0, 0, 1, 3, 1), 2, Float64Array.of(1, 1, 2));
  expect(Array.from(twice.mean)).toEqual(Array.from(once.mean));
  twice.energies.forEach((energy, i) => {
    expect(energy).toBeCloseTo(once.energies[i] as number, 10);
  });
});

test('what the first axes leave out of the rows is the energy of the others, whatever the rows', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 1, max: 17 }),
      fc.integer(),
      fc.integer({ min: 0, max: 17 }),
      (count, width, seed, wanted) => {
        const next = random(seed);
        const rows = Float32Array.from({ length: count * width }, () => next() - 0.3);
        const weights = Float64Array.from({ length: count }, () => next());
        const { mean, energies, axes } = principalAxes(rows, width, weights);
        const rank = Math.min(wanted, width);
        let lost = 0;
        for (let r = 0; r < count; r++) {
          const rest = mean.map((value, i) => (rows[r * width + i] as number) - value);
          for (let axis = 0; axis < rank; axis++) {
            const direction = axes.subarray(axis * width, (axis + 1) * width);
            const along = rest.reduce((sum, value, i) => sum + value * (direction[i] as number), 0);
            for (let i = 0; i < width; i++) rest[i] = (rest[i] as number) - along * (direction[i] as number);
          }
          lost += (weights[r] as number) * rest.reduce((sum, value) => sum + value * value, 0);
        }
        expect(lost).toBeCloseTo(
          energies.subarray(rank).reduce((sum, energy) => sum + energy, 0),
          8,
        );
      },
    ),
    { numRuns: 40, seed: 1 },
  );
});
