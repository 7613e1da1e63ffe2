import { openRuns } from '../../calibration/token-runs.ts';
import { MbertError } from '../../errors.ts';
import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { usualSizes } from '../../ir/operation-costs.ts';
import { keepNothing, type Pass, runAsPass, runPasses } from '../../ir/pass.ts';
import { changedModel } from '../../opened/changed-model.ts';
import { classReaderOf } from '../../opened/class-labels.ts';
import { type FittedTexts, fittedTexts } from '../../opened/fitted-texts.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { type Evidence, evidenceOf } from '../../options/evidence.ts';
import type { PassChoice } from '../../options/passes.ts';
import { type Run, within } from '../../options/run.ts';
import { foldConstants } from '../../passes/fold-constants.ts';
import { fuseLinear } from '../../passes/fuse-linear.ts';
import { fittedPasses, type Target } from '../../passes/index.ts';
import { prune } from '../../passes/prune/prune.ts';
import { planPruning } from '../../passes/prune/prune-plan.ts';
import { splitEmbedding, splitEmbeddings } from '../../passes/split-embedding.ts';
import { countTokens } from '../../samples/count-tokens.ts';
import { dropFailure } from '../evaluate/drop.ts';
import { seenSamples, seenWarnings } from '../evaluate/fitted-texts.ts';
import { type RowReader, rowReader } from '../evaluate/row-reader.ts';
import { NO_SAMPLES, type SampleSets, takeSamples } from '../evaluate/sample-sets.ts';
import { gradientTokens } from '../training/gradient-memory.ts';
import { refuseUntrainable } from '../training/trainable.ts';
import { type FitSubject, fitWithin, measureCandidate } from './candidates.ts';
import { measureTransfer } from './transfer.ts';
import type { ChangeOptions, FitReport, HeldOut } from './types.ts';

/**
 * Default number of texts that are fitted to: enough for the regularization to let go of the original weights; more
 * text fits better and takes longer.
 */
const DEFAULT_FIT_SAMPLES = 768;

/** Most texts that are trained on behind a fit: more than any training of hours reads. */
const MAX_TRAINING_TEXTS = 20_000;

/**
 * Longest text that is fitted to, in tokens: longer ones tell a layer nothing new, and attention's values grow with the
 * square.
 */
const MAX_LENGTH = 128;

/**
 * Applies the passes that change a model's function, once for all targets and shapes that its graphs are built for.
 * Throws USAGE where a pass is fitted to text and there is none, UNSUPPORTED for models that take several sequences at
 * once.
 */
export async function fitModel(
  model: OpenedModel,
  options: ChangeOptions,
): Promise<{ readonly model: OpenedModel; readonly fit: FitReport }> {
  const { passes, targets, tokenizer, run } = options;
  const evidence = evidenceOf(options.evidence, DEFAULT_FIT_SAMPLES);
  const names = passes.changing.map(({ name }) => name);
  const fitted = fittedPasses.filter((pass) => passes.changing.includes(pass));
  const prunes = passes.changing.includes(prune);
  const isFitted = fitted.length > 0 || prunes;
  if (prunes) refuseWithoutBudget(passes, fitted, evidence);
  if ((isFitted || passes.distill !== undefined) && evidence.calibrate === undefined) {
    const flag = isFitted ? `--passes ${names.join(',')}` : '--distill';
    throw new MbertError('USAGE', `${flag}: needs --calibrate FILE`, {
      hint: 'some hundred lines of text as the model will see it, without labels',
    });
  }
  const graph = model.reference();
  if (passes.distill !== undefined) refuseUntrainable(graph);
  await runPasses(graph, [foldConstants, fuseLinear], { ...keepNothing, observers: run.observers });
  const original = copyGraph(graph);
  const { reader, samples, maxLength } = readSamples(model, graph, evidence, {
    tokenizer,
    note: run.note,
    pool: passes.distill === undefined ? 0 : MAX_TRAINING_TEXTS,
  });
  const { task, logitsKind } = model;
  const feeds = { task, logitsKind, pad: reader?.tokenizer.pad ?? model.pad, mask: reader?.tokenizer.mask };
  const splits = passes.changing.includes(splitEmbedding) ? await split(graph, samples, options) : undefined;
  const { maxPositions } = model;
  const subject: FitSubject = { original, maxPositions, maxLength, passes, targets, evidence, run, samples, feeds };
  const { chosen, pareto, budgets } = isFitted
    ? await fitGraph(graph, subject, { fitted, prunes })
    : { chosen: await measureCandidate(graph, [], [], subject), pareto: undefined, budgets: undefined };
  // Heads that are gone have no attention to compare.
  const transfer =
    fitted.length > 0 && !prunes ? await measureTransfer(original, chosen.graph, samples, feeds) : undefined;
  return {
    model: changedModel(model, chosen.graph, names, fittedTo(samples, chosen.distillation)),
    fit: {
      passes: [
        ...(splits ? [{ name: splitEmbedding.name, rewrites: splits.rewrites, declined: splits.declined }] : []),
        ...chosen.passes,
      ],
      refitted: countRefitted(graph, chosen.graph),
      embeddings: splits?.splits ?? [],
      kept: chosen.kept,
      pruning: chosen.pruning && { ...chosen.pruning, budgets },
      distillation: chosen.distillation,
      calibration: samples.manifest,
      heldOut: chosen.heldOut,
      transfer: typeof transfer === 'string' ? undefined : transfer,
      operations: chosen.operations,
      pareto,
      failures: failuresOf(chosen.heldOut, evidence.maxDrop),
      warnings: [...samples.warnings, ...(typeof transfer === 'string' ? [transfer] : [])],
    },
  };
}

/** The texts that a fit has made weights with: where a training behind it is kept, these are far more. */
function fittedTo({ manifest, learnt }: SampleSets, distillation: FitReport['distillation']): readonly FittedTexts[] {
  const texts = distillation?.isKept ? learnt : manifest;
  return texts === undefined ? [] : [texts];
}

/** Throws USAGE where nobody says how much prune leaves, and where --max-drop would have to choose two things at once. */
function refuseWithoutBudget({ operationShare }: PassChoice, fitted: readonly Pass[], { maxDrop }: Evidence): void {
  if (operationShare !== undefined) return;
  if (maxDrop === undefined) {
    throw new MbertError('USAGE', '--passes prune: of how many operations?', {
      hint: 'prune=0.5 leaves half of them; prune with --max-drop POINTS leaves as few as hold that',
    });
  }
  if (fitted.length > 0) {
    throw new MbertError('USAGE', `--passes prune: --max-drop cannot choose its budget beside ${fitted[0]?.name}`, {
      hint: 'name the budget, as prune=0.7, or prune alone first',
    });
  }
}

function readSamples(
  model: OpenedModel,
  graph: Graph,
  evidence: Evidence,
  {
    tokenizer,
    note,
    pool,
  }: { readonly tokenizer: TokenizerFiles | undefined; readonly note: Run['note']; readonly pool: number },
): { readonly reader: RowReader | undefined; readonly samples: SampleSets; readonly maxLength: number } {
  const fixed = graph.inputs[0]?.type.shape.at(-1);
  const maxLength = typeof fixed === 'number' ? fixed : Math.min(model.maxPositions, MAX_LENGTH);
  if (evidence.calibrate === undefined && evidence.data === undefined) {
    if (evidence.maxDrop === undefined) return { reader: undefined, samples: NO_SAMPLES, maxLength };
    throw new MbertError('USAGE', '--max-drop: needs samples to measure on', {
      hint: 'give --data FILE or --calibrate FILE',
    });
  }
  const { seed, columns } = evidence;
  const reader = rowReader(model, graph, { maxLength, tokenizer, seed, columns, note });
  const { calibrate, data } = evidence;
  const source = { path: model.path, fitted: fittedTexts(model) };
  const seen = calibrate === undefined ? undefined : seenSamples(source.fitted, calibrate, reader);
  const classOf = classReaderOf(model, graph);
  const known = { fitted: seen?.learnt, watched: seen?.watched };
  const samples = takeSamples(reader, { evidence, task: model.task, classOf, pool, ...known });
  const warnings = data === undefined ? [] : seenWarnings(source, data, reader);
  return { reader, samples: { ...samples, warnings: [...samples.warnings, ...warnings] }, maxLength };
}

function split(graph: Graph, { calibration }: SampleSets, { passes, run }: ChangeOptions) {
  const { keeps, embeddingRank } = passes;
  const tokenCounts = calibration.length > 0 ? countTokens(calibration) : undefined;
  const change = () => splitEmbeddings(graph, { keeps, tokenCounts, embeddingRank });
  return runAsPass(graph, splitEmbedding.name, change, run.observers);
}

/** Number of texts that is enough for the gain and the offset of one norm. */
const FEW_TEXTS = 64;

async function fitGraph(
  graph: Graph,
  subject: FitSubject,
  { fitted, prunes }: { readonly fitted: typeof fittedPasses; readonly prunes: boolean },
) {
  const { original, samples, feeds, passes, targets, run, maxPositions } = subject;
  const batchTokens = prunes ? gradientTokens(original) : undefined;
  const runsOn = (rows: SampleSets['calibration']) => openRuns(original, rows, { pad: feeds.pad, batchTokens });
  const runs = await runsOn(samples.calibration);
  try {
    const fewRuns = () => runsOn(samples.calibration.slice(0, FEW_TEXTS));
    const plan = prunes
      ? await planPruning(original, {
          keeps: passes.keeps,
          runs,
          bindings: usualSizes(original, maxPositions),
          runtime: targets[0] as Target,
          progress: within(run, 'weighing heads and neurons'),
        })
      : undefined;
    return await fitWithin(graph, { ...subject, fitted, runs, fewRuns, plan });
  } finally {
    await runs.close();
  }
}

/** The number of linears that have other weights than before, new linears not counted. */
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
  const lost = maxDrop === undefined || heldOut === undefined ? undefined : dropFailure(heldOut, maxDrop);
  return lost === undefined ? [] : [lost];
}
