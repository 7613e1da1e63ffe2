import type { Graph } from '../../ir/graph.ts';
import type { PrunePlan } from '../../passes/prune/prune-plan.ts';
import type { Block } from './blocks.ts';

/** A teacher and what its candidates are made of. */
export interface Space {
  readonly teacher: Graph;
  readonly maxPositions: number;
  readonly blocks: readonly Block[];
  readonly plan: PrunePlan;
  /** How often each token id occurs in the text. */
  readonly tokenCounts: Float64Array;
}
