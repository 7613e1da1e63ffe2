import type { TextMatrix, TextRuns } from '../../../ir/text-runs.ts';
import type { Features } from '../../../solve/features.ts';
import { fitLayer } from '../../../solve/fit-layer.ts';

/** The exponent of 10 that regularizes where no fit is better than a constant. */
const STRONG_RIDGE = 1;

/** A linear function of features, fitted to text. */
export interface TextMap {
  /** The matrix [out, in]. */
  readonly map: Float64Array;
  /** What is added to map · h. */
  readonly offset: Float64Array;
  /** The exponent of 10 of the ridge that was best on held-out rows. */
  readonly ridge: number;
}

/** Fits y ≈ map · h + offset by ridge least squares; where nothing is better than a constant on held-out rows, map is 0. */
export async function regress(features: Features, y: TextMatrix, runs: TextRuns): Promise<TextMap> {
  const z = { ...y, values: new Float32Array(y.values.length) };
  const { change, offset, ridge } = await fitLayer({ features, z, y, hasGain: false }, runs);
  const map = change ?? new Float64Array(y.columns * features.h.columns);
  return { map, offset, ridge: ridge ?? STRONG_RIDGE };
}

/** Puts the columns of matrices over the same text side by side. */
export function joinColumns(parts: readonly TextMatrix[]): TextMatrix {
  const [first] = parts as readonly [TextMatrix];
  const columns = parts.reduce((sum, part) => sum + part.columns, 0);
  const values = new Float32Array(first.rows * columns);
  let from = 0;
  for (const part of parts) {
    for (let row = 0; row < part.rows; row++) {
      values.set(part.values.subarray(row * part.columns, (row + 1) * part.columns), row * columns + from);
    }
    from += part.columns;
  }
  return { ...first, values, columns };
}

/** Computes map · h + offset of each row. */
export async function mapRows(
  h: TextMatrix,
  map: Float64Array,
  runs: TextRuns,
  offset?: Float64Array,
): Promise<TextMatrix> {
  const rows = map.length / h.columns;
  const plain = { values: h.values, rows: h.rows, columns: h.columns };
  const values = await runs.rowsTimes(plain, { values: Float32Array.from(map), rows, columns: h.columns });
  if (offset) {
    for (let row = 0, at = 0; row < h.rows; row++) {
      for (let c = 0; c < rows; c++, at++) values[at] = (values[at] as number) + (offset[c] as number);
    }
  }
  return { ...h, values, columns: rows };
}
