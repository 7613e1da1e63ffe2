import type { Call, Node } from '../ir/graph.ts';
import { dequantized } from '../ir/quantized.ts';
import { readF32, type Tensor, tensorOf } from '../ir/tensor.ts';
import { isWordTable } from './settings.ts';
import { type QuantizedWeight, quantizeWeight, type WeightOptions } from './weights.ts';

/**
 * The share of a word table's rows whose errors are stored at most: the 953 commonest tokens of 384 lines, one of 32 in a
 * BERT's vocabulary, are 65 % of the tokens of other lines. With their places they take 5 % of the table's bytes.
 */
const COMMON_SHARE = 1 / 32;

/** Bytes of errors and places beside a table [rows, width], of which `count` rows have errors: see `RowErrors`. */
export function rowErrorBytes([rows = 0, width = 0]: readonly number[], count: number, blockSize: number): number {
  return 4 * rows + ((count + 1) * width * (4 + 20 / blockSize)) / 8;
}

/**
 * Chooses the rows of a word table of 4 bits in blocks whose errors are to be stored: the commonest tokens of the
 * calibration samples. Undefined for what is no such table.
 */
export function commonRows(node: Call, options: WeightOptions, counts: Float64Array): number[] | undefined {
  if (options.granularity !== 'block' || options.dtype === 'i8' || !isWordTable(node)) return undefined;
  const rows = (node.inputs[0] as Node).type.shape[0] as number;
  const most = Math.floor(COMMON_SHARE * rows);
  const seen = Array.from({ length: Math.min(counts.length, rows) }, (_, id) => id).filter(
    (id) => (counts[id] as number) > 0,
  );
  const common = seen.sort((a, b) => (counts[b] as number) - (counts[a] as number) || a - b).slice(0, most);
  return common.length > 0 ? common : undefined;
}

/** Adds the errors of these rows to a rounded table [rows, width], in the form of its own integers. */
export function withRowErrors(
  table: Tensor,
  rounded: QuantizedWeight,
  options: WeightOptions,
  rows: readonly number[],
): QuantizedWeight {
  const [count = 0, width = 0] = table.shape;
  const real = readF32(table);
  const stored = readF32(dequantized(rounded.tensor, rounded.quant));
  const errors = new Float32Array((rows.length + 1) * width);
  const places = new Int32Array(count);
  for (const [i, row] of rows.entries()) {
    places[row] = i + 1;
    for (let k = 0, at = row * width, to = (i + 1) * width; k < width; k++, at++, to++) {
      errors[to] = (real[at] as number) - (stored[at] as number);
    }
  }
  const tensor = tensorOf('f32', [rows.length + 1, width], errors);
  return { ...rounded, rowErrors: { places, errors: quantizeWeight(tensor, options) } };
}

/** Computes the numbers that a rounded weight or table stands for. */
export function realValues({ tensor, quant, rowErrors }: QuantizedWeight): Float32Array {
  const values = readF32(dequantized(tensor, quant));
  if (!rowErrors) return values;
  const { places, errors } = rowErrors;
  const added = readF32(dequantized(errors.tensor, errors.quant));
  const width = tensor.shape[1] as number;
  for (const [row, place] of places.entries()) {
    if (place === 0) continue;
    for (let k = 0, at = row * width, from = place * width; k < width; k++, at++, from++) {
      values[at] = (values[at] as number) + (added[from] as number);
    }
  }
  return values;
}
