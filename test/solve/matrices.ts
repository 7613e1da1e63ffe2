import type { Matrix, TextMatrix, TextRuns } from '../../src/ir/text-runs.ts';

export const ROWS = 400;

/** Rows of one sequence. */
export const LENGTH = 8;

/** One sequence in five is held out. */
const FITTED = (ROWS * 4) / 5;

/** Products in plain loops. */
export const runs: Pick<TextRuns, 'product' | 'rowsTimes'> = {
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

/** What products read there. */
export function at({ values, columns, mean }: Matrix, row: number, column: number): number {
  return (values[row * columns + column] as number) - (mean?.[column] ?? 0);
}

export function built(columns: number, value: (row: number, column: number) => number): TextMatrix {
  const values = Float32Array.from({ length: ROWS * columns }, (_, i) => value(Math.floor(i / columns), i % columns));
  const sequence = Int32Array.from({ length: ROWS }, (_, row) => Math.floor(row / LENGTH));
  return { values, rows: ROWS, columns, sequence, fitted: FITTED };
}

/** Different seeds give unrelated values in -1 … 1. */
export function noise(columns: number, seed: number): TextMatrix {
  let state = Math.imul(seed, 0x9e3779b9);
  return built(columns, () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39) | 0;
    return state / 2 ** 31;
  });
}
