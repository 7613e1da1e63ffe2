import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { runAsPass } from '../../ir/pass.ts';
import type { TextRuns } from '../../ir/text-runs.ts';
import type { Evidence } from '../../options/evidence.ts';
import type { PassChoice } from '../../options/passes.ts';
import { type Run, within } from '../../options/run.ts';
import { fitTogether } from '../../passes/fit/fit.ts';
import type { fittedPasses, Target } from '../../passes/index.ts';
import { prune } from '../../passes/prune/prune.ts';
import type { PrunePlan } from '../../passes/prune/prune-plan.ts';
import { isAllowed } from '../evaluate/drop.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';
import { distill } from './distill.ts';
import { compareOperations, measureHeldOut } from './measure.ts';
import { leastShareOf, nextShare, pruneWithin } from './prune-budget.ts';
import { nextKept } from './search.ts';
import { rankSites, type SensitiveSite } from './sensitivity.ts';
import type { BudgetRow, Distillation, FitReport, FitRow, HeldOut, Operations, Pruning } from './types.ts';

/** Subject of a fit: the original graph, and what changed graphs are measured by. */
export interface FitSubject {
  /** The graph before anything was changed. */
  readonly original: Graph;
  readonly maxPositions: number;
  /** Longest text, in tokens. */
  readonly maxLength: number;
  readonly passes: PassChoice;
  readonly targets: readonly Target[];
  readonly evidence: Evidence;
  readonly run: Run;
  readonly samples: SampleSets;
  /** Options for feeding texts to both models. */
  readonly feeds: FeedOptions;
}

/** A changed graph, with what it costs and brings. */
export interface Candidate {
  readonly graph: Graph;
  /** Names of norms and activations that stayed as they are, the most sensitive first. */
  readonly kept: readonly string[];
  readonly passes: FitReport['passes'];
  readonly pruning: Pick<Pruning, 'share' | 'groups'> | undefined;
  readonly distillation: Distillation | undefined;
  readonly heldOut: HeldOut | undefined;
  readonly operations: readonly Operations[];
}

/** A fit to text: its subject, the passes, and runs on the calibration texts. */
export interface FitJob extends FitSubject {
  readonly fitted: typeof fittedPasses;
  /** Runs on the calibration texts. */
  readonly runs: TextRuns;
  /** Opens runs on a few of the calibration texts. */
  readonly fewRuns: () => Promise<TextRuns & { close(): Promise<void> }>;
  /** Order in which heads and neurons go; undefined where none do. */
  readonly plan?: PrunePlan | undefined;
}

/** A fit that was chosen, with the attempts before it. */
interface FoundFit {
  readonly chosen: Candidate;
  readonly pareto: readonly FitRow[] | undefined;
  readonly budgets: readonly BudgetRow[] | undefined;
}

/**
 * Fits all norms and activations; where that loses more than --max-drop allows, fits again with more and more of the
 * most sensitive ones kept as they are. Where heads and neurons go and nobody says how many, the least share of
 * operations is searched that holds --max-drop.
 */
export async function fitWithin(graph: Graph, job: FitJob): Promise<FoundFit> {
  const { maxDrop } = job.evidence;
  const share = job.passes.operationShare;
  if (job.plan !== undefined && share === undefined && maxDrop !== undefined)
    return leastShare(graph, { ...job, plan: job.plan }, maxDrop);
  const first = await fitKeeping(graph, [], job, { count: 1, share });
  if (maxDrop === undefined || isAllowed(dropOf(first), maxDrop))
    return { chosen: first, pareto: undefined, budgets: undefined };
  const sites = await rank(job);
  const candidates = [first];
  const attempts = () => candidates.map((candidate) => ({ kept: candidate.kept.length, drop: dropOf(candidate) }));
  for (let kept = nextKept(sites, attempts(), maxDrop); kept !== null; kept = nextKept(sites, attempts(), maxDrop)) {
    candidates.push(await fitKeeping(graph, sites.slice(0, kept), job, { count: candidates.length + 1, share }));
  }
  const holding = candidates.filter((candidate) => isAllowed(dropOf(candidate), maxDrop));
  const chosen = holding.length > 0 ? least(holding, (candidate) => candidate.kept.length) : least(candidates, dropOf);
  return { chosen, pareto: rowsOf(candidates, chosen, sites), budgets: undefined };
}

/** Searches for the least share of operations that holds a limit, and otherwise takes what lost least. */
async function leastShare(
  graph: Graph,
  job: FitJob & { readonly plan: PrunePlan },
  maxDrop: number,
): Promise<FoundFit> {
  const possible = await leastShareOf(graph, job.plan, job);
  const tried: { readonly candidate: Candidate; readonly share: number }[] = [];
  const next = () => {
    const attempts = tried.map(({ candidate, share }) => ({ share, drop: dropOf(candidate) }));
    return nextShare(attempts, maxDrop, possible);
  };
  for (let share = next(); share !== null; share = next()) {
    tried.push({ candidate: await fitKeeping(graph, [], job, { count: tried.length + 1, share }), share });
  }
  const holding = tried.filter(({ candidate }) => isAllowed(dropOf(candidate), maxDrop));
  const { candidate: chosen } =
    holding.length > 0 ? least(holding, ({ share }) => share) : least(tried, ({ candidate }) => dropOf(candidate));
  const budgets = tried
    .toSorted((a, b) => b.share - a.share)
    .map(({ candidate, share }) => ({
      share,
      speedup: candidate.operations[0]?.speedup ?? 1,
      heldOut: candidate.heldOut as HeldOut,
      chosen: candidate === chosen,
    }));
  return { chosen, pareto: undefined, budgets };
}

function dropOf({ heldOut }: Candidate): number {
  return heldOut?.drop ?? 0;
}

function least<T>(values: readonly T[], of: (value: T) => number): T {
  return values.reduce((best, value) => (of(value) < of(best) ? value : best));
}

function rowsOf(candidates: readonly Candidate[], chosen: Candidate, sites: readonly SensitiveSite[]): FitRow[] {
  const norms = new Set(sites.filter(({ op }) => op === 'layerNorm').map(({ name }) => name));
  return candidates
    .toSorted((a, b) => a.kept.length - b.kept.length)
    .map((candidate) => {
      const normCount = candidate.kept.filter((name) => norms.has(name)).length;
      return {
        kept: candidate.kept.length,
        norms: normCount,
        activations: candidate.kept.length - normCount,
        speedup: candidate.operations[0]?.speedup ?? 1,
        heldOut: candidate.heldOut as HeldOut,
        chosen: candidate === chosen,
      };
    });
}

async function fitKeeping(
  graph: Graph,
  sites: readonly SensitiveSite[],
  job: FitJob,
  { count, share }: { readonly count: number; readonly share: number | undefined },
): Promise<Candidate> {
  const { passes: choice, run, fitted, runs, original, plan } = job;
  const kept = new Set(sites.map(({ name }) => name));
  const keeps = (node: Node) => kept.has(node.name) || choice.keeps(node);
  const student = copyGraph(graph);
  const pruned = plan && share !== undefined ? await pruneWithin(student, share, plan, job) : undefined;
  const step =
    count === 1
      ? 'fitting'
      : `fitting, try ${count}, ${share === undefined ? `${kept.size} kept` : `${share.toFixed(2)} of the operations`}`;
  const sweep = async () => {
    const reports = await fitTogether(
      student,
      fitted,
      { keeps, runs, teacher: original, cuts: pruned?.cuts },
      within(run, step),
    );
    return { reports, rewrites: reports.reduce((sum, { rewrites }) => sum + rewrites, 0), declined: [] };
  };
  const names = [...(pruned ? [prune.name] : []), ...fitted.map(({ name }) => name)].join(' and ');
  const { reports } = await runAsPass(student, names, sweep, run.observers);
  if (pruned === undefined) return measureCandidate(student, [...kept], reports, job);
  const rewrites = pruned.groups.filter((group) => group.kept < group.count).length;
  const passes = [{ name: prune.name, rewrites, declined: plan?.declined ?? [] }, ...reports];
  const candidate = await measureCandidate(student, [...kept], passes, job);
  return { ...candidate, pruning: { share: share as number, groups: pruned.groups } };
}

/** Trains a changed graph where that is asked for, and measures it. */
export async function measureCandidate(
  changed: Graph,
  kept: readonly string[],
  passes: FitReport['passes'],
  subject: FitSubject,
): Promise<Candidate> {
  const { original, maxPositions, targets, run, samples, feeds } = subject;
  const { graph, distillation } = await withTraining(changed, subject);
  const progress = within(run, 'comparing with the original');
  const heldOut = await measureHeldOut(original, graph, { ...feeds, samples, progress });
  const operations: Operations[] = [];
  for (const target of targets) {
    operations.push(await compareOperations(original, graph, { target, maxPositions }));
  }
  return { graph, kept, passes, pruning: undefined, distillation, heldOut, operations };
}

async function withTraining(graph: Graph, subject: FitSubject) {
  const { original, maxLength, passes, evidence, run, samples, feeds } = subject;
  const { distill: steps } = passes;
  if (steps === undefined) return { graph, distillation: undefined };
  const { seed } = evidence;
  return distill(original, graph, { ...feeds, samples, steps, seed, maxLength, progress: run.progress });
}

async function rank({ original, samples, feeds, fitted, passes, run, fewRuns }: FitJob): Promise<SensitiveSite[]> {
  const converted = new Set<string>(fitted.map(({ converts }) => converts));
  const candidates = (node: Node) => converted.has(node.op) && !passes.keeps(node);
  const runs = await fewRuns();
  try {
    return await rankSites(original, candidates, runs, {
      ...feeds,
      rows: samples.validation,
      progress: within(run, 'scanning norms and activations'),
    });
  } finally {
    await runs.close();
  }
}
