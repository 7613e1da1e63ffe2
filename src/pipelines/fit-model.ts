import { openRuns } from '../calibration/token-batches.ts';
import type { CalibrationRuns } from '../calibration-runs.ts';
import { copyGraph } from '../copy-graph.ts';
import { MbertError } from '../errors.ts';
import type { Graph, Node } from '../graph.ts';
import { runPasses } from '../pass.ts';
import { fitTogether } from '../passes/fit.ts';
import { foldConstants } from '../passes/fold-constants.ts';
import { fuseLinear } from '../passes/fuse-linear.ts';
import { fittedPasses, type Target } from '../passes/index.ts';
import { splitEmbedding, splitEmbeddings } from '../passes/split-embedding.ts';
import type { Dim } from '../shape.ts';
import { verifyGraph } from '../verify-graph.ts';
import { classReader } from './class-labels.ts';
import { compareOperations, type MeasureOptions, measureHeldOut } from './fit/measure.ts';
import { nextKept } from './fit/search.ts';
import { rankSites, type SensitiveSite } from './fit/sensitivity.ts';
import type { FitOptions, FitReport, FitRow, HeldOut, Operations } from './fit/types.ts';
import type { OpenedModel, ShapeOptions } from './opened-model.ts';
import { type RowReader, rowReader } from './quantize/rows.ts';
import { NO_SAMPLES, type SampleSets, takeSamples } from './quantize/samples.ts';
import type { FeedOptions } from './quantize/session.ts';

export type { FitOptions, FitReport };

/** Enough for the regularization to let go of the original weights; more text fits better and takes longer. */
export const DEFAULT_FIT_SAMPLES = 768;

/** Longer texts tell a layer nothing new, and attention's values grow with the square. */
const MAX_LENGTH = 128;

/**
 * A model whose graphs have the passes applied that change its function, once, whatever targets and shapes they are built
 * for. Throws USAGE where a pass is fitted to text and there is none, UNSUPPORTED for models that take several sequences at once.
 */
export async function fitModel(
  model: OpenedModel,
  options: FitOptions,
): Promise<{ readonly model: OpenedModel; readonly report: FitReport }> {
  const names = options.passes.map(({ name }) => name);
  const fitted = fittedPasses.filter((pass) => options.passes.includes(pass));
  if (fitted.length > 0 && options.calibrate === undefined) {
    throw new MbertError('USAGE', `--passes ${names.join(',')}: needs --calibrate FILE`, {
      hint: 'some hundred lines of text as the model will see it, without labels',
    });
  }
  const graph = model.reference();
  await runPasses(graph, [foldConstants, fuseLinear]);
  const teacher = copyGraph(graph);
  const { reader, samples } = readSamples(model, graph, options);
  const feeds = { task: model.task, pad: reader?.tokenizer.pad ?? 0, mask: reader?.tokenizer.mask };
  const splits = options.passes.includes(splitEmbedding) ? split(graph, samples, options) : undefined;
  const measured: Measured = { teacher, maxPositions: model.maxPositions, options, samples, feeds };
  const found =
    fitted.length > 0
      ? await withRuns(teacher, samples, feeds.pad, (runs) => search(graph, { ...measured, fitted, runs }))
      : { chosen: await tried(graph, [], [], measured), pareto: undefined };
  const { chosen } = found;
  return {
    model: changedModel(model, chosen.graph, names),
    report: {
      passes: [
        ...(splits ? [{ name: splitEmbedding.name, rewrites: splits.rewrites, declined: splits.declined }] : []),
        ...chosen.passes,
      ],
      refitted: countRefitted(graph, chosen.graph),
      embeddings: splits?.splits ?? [],
      kept: chosen.kept,
      calibration: samples.manifest,
      heldOut: chosen.heldOut,
      operations: chosen.operations,
      pareto: found.pareto,
      failures: failuresOf(chosen.heldOut, options.maxDrop),
      warnings: samples.warnings,
    },
  };
}

/** What every try needs to be measured. */
interface Measured {
  /** The original. */
  readonly teacher: Graph;
  readonly maxPositions: number;
  readonly options: FitOptions;
  readonly samples: SampleSets;
  readonly feeds: FeedOptions;
}

interface Try {
  readonly graph: Graph;
  readonly kept: readonly string[];
  readonly passes: FitReport['passes'];
  readonly heldOut: HeldOut | undefined;
  readonly operations: readonly Operations[];
}

function readSamples(
  model: OpenedModel,
  graph: Graph,
  options: FitOptions,
): { readonly reader: RowReader | undefined; readonly samples: SampleSets } {
  const { calibrate, data, vocab, seed } = options;
  if (calibrate === undefined && data === undefined) {
    if (options.maxDrop === undefined) return { reader: undefined, samples: NO_SAMPLES };
    throw new MbertError('USAGE', '--max-drop: needs samples to measure on', {
      hint: 'give --data FILE or --calibrate FILE',
    });
  }
  const fixed = graph.inputs[0]?.type.shape.at(-1);
  const maxLength = typeof fixed === 'number' ? fixed : Math.min(model.maxPositions, MAX_LENGTH);
  const reader = rowReader(model, graph, { maxLength, vocab, seed });
  const samples = takeSamples(reader, {
    calibrate,
    samples: options.samples ?? DEFAULT_FIT_SAMPLES,
    seed,
    data,
    allowOverlap: options.allowOverlap ?? false,
    isGated: options.maxDrop !== undefined,
    classOf:
      model.task === 'sequence-classification'
        ? classReader(graph.outputs[0]?.node.type.shape.at(-1) as number, model.labels)
        : undefined,
  });
  return { reader, samples };
}

function split(graph: Graph, { calibration }: SampleSets, { keep, embeddingRank }: FitOptions) {
  const context = {
    keeps: (node: Node) => keep?.test(node.name) ?? false,
    tokenCounts: calibration.length > 0 ? countTokens(calibration) : undefined,
    embeddingRank,
  };
  const report = splitEmbeddings(graph, context);
  graph.prune();
  verifyGraph(graph, splitEmbedding.name);
  return report;
}

function countTokens(rows: SampleSets['calibration']): Float64Array {
  const largest = rows.reduce((most, { inputIds }) => inputIds.reduce((a, b) => Math.max(a, b), most), 0);
  const counts = new Float64Array(largest + 1);
  for (const { inputIds } of rows) for (const id of inputIds) counts[id] = (counts[id] as number) + 1;
  return counts;
}

async function withRuns<T>(
  graph: Graph,
  { calibration }: SampleSets,
  pad: number,
  work: (runs: CalibrationRuns) => Promise<T>,
): Promise<T> {
  // Hundreds of small sessions: the solver takes longer than they, and waiting threads would take its core.
  const runs = await openRuns(graph, calibration, { pad, threads: 1 });
  try {
    return await work(runs);
  } finally {
    await runs.close();
  }
}

interface Search extends Measured {
  readonly fitted: typeof fittedPasses;
  readonly runs: CalibrationRuns;
}

/** Fits everything; where that loses more than --max-drop allows, fits again with more and more of the most sensitive sites kept. */
async function search(
  graph: Graph,
  job: Search,
): Promise<{ readonly chosen: Try; readonly pareto: readonly FitRow[] | undefined }> {
  const { maxDrop } = job.options;
  const first = await fitKeeping(graph, [], job);
  if (maxDrop === undefined || dropOf(first) <= maxDrop) return { chosen: first, pareto: undefined };
  const sites = await rank(job);
  const tries = [first];
  const known = () => tries.map((each) => ({ kept: each.kept.length, drop: dropOf(each) }));
  for (let kept = nextKept(sites, known(), maxDrop); kept !== null; kept = nextKept(sites, known(), maxDrop)) {
    tries.push(await fitKeeping(graph, sites.slice(0, kept), job, tries.length + 1));
  }
  const holding = tries.filter((each) => dropOf(each) <= maxDrop);
  const chosen = holding.length > 0 ? least(holding, (each) => each.kept.length) : least(tries, dropOf);
  const isNorm = new Set(sites.filter(({ op }) => op === 'layerNorm').map(({ name }) => name));
  const pareto = tries
    .toSorted((a, b) => a.kept.length - b.kept.length)
    .map((each) => {
      const norms = each.kept.filter((name) => isNorm.has(name)).length;
      return {
        kept: each.kept.length,
        norms,
        activations: each.kept.length - norms,
        speedup: each.operations[0]?.speedup ?? 1,
        heldOut: each.heldOut as HeldOut,
        chosen: each === chosen,
      };
    });
  return { chosen, pareto };
}

function dropOf({ heldOut }: Try): number {
  return heldOut?.drop ?? 0;
}

function least<T>(values: readonly T[], of: (value: T) => number): T {
  return values.reduce((best, value) => (of(value) < of(best) ? value : best));
}

async function fitKeeping(graph: Graph, sites: readonly SensitiveSite[], job: Search, count = 1): Promise<Try> {
  const { options, fitted, runs, teacher } = job;
  const kept = new Set(sites.map(({ name }) => name));
  const keeps = (node: Node) => kept.has(node.name) || (options.keep?.test(node.name) ?? false);
  const student = copyGraph(graph);
  const step = count === 1 ? 'fitting' : `fitting, try ${count}, ${kept.size} kept`;
  const progress = (done: number, total: number) => options.progress?.(step, done, total);
  const passes = await fitTogether(student, fitted, { keeps, runs, teacher }, progress);
  student.prune();
  verifyGraph(student, fitted.map(({ name }) => name).join(' and '));
  return tried(student, [...kept], passes, job);
}

async function tried(
  graph: Graph,
  kept: readonly string[],
  passes: FitReport['passes'],
  { teacher, maxPositions, options, samples, feeds }: Measured,
): Promise<Try> {
  const measure: MeasureOptions = {
    ...feeds,
    samples,
    progress: (done, total) => options.progress?.('comparing with the original', done, total),
  };
  const heldOut = await measureHeldOut(teacher, graph, measure);
  const operations = [];
  for (const target of options.targets)
    operations.push(await compareOperations(teacher, graph, { target, maxPositions }));
  return { graph, kept, passes, heldOut, operations };
}

/** So many texts fit a gain and an offset, and so many more tell what the answers lose. */
const RANKING_TEXTS = 64;

function rank({ teacher, samples, feeds, fitted, options }: Search): Promise<SensitiveSite[]> {
  const converted = new Set<string>(fitted.map(({ converts }) => converts));
  const candidates = (node: Node) => converted.has(node.op) && !(options.keep?.test(node.name) ?? false);
  const some = { ...samples, calibration: samples.calibration.slice(0, RANKING_TEXTS) };
  return withRuns(teacher, some, feeds.pad, (runs) =>
    rankSites(teacher, candidates, runs, {
      ...feeds,
      rows: samples.trial,
      progress: (done, total) => options.progress?.('scanning norms and activations', done, total),
    }),
  );
}

/** Linears that have other weights than before, those that are new left out. */
function countRefitted(before: Graph, after: Graph): number {
  const weightOf = (node: Node) => {
    const weight = node.op === 'linear' ? node.inputs[1] : undefined;
    return weight?.op === 'constant' ? weight.tensor : undefined;
  };
  const weights = new Map(before.nodes().map((node) => [node.name, weightOf(node)]));
  return after.nodes().filter((node) => {
    const was = weights.get(node.name);
    return was !== undefined && weightOf(node) !== was;
  }).length;
}

function failuresOf(heldOut: HeldOut | undefined, maxDrop: number | undefined): string[] {
  if (maxDrop === undefined || heldOut === undefined || heldOut.drop <= maxDrop) return [];
  const what = heldOut.accuracy ? 'accuracy' : 'agreement';
  return [`--max-drop ${maxDrop}: ${what} fell by ${heldOut.drop.toFixed(2)} points`];
}

/** The same model over another graph of the same inputs and outputs. */
function changedModel(model: OpenedModel, graph: Graph, applied: readonly string[]): OpenedModel {
  return {
    ...model,
    build(target: Target, shapes?: ShapeOptions) {
      const like = model.build(target, shapes);
      const indexType = like.inputs[0]?.type.dtype;
      return copyGraph(graph, {
        bindings: bindingsTo(graph, like),
        indexType: indexType === 'i32' || indexType === 'i64' ? indexType : undefined,
      });
    },
    reference: () => copyGraph(graph),
    applied,
    runnable: undefined,
  };
}

/** What the symbols of a graph's inputs are in another graph. */
function bindingsTo(graph: Graph, like: Graph): Record<string, Dim> {
  const bindings: Record<string, Dim> = {};
  for (const [i, { type }] of graph.inputs.entries()) {
    for (const [axis, dim] of type.shape.entries()) {
      const wanted = like.inputs[i]?.type.shape[axis];
      if (typeof dim === 'string' && wanted !== undefined) bindings[dim] = wanted;
    }
  }
  return bindings;
}
