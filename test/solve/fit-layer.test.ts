import { expect, test } from 'vitest';
import type { CalibrationRuns, Matrix } from '../../src/calibration-runs.ts';
import { fitLayer, type LayerProblem } from '../../src/solve/fit-layer.ts';

const ROWS = 400;

test('finds gain, change and offset that were put in', async () => {
  const h = noise(3, 1);
  const z = noise(2, 2);
  const y = built(2, (row, c) => pick([2, -0.5], c) * at(z, row, c) + pick([0.3, -0.7], c) * at(h, row, 1) + c);
  const { gain, change, offset, errorAfter } = await fitLayer(problem({ h, z, y }), runs);
  expect(rounded(gain)).toEqual([2, -0.5]);
  expect(rounded(change)).toEqual([0, 0.3, 0, 0, -0.7, 0]);
  expect(rounded(offset)).toEqual([0, 1]);
  expect(errorAfter).toBeLessThan(1e-6);
});

test('leaves the gain at 1 where it is not wanted', async () => {
  const h = noise(2, 3);
  const z = noise(1, 4);
  const y = built(1, (row) => 3 * at(z, row, 0) + at(h, row, 0));
  expect(Array.from((await fitLayer(problem({ h, z, y, hasGain: false }), runs)).gain)).toEqual([1]);
});

test('changes nothing by what only looks related on the rows that are fitted to', async () => {
  const h = noise(60, 5);
  const z = noise(1, 6);
  const y = built(1, (row) => at(z, row, 0) + at(noise(1, 7), row, 0) * 0.1);
  const short = (matrix: Matrix): Matrix => ({
    ...matrix,
    rows: 80,
    values: matrix.values.slice(0, 80 * matrix.columns),
  });
  const fit = await fitLayer(problem({ h: short(h), z: short(z), y: short(y) }), runs);
  expect(fit.errorAfter).toBeLessThanOrEqual(fit.errorBefore);
  expect(Math.max(...Array.from(fit.change ?? [0], Math.abs))).toBeLessThan(0.02);
});

test('a constant channel of h gets no weight, one of z keeps its gain, a repeated one shares', async () => {
  const source = noise(1, 8);
  const h = built(3, (row, c) => (c === 0 ? 5 : at(source, row, 0)));
  const z = built(2, (row, c) => (c === 0 ? 7 : at(source, row, 0) ** 2));
  const y = built(2, (row, c) => (c === 0 ? 1 : 0) + at(source, row, 0) + at(z, row, 1));
  const { gain, change, offset } = await fitLayer(problem({ h, z, y }), runs);
  expect(Array.from(gain).every(Number.isFinite)).toBe(true);
  expect(Array.from(offset).every(Number.isFinite)).toBe(true);
  const [constant, first, second] = rounded(change);
  expect(constant).toBe(0);
  expect(first).toBe(second);
});

test('without a linear only gain and offset are fitted', async () => {
  const z = noise(1, 9);
  const y = built(1, (row) => 4 * at(z, row, 0) - 3);
  const fit = await fitLayer(problem({ h: undefined, z, y }), runs);
  expect([rounded(fit.gain), rounded(fit.offset), fit.change]).toEqual([[4], [-3], undefined]);
});

function problem(given: Pick<LayerProblem, 'h' | 'z' | 'y'> & { readonly hasGain?: boolean }): LayerProblem {
  const { rows } = given.z;
  const heldOut = Uint8Array.from({ length: rows }, (_, row) => (row % 5 === 4 ? 1 : 0));
  return { hasGain: true, weights: new Float32Array(rows).fill(1), heldOut, ...given };
}

/** Products in plain loops; nothing here runs a graph. */
const runs: CalibrationRuns = {
  sequences: 0,
  compute: () => Promise.reject(new Error('not here')),
  matrixOf: () => {
    throw new Error('not here');
  },
  async product(a, b) {
    const result = new Float64Array(a.columns * b.columns);
    for (let row = 0; row < a.rows; row++) {
      for (let i = 0; i < a.columns; i++) {
        for (let j = 0; j < b.columns; j++) {
          result[i * b.columns + j] = (result[i * b.columns + j] as number) + at(a, row, i) * at(b, row, j);
        }
      }
    }
    return result;
  },
  async rowsTimes(a, b) {
    const result = new Float32Array(a.rows * b.rows);
    for (let i = 0; i < a.rows; i++) {
      for (let j = 0; j < b.rows; j++) {
        for (let k = 0; k < a.columns; k++) {
          result[i * b.rows + j] = (result[i * b.rows + j] as number) + at(a, i, k) * at(b, j, k);
        }
      }
    }
    return result;
  },
};

function pick(values: readonly number[], place: number): number {
  return values[place] as number;
}

function at(matrix: Matrix, row: number, column: number): number {
  return matrix.values[row * matrix.columns + column] as number;
}

function built(columns: number, value: (row: number, column: number) => number): Matrix {
  const values = Float32Array.from({ length: ROWS * columns }, (_, i) => value(Math.floor(i / columns), i % columns));
  return { values, rows: ROWS, columns };
}

/** Different seeds give unrelated values in -1 … 1. */
function noise(columns: number, seed: number): Matrix {
  let state = Math.imul(seed, 0x9e3779b9);
  return built(columns, () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39) | 0;
    return state / 2 ** 31;
  });
}

function rounded(values: Float64Array | undefined): number[] {
  return Array.from(values ?? [], (value) => Number(value.toFixed(2)) + 0);
}
