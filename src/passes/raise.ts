import type { Graph } from '../graph.ts';
import { type Pass, type PassReport, runPasses } from '../pass.ts';
import { foldConstants } from './fold-constants.ts';
import { raiseAttention } from './raise-attention.ts';
import { raiseAttentionMask } from './raise-attention-mask.ts';
import { raiseDuplicates } from './raise-duplicates.ts';
import { raiseExpand } from './raise-expand.ts';
import { raiseGeluByErf, raiseGeluByTanh } from './raise-gelu.ts';
import { raiseLayerNorm } from './raise-layer-norm.ts';
import { raiseLayout } from './raise-layout.ts';
import { raiseLinear } from './raise-linear.ts';
import { raiseNeutral } from './raise-neutral.ts';
import { raiseNoNorm } from './raise-no-norm.ts';
import { raiseReshape } from './raise-reshape.ts';
import { raiseScale } from './raise-scale.ts';
import { raiseSoftmax } from './raise-softmax.ts';
import { raiseSoftmaxOffset } from './raise-softmax-offset.ts';
import { raiseStoredConstants } from './raise-stored-constants.ts';
import { raiseSums } from './raise-sums.ts';
import { raiseTrigram } from './raise-trigram.ts';

/** In this order: each finds what those before it have left in one spelling. */
export const raisePasses: readonly Pass[] = [
  raiseStoredConstants,
  raiseDuplicates,
  foldConstants,
  raiseLayout,
  raiseNeutral,
  raiseExpand,
  raiseSoftmaxOffset,
  raiseScale,
  raiseLayout,
  raiseReshape,
  raiseLinear,
  raiseSums,
  raiseLayerNorm,
  raiseNoNorm,
  raiseGeluByErf,
  raiseGeluByTanh,
  raiseTrigram,
  raiseAttentionMask,
  raiseSoftmax,
  raiseAttention,
  raiseScale,
];

/**
 * Finds the high-level ops in a graph that another tool has taken apart: norms, activations, linears with their biases,
 * attention. What it finds is exact up to f32 rounding; what it declines is in the reports.
 */
export function raise(graph: Graph): Promise<readonly (PassReport & { readonly pass: Pass })[]> {
  return runPasses(graph, raisePasses);
}
