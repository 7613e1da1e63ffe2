import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { runAsPass } from '../../ir/pass.ts';
import type { TextRuns } from '../../ir/text-runs.ts';
import type { Evidence } from '../../options/evidence.ts';
import type { PassChoice } from '../../options/passes.ts';
import { type Run, within } from '../../options/run.ts';
import { fitTogether } from '../../passes/fit/fit.ts';
import type { fittedPasses, Target } from '../../passes/index.ts';
import { isAllowed } from '../evaluate/drop.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';
import { distill } from './distill.ts';
import { compareOperations, measureHeldOut } from './measure.ts';
import { nextKept } from './search.ts';
import { rankSites, type SensitiveSite } from './sensitivity.ts';
import type { Distillation, FitReport, FitRow, HeldOut, Operations } from './types.ts';

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
}

/**
 * Fits all norms and activations; where that loses more than --max-drop allows, fits again with more and more of the
 * most sensitive ones kept as they are.
 */
export async function fitWithin(
  graph: Graph,
  job: FitJob,
): Promise<{ readonly chosen: Candidate; readonly pareto: readonly FitRow[] | undefined }> {
  const { maxDrop } = job.evidence;
  const first = await fitKeeping(graph, [], job, 1);
  if (maxDrop === undefined || isAllowed(dropOf(first), maxDrop)) return { chosen: first, pareto: undefined };
  const sites = await rank(job);
  const candidates = [first];
  const attempts = () => candidates.map((candidate) => ({ kept: candidate.kept.length, drop: dropOf(candidate) }));
  for (let kept = nextKept(sites, attempts(), maxDrop); kept !== null; kept = nextKept(sites, attempts(), maxDrop)) {
    candidates.push(await fitKeeping(graph, sites.slice(0, kept), job, candidates.length + 1));
  }
  const holding = candidates.filter((candidate) => isAllowed(dropOf(candidate), maxDrop));
  const chosen = holding.length > 0 ? least(holding, (candidate) => candidate.kept.length) : least(candidates, dropOf);
  return { chosen, pareto: rowsOf(candidates, chosen, sites) };
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
  count: number,
): Promise<Candidate> {
  const { passes: choice, run, fitted, runs, original } = job;
  const kept = new Set(sites.map(({ name }) => name));
  const keeps = (node: Node) => kept.has(node.name) || choice.keeps(node);
  const student = copyGraph(graph);
  const step = count === 1 ? 'fitting' : `fitting, try ${count}, ${kept.size} kept`;
  const sweep = async () => {
    const reports = await fitTogether(student, fitted, { keeps, runs, teacher: original }, within(run, step));
    return { reports, rewrites: reports.reduce((sum, { rewrites }) => sum + rewrites, 0), declined: [] };
  };
  const names = fitted.map(({ name }) => name).join(' and ');
  const { reports: passes } = await runAsPass(student, names, sweep, run.observers);
  return measureCandidate(student, [...kept], passes, job);
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
  return { graph, kept, passes, distillation, heldOut, operations };
}

async function withTraining(graph: Graph, subject: FitSubject) {
  const { original, maxLength, passes, evidence, run, samples, feeds } = subject;
  const { distill: steps } = passes;
  if (steps === undefined) return { graph, distillation: undefined };
  const { seed } = evidence;
  const progress = within(run, 'distilling');
  return distill(original, graph, { ...feeds, samples, steps, seed, maxLength, progress });
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
