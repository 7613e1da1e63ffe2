import type { Graph, Node } from './graph.ts';
import type { Tensor } from './tensor.ts';

/** A node's values over the calibration text. */
export interface BatchValues {
  /** One tensor for each batch of sequences. */
  readonly batches: readonly Tensor[];
  /** Those of all batches one after the other, where each token has its row and nothing is padded. */
  readonly rows: Float32Array | undefined;
}

/** Rows of `columns` values, one after the other. */
export interface Matrix {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
  /** What products take off each row, as the values are shared and stay as they are; left out: nothing. */
  readonly mean?: Float32Array;
}

/** A matrix over the calibration text. */
export interface TextMatrix extends Matrix {
  /** Of each row: its sequence's place in the text. Rows of one sequence stand together. */
  readonly sequence: Int32Array;
  /** Rows before this one are fitted to, the others choose regularization. */
  readonly fitted: number;
}

/** Tokens `start` to `start + length` are one sequence, and attend to one another. */
export interface Segment {
  readonly start: number;
  readonly length: number;
}

/** Query and key of the heads of one attention: rows are tokens, channels are head after head. */
export interface Heads {
  /** [rows, heads · size] */
  readonly q: Matrix;
  /** [rows, heads · size] */
  readonly k: Matrix;
  readonly heads: number;
  /** A score is scale · q·k. */
  readonly scale: number;
}

/**
 * The errors e of an attention's scores against a teacher's, and p, how much the teacher's softmax attends to each key. Rows
 * of all matrices are the same tokens; each has a weight, 0 or more.
 */
export interface ScorePairs {
  /**
   * Σ_t w_t Σ_u p_tu (e_tu - Σ p_t e_t)² over the queries, e being the errors plus what `change` [rows, channels] of the
   * queries makes of them: twice what the softmax diverges by, to second order. A whole row of scores may be wrong alike.
   */
  divergence(change: Float32Array, weights: Float32Array): Promise<number>;
  /**
   * Half the gradient of `divergence` by the change of the queries [rows, channels]: of what `change` alone makes, or,
   * without one, of the errors there are.
   */
  slope(change: Float32Array | undefined, weights: Float32Array): Promise<Float32Array>;
  /** Of each head: the weighted mean of scale² Σ_u p_tu κ κᵀ [size, size], κ being a key less the mean that p_t sees. */
  curvatures(weights: Float32Array): Promise<Float64Array[]>;
  close(): Promise<void>;
}

/** Runs graphs on the calibration text, part by part: what fitting one layer after the other needs. */
export interface TextRuns {
  /** The wanted nodes' values; what they need is computed from the text or from `known` values, whichever is nearer. */
  compute(
    graph: Graph,
    wanted: readonly Node[],
    known: ReadonlyMap<Node, BatchValues>,
  ): Promise<Map<Node, BatchValues>>;
  /** The last axis as columns, everything before it as rows: tokens without padding, or whole sequences. */
  matrixOf(values: BatchValues): TextMatrix;
  /** aᵀ b [a.columns, b.columns] for matrices of the same rows, summed in f64 over pieces of them. */
  product(a: Matrix, b: Matrix): Promise<Float64Array>;
  /** a bᵀ [a.rows, b.rows] for matrices of the same columns. */
  rowsTimes(a: Matrix, b: Matrix): Promise<Float32Array>;
  /** What attention does between the tokens of each segment. */
  scorePairs(student: Heads, teacher: Heads, segments: readonly Segment[]): Promise<ScorePairs>;
}
