import type { Graph } from '../../ir/graph.ts';
import { keepNothing, type Pass, type PassObserver, type PassReport, runPasses } from '../../ir/pass.ts';
import { foldConstants } from '../fold-constants.ts';
import { raiseAttention } from './attention.ts';
import { raiseAttentionMask } from './attention-mask.ts';
import { raiseDuplicates } from './duplicates.ts';
import { raiseExpand } from './expand.ts';
import { raiseFilledMask } from './filled-mask.ts';
import { raiseGeluByErf, raiseGeluByTanh } from './gelu.ts';
import { raiseLayerNorm, raiseLayerNormWithoutBias } from './layer-norm.ts';
import { raiseLayout } from './layout.ts';
import { raiseLinear } from './linear.ts';
import { raiseNeutral } from './neutral.ts';
import { raiseNoNorm } from './no-norm.ts';
import { raiseNormalize } from './normalize.ts';
import { raiseReshape } from './reshape.ts';
import { raiseScale } from './scale.ts';
import { raiseSoftmax } from './softmax.ts';
import { raiseSoftmaxOffset } from './softmax-offset.ts';
import { raiseStoredConstants } from './stored-constants.ts';
import { raiseSums } from './sums.ts';
import { raiseTrigram } from './trigram.ts';

/** All raising passes in their order: each matches what those before it have left in one spelling. */
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
  raiseNormalize,
  raiseReshape,
  raiseLinear,
  raiseSums,
  raiseLayerNorm,
  raiseLayerNormWithoutBias,
  raiseNoNorm,
  raiseGeluByErf,
  raiseGeluByTanh,
  raiseTrigram,
  raiseAttentionMask,
  raiseFilledMask,
  raiseSoftmax,
  raiseAttention,
  raiseScale,
];

/**
 * Finds the high-level ops in a graph that another tool has taken apart: norms, activations, linears with their biases,
 * attention. What it finds is exact up to f32 rounding; what it declines is in the reports.
 */
export function raise(
  graph: Graph,
  observers: readonly PassObserver[] = [],
): Promise<readonly (PassReport & { readonly pass: Pass })[]> {
  return runPasses(graph, raisePasses, { ...keepNothing, observers });
}
