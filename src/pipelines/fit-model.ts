import { openRuns } from '../calibration/token-batches.ts';
import type { NamedBytes } from '../calibration/wordpiece.ts';
import { copyGraph } from '../copy-graph.ts';
import { MbertError } from '../errors.ts';
import { onnx } from '../exporters/onnx.ts';
import type { Graph, Node } from '../graph.ts';
import { runPasses } from '../pass.ts';
import { type FittedPass, fitTogether } from '../passes/fit.ts';
import { foldConstants } from '../passes/fold-constants.ts';
import { fuseLinear } from '../passes/fuse-linear.ts';
import type { Target } from '../passes/index.ts';
import type { Dim } from '../shape.ts';
import { verifyGraph } from '../verify-graph.ts';
import type { OpenedModel, ShapeOptions } from './opened-model.ts';
import { compareFiles } from './quantize/prove.ts';
import { rowReader } from './quantize/rows.ts';
import { type SampleSets, takeSamples } from './quantize/samples.ts';
import { withFolder } from './quantize/session.ts';

export interface FitOptions {
  readonly passes: readonly FittedPass[];
  /** A file of texts as the model will see them; labels are not looked at. */
  readonly calibrate: string | undefined;
  /** How many of its texts, from the first one. */
  readonly samples: number | undefined;
  readonly seed: number | undefined;
  readonly keep: RegExp | undefined;
  readonly vocab: NamedBytes | undefined;
  readonly progress: ((step: string, done?: number, total?: number) => void) | undefined;
}

/** What fitting has changed and what that costs. */
export interface FitReport {
  readonly passes: readonly {
    readonly name: string;
    readonly rewrites: number;
    readonly declined: readonly string[];
  }[];
  readonly calibration: SampleSets['manifest'];
  /** The fitted model beside the original, on lines that it was not fitted to; undefined where none are left. */
  readonly heldOut: { readonly samples: number; readonly agreement: number; readonly sqnrDb: number } | undefined;
  readonly warnings: readonly string[];
}

/** Enough for the regularization to let go of the original weights; more text fits better and takes longer. */
const DEFAULT_SAMPLES = 768;

/** Longer texts tell a layer nothing new, and attention's values grow with the square. */
const MAX_LENGTH = 128;

/**
 * A model whose graphs have the passes applied, fitted to text once, whatever targets and shapes they are built for.
 * Throws USAGE without texts or vocabulary, UNSUPPORTED for models that take several sequences at once.
 */
export async function fitModel(
  model: OpenedModel,
  options: FitOptions,
): Promise<{ readonly model: OpenedModel; readonly report: FitReport }> {
  const names = options.passes.map(({ name }) => name);
  if (options.calibrate === undefined) {
    throw new MbertError('USAGE', `--passes ${names.join(',')}: needs --calibrate FILE`, {
      hint: 'some hundred lines of text as the model will see it, without labels',
    });
  }
  const graph = model.reference();
  await runPasses(graph, [foldConstants, fuseLinear]);
  const teacher = copyGraph(graph);
  const fixed = graph.inputs[0]?.type.shape.at(-1);
  const reader = rowReader(model, graph, {
    maxLength: typeof fixed === 'number' ? fixed : Math.min(model.maxPositions, MAX_LENGTH),
    vocab: options.vocab,
    seed: options.seed,
  });
  const samples = takeSamples(reader, {
    calibrate: options.calibrate,
    samples: options.samples ?? DEFAULT_SAMPLES,
    seed: options.seed,
    data: undefined,
    allowOverlap: false,
    isGated: false,
  });
  const { pad, mask } = reader.tokenizer;
  // Hundreds of small sessions: the solver takes longer than they, and waiting threads would take its core.
  const runs = await openRuns(graph, samples.calibration, { pad, threads: 1 });
  try {
    const keeps = (node: Node) => options.keep?.test(node.name) ?? false;
    const progress = (done: number, total: number) => options.progress?.('fitting', done, total);
    const reports = await fitTogether(graph, options.passes, { keeps, runs, teacher }, progress);
    graph.prune();
    verifyGraph(graph, names.join(' and '));
    const heldOut = await measure(teacher, graph, samples, { task: model.task, pad, mask });
    return {
      model: fittedModel(model, graph, names),
      report: {
        passes: reports,
        calibration: samples.manifest,
        heldOut,
        warnings: samples.warnings,
      },
    };
  } finally {
    await runs.close();
  }
}

/** Original and fitted graph in ONNX Runtime on lines that were not fitted to. */
function measure(
  teacher: Graph,
  graph: Graph,
  { proof }: SampleSets,
  feeds: { readonly task: OpenedModel['task']; readonly pad: number; readonly mask: number | undefined },
): Promise<FitReport['heldOut']> {
  if (proof.length === 0) return Promise.resolve(undefined);
  return withFolder(async (write) => {
    const options = { ...onnx.defaults, name: 'model.onnx' };
    const original = await write(onnx.write(teacher, options));
    const fitted = await write(onnx.write(graph, options));
    const quiet = { rows: proof, labels: undefined, progress: () => undefined };
    const { agreement, sqnrDb } = await compareFiles(original, fitted, graph, { ...feeds, ...quiet });
    return { samples: proof.length, agreement, sqnrDb };
  });
}

/** The same model over another graph of the same inputs and outputs. */
function fittedModel(model: OpenedModel, graph: Graph, applied: readonly string[]): OpenedModel {
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
