import { MbertError } from '../../errors.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph } from '../../ir/graph.ts';
import type { Target } from '../../passes/index.ts';
import { type Pruned, type PrunePlan, pruneTo } from '../../passes/prune/prune-plan.ts';
import { isAllowed } from '../evaluate/drop.ts';
import { compareOperations } from './measure.ts';

/** Attempts to find the least share: few, as each fits the whole model. */
const MAX_ATTEMPTS = 5;
/** The share that is tried first: most models lose little there. */
const FIRST_SHARE = 0.6;
/** The least share that is tried: below it hardly more than norms and embeddings are left. */
const LEAST_SHARE = 0.1;
/** The difference of shares that is not worth another attempt. */
const RESOLUTION = 0.04;

/**
 * The share of operations to try next, so that `maxDrop` holds with as few as possible: the middle between the least that
 * held and the largest that failed. Null where no attempt is worth its time.
 */
export function nextShare(
  attempts: readonly { readonly share: number; readonly drop: number }[],
  maxDrop: number,
): number | null {
  if (attempts.length === 0) return FIRST_SHARE;
  const sharesOf = (isHeld: boolean) =>
    attempts.filter(({ drop }) => isAllowed(drop, maxDrop) === isHeld).map(({ share }) => share);
  const high = Math.min(1, ...sharesOf(true));
  const low = Math.max(LEAST_SHARE, ...sharesOf(false));
  if (attempts.length >= MAX_ATTEMPTS || high - low <= RESOLUTION) return null;
  return Math.round(50 * (low + high)) / 100;
}

/** Corrections of a budget: one is enough, as what passes leave of a cut graph hardly depends on where it was cut. */
const MAX_CORRECTIONS = 4;

/**
 * Takes units out of a graph until the default passes leave no more than a share of the operations that they leave of the
 * original. Throws UNSUPPORTED where the graph has no units or cannot become so small.
 */
export async function pruneWithin(
  graph: Graph,
  share: number,
  plan: PrunePlan,
  job: { readonly original: Graph; readonly targets: readonly Target[]; readonly maxPositions: number },
): Promise<Pruned> {
  if (plan.groups.length === 0) {
    throw new MbertError('UNSUPPORTED', `${graph.name}: prune finds no heads and no neurons to take out`, {
      hint: plan.declined[0] ?? 'it takes attentions and feed-forward networks of linears with constant weights',
    });
  }
  let budget = share;
  let left = 1;
  for (let i = 0; i < MAX_CORRECTIONS; i++) {
    const trial = copyGraph(graph);
    pruneTo(trial, plan, budget);
    const target = job.targets[0] as Target;
    const { original, changed } = await compareOperations(job.original, trial, {
      target,
      maxPositions: job.maxPositions,
    });
    left = changed / original;
    if (left <= share) return pruneTo(graph, plan, budget);
    budget -= left - share;
  }
  throw new MbertError(
    'UNSUPPORTED',
    `${graph.name}: prune=${share}: ${(Math.ceil(1000 * left) / 1000).toFixed(3)} of the operations is the least`,
    {
      hint: 'heads and neurons are not all that takes time, and one of each stays in every layer',
    },
  );
}
