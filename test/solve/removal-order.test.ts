import { expect, test } from 'vitest';
import { factorCholesky, solveCholesky } from '../../src/solve/cholesky.ts';
import { type RemovalProblem, removalOrder } from '../../src/solve/removal-order.ts';
import { random } from '../core.ts';

const RIDGE = 1e-3;

function numbers(count: number, seed: number): number[] {
  const next = random(seed);
  return Array.from({ length: count }, () => 2 * next() - 1);
}

/** A linear of six inputs, two of which nearly repeat others, on 40 rows. */
function problem({ unit = 1, step = 1, inputs = 6, outputs = 3 } = {}): RemovalProblem {
  const rows = numbers(40 * inputs, 1);
  for (let row = 0; row < 40; row++) {
    const at = row * inputs;
    rows[at + 4] = 0.9 * (rows[at] as number) + 0.02 * (rows[at + 4] as number);
    rows[at + 5] = (rows[at + 1] as number) - (rows[at + 2] as number) + 0.05 * (rows[at + 5] as number);
  }
  const gram = new Float64Array(inputs * inputs);
  for (let row = 0; row < 40; row++) {
    for (let i = 0; i < inputs; i++) {
      for (let j = 0; j < inputs; j++)
        gram[i * inputs + j] =
          (gram[i * inputs + j] as number) + (rows[row * inputs + i] as number) * (rows[row * inputs + j] as number);
    }
  }
  const weight = Float32Array.from(numbers(outputs * inputs, 2));
  return { weight, importance: Float64Array.of(1, 2, 0.5), gram, inputs, unit, step, ridge: RIDGE };
}

/** The least error of Σ importance (w h - v h)² + ridge |w - v|² where v has no weights for some inputs. */
function leastError({ weight, importance, gram, inputs, ridge }: RemovalProblem, gone: readonly number[]): number {
  let trace = 0;
  for (let i = 0; i < inputs; i++) trace += gram[i * inputs + i] as number;
  const at = (i: number, j: number) => (gram[i * inputs + j] as number) + (i === j ? (ridge * trace) / inputs : 0);
  const left = Array.from({ length: inputs }, (_, i) => i).filter((i) => !gone.includes(i));
  return importance.reduce((error, scale, out) => {
    const w = (i: number) => weight[out * inputs + i] as number;
    // The others take over what is gone: their change solves G_LL d = G_Lg w_g.
    const side = Float64Array.from(left, (i) => gone.reduce((sum, j) => sum + at(i, j) * w(j), 0));
    const change = side.slice();
    const factor = Float64Array.from(left.flatMap((i) => left.map((j) => at(i, j))));
    factorCholesky(factor, left.length);
    solveCholesky(factor, left.length, change);
    const whole = gone.reduce((sum, i) => sum + gone.reduce((part, j) => part + w(i) * at(i, j) * w(j), 0), 0);
    return error + scale * (whole - change.reduce((sum, value, i) => sum + value * (side[i] as number), 0));
  }, 0);
}

test('removes what the others make up for best, at the error that a new fit leaves', async () => {
  const of = problem();
  const { units, errors } = await removalOrder(of);
  const gone: number[] = [];
  for (const [step, unit] of units.entries()) {
    const others = [0, 1, 2, 3, 4, 5].filter((i) => !gone.includes(i));
    const best = others.reduce((a, b) => (leastError(of, [...gone, b]) < leastError(of, [...gone, a]) ? b : a));
    expect(unit).toBe(best);
    gone.push(unit);
    expect(errors[step + 1]).toBeCloseTo(leastError(of, gone), 5);
  }
  expect(errors[0]).toBe(0);
});

test.each([
  { unit: 2, step: 1, inputs: 6 },
  { unit: 1, step: 2, inputs: 6 },
  // More than four at once, and an odd number that is left.
  { unit: 1, step: 6, inputs: 23 },
  { unit: 5, step: 1, inputs: 25 },
])('the errors of several inputs at once are exact as well: %o', async (sizes) => {
  const { unit, step } = sizes;
  const of = problem(sizes);
  const { units, errors } = await removalOrder(of);
  const gone = [...units].flatMap((place) => Array.from({ length: unit }, (_, i) => place * unit + i));
  expect(errors).toHaveLength(Math.ceil(sizes.inputs / (unit * step)));
  expect(new Set(gone).size).toBe((errors.length - 1) * unit * step);
  for (const [i, error] of errors.entries())
    expect(error).toBeCloseTo(leastError(of, gone.slice(0, i * unit * step)), 5);
});

test('of two inputs that stand in for each other only one goes in a step', async () => {
  const gram = Float64Array.of(1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1);
  const weight = Float32Array.of(1, 1, 0.3, 0.4);
  const of = { weight, importance: Float64Array.of(1), gram, inputs: 4, unit: 1, step: 2, ridge: RIDGE };
  const { units, errors } = await removalOrder(of);
  expect([...units]).toEqual([0, 2]);
  expect(errors[1]).toBeCloseTo(0.09, 2);
});

test('inputs that are never read, or never vary, go first and cost nothing', async () => {
  const { weight, gram, ...rest } = problem();
  for (let out = 0; out < 3; out++) weight[out * 6 + 3] = 0;
  const silent = gram.map((value, i) => (Math.floor(i / 6) === 1 || i % 6 === 1 ? 0 : value));
  const { units, errors } = await removalOrder({ ...rest, weight, gram: silent });
  expect([...units.subarray(0, 2)].sort()).toEqual([1, 3]);
  expect(errors[1]).toBeCloseTo(0, 9);
  // A silent input keeps the ridge's small price.
  expect(errors[2]).toBeLessThan(0.01 * (errors[5] as number));
});

test('a linear that reads nothing but zeros has an order all the same', async () => {
  const { errors } = await removalOrder({ ...problem(), gram: new Float64Array(36) });
  expect([...errors].every(Number.isFinite)).toBe(true);
});

test('other work has its turn between steps, and each step is told', async () => {
  const told: string[] = [];
  setImmediate(() => told.push('other work'));
  await removalOrder(problem({ step: 2 }), (done, total) => told.push(`${done} of ${total}`));
  expect(told).toEqual(['1 of 2', 'other work', '2 of 2']);
});
