import type { Graph, Node } from './graph.ts';
import type { Tensor } from './tensor.ts';

/** A node's values over the calibration text. */
export interface BatchValues {
  /** One tensor for each batch of sequences. */
  readonly batches: readonly Tensor[];
  /** The values of all batches one after the other; undefined unless each token has a row and nothing is padded. */
  readonly rows: Float32Array | undefined;
}

/** A matrix [rows, columns], stored row by row. */
export interface Matrix {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
  /**
   * A vector [columns] that products subtract from each row, as the values are shared and must not change. Absent:
   * nothing is subtracted.
   */
  readonly mean?: Float32Array;
}

/** A matrix over the calibration text. */
export interface TextMatrix extends Matrix {
  /** Index of each row's sequence in the text. Rows of one sequence are adjacent. */
  readonly sequence: Int32Array;
  /** Number of leading rows that are fitted to; the others choose the regularization. */
  readonly fitted: number;
}

/** Tokens `start` to `start + length` are one sequence, and attend to one another. */
export interface Segment {
  readonly start: number;
  readonly length: number;
}

/** Query and key of the heads of one attention: rows are tokens, channels are head after head. */
export interface Heads {
  /** Queries [rows, heads · size]. */
  readonly q: Matrix;
  /** Keys [rows, heads · size]. */
  readonly k: Matrix;
  readonly heads: number;
  /** Factor of the scores: a score is scale · q·k. */
  readonly scale: number;
}

/**
 * Errors of an attention's scores against a teacher's. e_tu is the error of query t's score for key u, p_t the
 * teacher's softmax of query t: how much it attends to each key. Rows of all matrices are the same tokens; each has a
 * weight w_t, 0 or more.
 */
export interface ScorePairs {
  /**
   * Σ_t w_t Σ_u p_tu (e_tu - Σ_u p_tu e_tu)² over the queries, e being the errors plus those that `change` [rows,
   * channels] of the queries causes: twice the divergence of the softmax, to second order. An error that a whole row of
   * scores shares does not count.
   */
  divergence(change: Float32Array, weights: Float32Array): Promise<number>;
  /**
   * Half the gradient of `divergence` by the change of the queries [rows, channels]: for the errors that `change` alone
   * causes, or, without one, for the present errors.
   */
  slope(change: Float32Array | undefined, weights: Float32Array): Promise<Float32Array>;
  /**
   * Curvature of each head: the weighted mean over queries of scale² Σ_u p_tu κ κᵀ [size, size], κ being a key less the
   * mean of the keys under p_t.
   */
  curvatures(weights: Float32Array): Promise<Float64Array[]>;
  close(): Promise<void>;
}

/** Runs graphs on the calibration text, part by part: what fitting one layer after the other needs. */
export interface TextRuns {
  /** Computes the values of `wanted` nodes from the text or from `known` values, whichever is nearer. */
  compute(
    graph: Graph,
    wanted: readonly Node[],
    known: ReadonlyMap<Node, BatchValues>,
  ): Promise<Map<Node, BatchValues>>;
  /**
   * Views values as a matrix: the last axis as columns, all others as rows, which are tokens without padding, or whole
   * sequences.
   */
  matrixOf(values: BatchValues): TextMatrix;
  /** Computes aᵀ b [a.columns, b.columns] for matrices of the same rows, summed in f64 over pieces of them. */
  product(a: Matrix, b: Matrix): Promise<Float64Array>;
  /** Computes a bᵀ [a.rows, b.rows] for matrices of the same columns. */
  rowsTimes(a: Matrix, b: Matrix): Promise<Float32Array>;
  /** Compares the attention scores of student and teacher between the tokens of each segment. */
  scorePairs(student: Heads, teacher: Heads, segments: readonly Segment[]): Promise<ScorePairs>;
}
