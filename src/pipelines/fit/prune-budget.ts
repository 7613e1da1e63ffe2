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
 * held and the largest that failed, or `least`, below which nothing can be. Null where no attempt is worth its time.
 */
export function nextShare(
  attempts: readonly { readonly share: number; readonly drop: number }[],
  maxDrop: number,
  least: number,
): number | null {
  if (attempts.length === 0) return least < FIRST_SHARE ? FIRST_SHARE : middle(least, 1);
  const sharesOf = (isHeld: boolean) =>
    attempts.filter(({ drop }) => isAllowed(drop, maxDrop) === isHeld).map(({ share }) => share);
  const high = Math.min(1, ...sharesOf(true));
  const low = Math.max(LEAST_SHARE, least, ...sharesOf(false));
  if (attempts.length >= MAX_ATTEMPTS || high - low <= RESOLUTION) return null;
  return middle(low, high);
}

/** The middle in whole percents. */
function middle(low: number, high: number): number {
  return Math.round(50 * (low + high)) / 100;
}

/** Most trials to meet a share: what the default passes leave of a cut graph is nearly linear in what was cut. */
const MAX_TRIALS = 5;
/** How far below the share is near enough. */
const TOLERANCE = 0.005;

/** A model whose operations are counted, for the formats that it is written in and its longest sequence. */
interface CountingJob {
  readonly original: Graph;
  readonly targets: readonly Target[];
  readonly maxPositions: number;
}

/**
 * The share of operations that the default passes leave where all units are gone that may go. Throws UNSUPPORTED where the
 * graph has none.
 */
export function leastShareOf(graph: Graph, plan: PrunePlan, job: CountingJob): Promise<number> {
  refuseNoUnits(graph, plan);
  return shareAt(0, graph, plan, job);
}

/**
 * Takes units out of a graph until the default passes leave no more than a share of the operations that they leave of the
 * original. Throws UNSUPPORTED where the graph has no units or cannot become so small.
 */
export async function pruneWithin(graph: Graph, share: number, plan: PrunePlan, job: CountingJob): Promise<Pruned> {
  refuseNoUnits(graph, plan);
  let above = { budget: 1, left: 1 };
  let below: typeof above | undefined;
  let budget = share;
  for (let i = 0; i < MAX_TRIALS; i++) {
    const left = await shareAt(budget, graph, plan, job);
    if (left > share) above = { budget, left };
    else below = { budget, left };
    if (below && share - below.left < TOLERANCE) break;
    budget = below
      ? below.budget + ((above.budget - below.budget) * (share - below.left)) / (above.left - below.left)
      : budget - (left - share);
  }
  if (below) return pruneTo(graph, plan, below.budget);
  throw new MbertError(
    'UNSUPPORTED',
    `${graph.name}: prune=${share}: ${(Math.ceil(1000 * above.left) / 1000).toFixed(3)} of the operations is the least`,
    {
      hint: 'heads and neurons are not all that takes time, and one of each stays in every layer',
    },
  );
}

function refuseNoUnits(graph: Graph, plan: PrunePlan): void {
  if (plan.groups.length > 0) return;
  throw new MbertError('UNSUPPORTED', `${graph.name}: prune finds no heads and no neurons to take out`, {
    hint: plan.declined[0] ?? 'it takes attentions and feed-forward networks of linears with constant weights',
  });
}

/** The share of operations that the default passes leave of a graph that is cut down to a budget. */
async function shareAt(
  budget: number,
  graph: Graph,
  plan: PrunePlan,
  { original: whole, targets, maxPositions }: CountingJob,
): Promise<number> {
  const trial = copyGraph(graph);
  pruneTo(trial, plan, budget);
  const { original, changed } = await compareOperations(whole, trial, { target: targets[0] as Target, maxPositions });
  return changed / original;
}
