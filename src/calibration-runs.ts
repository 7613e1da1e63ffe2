import type { Graph, Node } from './graph.ts';
import type { Tensor } from './tensor.ts';

/** A node's values over the calibration text, one tensor for each batch of sequences. */
export type BatchValues = readonly Tensor[];

/** Rows of `columns` values, one after the other. */
export interface Matrix {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** What a row of a matrix stands for. */
export interface RowPlaces {
  /** The sequence's place in the calibration text. */
  readonly sequence: Int32Array;
  /** The token's place in its sequence; 0 where a row is a whole sequence. */
  readonly token: Int32Array;
}

/** Runs graphs on the calibration text, part by part: what fitting one layer after the other needs. */
export interface CalibrationRuns {
  /** How many sequences there are. */
  readonly sequences: number;
  /** The wanted nodes' values; what they need is computed from the text or from `known` values, whichever is nearer. */
  compute(
    graph: Graph,
    wanted: readonly Node[],
    known: ReadonlyMap<Node, BatchValues>,
  ): Promise<Map<Node, BatchValues>>;
  /** The last axis as columns, everything before it as rows: tokens without padding, or whole sequences. */
  matrixOf(values: BatchValues): Matrix & RowPlaces;
  /** aᵀ b [a.columns, b.columns] for matrices of the same rows, summed in f64 over pieces of them. */
  product(a: Matrix, b: Matrix): Promise<Float64Array>;
  /** a bᵀ [a.rows, b.rows] for matrices of the same columns. */
  rowsTimes(a: Matrix, b: Matrix): Promise<Float32Array>;
}
