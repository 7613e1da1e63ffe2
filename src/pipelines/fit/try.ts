import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import type { CalibrationRuns } from '../../ir/text-runs.ts';
import { verifyGraph } from '../../ir/verify-graph.ts';
import { fitTogether } from '../../passes/fit/fit.ts';
import type { fittedPasses } from '../../passes/index.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';
import { distill } from './distill.ts';
import { compareOperations, measureHeldOut } from './measure.ts';
import { nextKept } from './search.ts';
import { rankSites, type SensitiveSite } from './sensitivity.ts';
import type { Distillation, FitOptions, FitReport, FitRow, HeldOut, Operations } from './types.ts';

/** What a changed graph is measured by. */
export interface Measured {
  readonly original: Graph;
  readonly maxPositions: number;
  /** Of a text, in tokens. */
  readonly maxLength: number;
  readonly options: FitOptions;
  readonly samples: SampleSets;
  readonly feeds: FeedOptions;
}

/** A changed graph with what it costs and brings. */
export interface Try {
  readonly graph: Graph;
  /** Norms and activations that stayed, the most sensitive first. */
  readonly kept: readonly string[];
  readonly passes: FitReport['passes'];
  readonly distillation: Distillation | undefined;
  readonly heldOut: HeldOut | undefined;
  readonly operations: readonly Operations[];
}

export interface FitJob extends Measured {
  readonly fitted: typeof fittedPasses;
  /** On the calibration texts. */
  readonly runs: CalibrationRuns;
  /** On a few of them. */
  readonly fewRuns: () => Promise<CalibrationRuns & { close(): Promise<void> }>;
}

/** Fits everything; where that loses more than --max-drop allows, again with more and more of the most sensitive sites kept. */
export async function fitWithin(
  graph: Graph,
  job: FitJob,
): Promise<{ readonly chosen: Try; readonly pareto: readonly FitRow[] | undefined }> {
  const { maxDrop } = job.options;
  const first = await fitKeeping(graph, [], job, 1);
  if (maxDrop === undefined || dropOf(first) <= maxDrop) return { chosen: first, pareto: undefined };
  const sites = await rank(job);
  const tries = [first];
  const known = () => tries.map((each) => ({ kept: each.kept.length, drop: dropOf(each) }));
  for (let kept = nextKept(sites, known(), maxDrop); kept !== null; kept = nextKept(sites, known(), maxDrop)) {
    tries.push(await fitKeeping(graph, sites.slice(0, kept), job, tries.length + 1));
  }
  const holding = tries.filter((each) => dropOf(each) <= maxDrop);
  const chosen = holding.length > 0 ? least(holding, (each) => each.kept.length) : least(tries, dropOf);
  return { chosen, pareto: rowsOf(tries, chosen, sites) };
}

function dropOf({ heldOut }: Try): number {
  return heldOut?.drop ?? 0;
}

function least<T>(values: readonly T[], of: (value: T) => number): T {
  return values.reduce((best, value) => (of(value) < of(best) ? value : best));
}

function rowsOf(tries: readonly Try[], chosen: Try, sites: readonly SensitiveSite[]): FitRow[] {
  const norms = new Set(sites.filter(({ op }) => op === 'layerNorm').map(({ name }) => name));
  return tries
    .toSorted((a, b) => a.kept.length - b.kept.length)
    .map((each) => {
      const normCount = each.kept.filter((name) => norms.has(name)).length;
      return {
        kept: each.kept.length,
        norms: normCount,
        activations: each.kept.length - normCount,
        speedup: each.operations[0]?.speedup ?? 1,
        heldOut: each.heldOut as HeldOut,
        chosen: each === chosen,
      };
    });
}

async function fitKeeping(graph: Graph, sites: readonly SensitiveSite[], job: FitJob, count: number): Promise<Try> {
  const { options, fitted, runs, original } = job;
  const kept = new Set(sites.map(({ name }) => name));
  const keeps = (node: Node) => kept.has(node.name) || isKept(node, options);
  const student = copyGraph(graph);
  const step = count === 1 ? 'fitting' : `fitting, try ${count}, ${kept.size} kept`;
  const progress = (done: number, total: number) => options.progress?.(step, done, total);
  const passes = await fitTogether(student, fitted, { keeps, runs, teacher: original }, progress);
  student.prune();
  verifyGraph(student, fitted.map(({ name }) => name).join(' and '));
  return measureTry(student, [...kept], passes, job);
}

function isKept(node: Node, { keep }: FitOptions): boolean {
  return keep?.test(node.name) ?? false;
}

/** Trains a changed graph where that is asked for, and measures it. */
export async function measureTry(
  changed: Graph,
  kept: readonly string[],
  passes: FitReport['passes'],
  measured: Measured,
): Promise<Try> {
  const { original, maxPositions, options, samples, feeds } = measured;
  const { graph, distillation } = await withTraining(changed, measured);
  const progress = (done: number, total: number) => options.progress?.('comparing with the original', done, total);
  const heldOut = await measureHeldOut(original, graph, { ...feeds, samples, progress });
  const operations: Operations[] = [];
  for (const target of options.targets) {
    operations.push(await compareOperations(original, graph, { target, maxPositions }));
  }
  return { graph, kept, passes, distillation, heldOut, operations };
}

async function withTraining(graph: Graph, { original, maxLength, options, samples, feeds }: Measured) {
  const { distill: steps, seed } = options;
  if (steps === undefined) return { graph, distillation: undefined };
  const progress = (done: number, total: number) => options.progress?.('distilling', done, total);
  return distill(original, graph, { ...feeds, samples, steps, seed, maxLength, progress });
}

async function rank({ original, samples, feeds, fitted, options, fewRuns }: FitJob): Promise<SensitiveSite[]> {
  const converted = new Set<string>(fitted.map(({ converts }) => converts));
  const candidates = (node: Node) => converted.has(node.op) && !isKept(node, options);
  const runs = await fewRuns();
  try {
    return await rankSites(original, candidates, runs, {
      ...feeds,
      rows: samples.trial,
      progress: (done, total) => options.progress?.('scanning norms and activations', done, total),
    });
  } finally {
    await runs.close();
  }
}
