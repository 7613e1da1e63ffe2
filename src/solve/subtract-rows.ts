/** Two rows of a matrix, which may be one, from which multiples of the rows `from` to `from + count` are subtracted. */
export interface RowPair {
  readonly first: number;
  readonly second: number;
  readonly from: number;
  readonly count: number;
  readonly multiples: Float64Array;
  /** Places of the multiples of the first and of the second row, `count` of them from there on. */
  readonly firstAt: number;
  readonly secondAt: number;
}

/**
 * Subtracts multiples of some rows from two others, in the first `columns` columns of a matrix whose rows start `stride`
 * apart. Four at a time, so that the two rows share what is read, and are read and written once for all four.
 */
export function subtractRows(values: Float64Array, stride: number, pair: RowPair, columns: number): void {
  const { first, second, from, count, multiples, firstAt, secondAt } = pair;
  const a = first * stride;
  const b = second * stride;
  let source = 0;
  for (; source + 3 < count; source += 4) {
    const ca = firstAt + source;
    const [a0, a1, a2, a3] = [multiples[ca], multiples[ca + 1], multiples[ca + 2], multiples[ca + 3]] as Four;
    const cb = secondAt + source;
    const [b0, b1, b2, b3] = [multiples[cb], multiples[cb + 1], multiples[cb + 2], multiples[cb + 3]] as Four;
    const s0 = (from + source) * stride;
    const s1 = s0 + stride;
    const s2 = s1 + stride;
    const s3 = s2 + stride;
    for (let j = 0; j < columns; j++) {
      const x0 = values[s0 + j] as number;
      const x1 = values[s1 + j] as number;
      const x2 = values[s2 + j] as number;
      const x3 = values[s3 + j] as number;
      const ofA = (values[a + j] as number) - a0 * x0 - a1 * x1 - a2 * x2 - a3 * x3;
      const ofB = (values[b + j] as number) - b0 * x0 - b1 * x1 - b2 * x2 - b3 * x3;
      values[a + j] = ofA;
      values[b + j] = ofB;
    }
  }
  for (; source < count; source++) {
    const ofFirst = multiples[firstAt + source] as number;
    const ofSecond = multiples[secondAt + source] as number;
    for (let j = 0, at = (from + source) * stride; j < columns; j++, at++) {
      const x = values[at] as number;
      const ofA = (values[a + j] as number) - ofFirst * x;
      const ofB = (values[b + j] as number) - ofSecond * x;
      values[a + j] = ofA;
      values[b + j] = ofB;
    }
  }
}

type Four = [number, number, number, number];
