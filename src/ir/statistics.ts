import type { Node } from './graph.ts';

/**
 * Statistics asked for about a node's values. Minimum, maximum, mean and rms of the whole tensor are always collected.
 */
export interface StatisticsRequest {
  readonly node: Node;
  /** Minimum, maximum, mean and rms of each channel (last axis) as well. */
  readonly channels?: boolean;
  /** The distribution of the whole tensor's values as well. */
  readonly histogram?: boolean;
  /** XᵀX over all rows as well, for error-compensated rounding and least squares. Takes 8·channels² bytes. */
  readonly gram?: boolean;
}

/** Statistics of a node's values over every sample: valid tokens only, padding left out. */
export interface NodeStatistics {
  /** Rows of `channels` values that were counted, i.e. tokens (for attention scores: pairs of tokens and heads). */
  readonly rows: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** √(Σx²/n); the ratio max |x| / rms tells how large outliers are. */
  readonly rms: number;
  readonly channels?: ChannelStatistics;
  readonly histogram?: Histogram;
  readonly gram?: Gram;
}

/** One entry for each channel of the last axis. */
export interface ChannelStatistics {
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly mean: Float64Array;
  readonly rms: Float64Array;
}

/**
 * Counts of values in equal bins over [-limit, limit): bin i holds [-limit + i·width, -limit + (i + 1)·width), width =
 * 2·limit / counts.length. `limit` is a power of two above max |x|, so that the counts do not depend on the order in
 * which values came; the exact minimum and maximum are in NodeStatistics.
 */
export interface Histogram {
  readonly limit: number;
  readonly counts: Float64Array;
}

/** Σ x xᵀ [size, size] and Σ x [size] over `rows` rows. */
export interface Gram {
  readonly size: number;
  readonly rows: number;
  readonly products: Float64Array;
  readonly sums: Float64Array;
}

/** Statistics by node name: they stay true for a graph that a pass changed elsewhere. */
export type Statistics = ReadonlyMap<string, NodeStatistics>;

/** The largest absolute value, max |x|. */
export function absMax({ min, max }: { readonly min: number; readonly max: number }): number {
  return Math.max(Math.abs(min), Math.abs(max));
}
