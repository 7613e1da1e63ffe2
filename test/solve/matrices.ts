import type { CalibrationRuns, Matrix } from '../../src/calibration-runs.ts';

export const ROWS = 400;

/** Products in plain loops; nothing here runs a graph. */
export const runs: CalibrationRuns = {
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

export function pick(values: readonly number[], place: number): number {
  return values[place] as number;
}

export function at(matrix: Matrix, row: number, column: number): number {
  return matrix.values[row * matrix.columns + column] as number;
}

export function built(columns: number, value: (row: number, column: number) => number): Matrix {
  const values = Float32Array.from({ length: ROWS * columns }, (_, i) => value(Math.floor(i / columns), i % columns));
  return { values, rows: ROWS, columns };
}

/** Different seeds give unrelated values in -1 … 1. */
export function noise(columns: number, seed: number): Matrix {
  let state = Math.imul(seed, 0x9e3779b9);
  return built(columns, () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39) | 0;
    return state / 2 ** 31;
  });
}
