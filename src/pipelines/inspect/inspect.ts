import { keepNothing, runPasses } from '../../ir/pass.ts';
import { sizeOf } from '../../ir/shape.ts';
import { byteLength } from '../../ir/tensor.ts';
import { graphText } from '../../ir/text.ts';
import type { PassTime } from '../../observers/pass-times.ts';
import { openModel } from '../../opened/open-model.ts';
import { type GraphOutline, type OutlineNode, type OutlineWeight, outlineOf } from '../../opened/outline.ts';
import { storedOutline } from '../../opened/stored-outline.ts';
import type { ModelOptions } from '../../options/model.ts';
import type { PassOptions } from '../../options/passes.ts';
import { passChoice } from '../../options/passes.ts';
import { type ObserveOptions, type RunOptions, startRun } from '../../options/run.ts';
import type { ShapeOptions } from '../../options/shape.ts';
import { selectPasses, type Target } from '../../passes/index.ts';
import { describeModel, type ModelDescription } from './describe.ts';
import { type TextOptions, valuesOnTexts } from './values-on-texts.ts';

/** Options of `inspect`. */
export interface InspectOptions
  extends Pick<ModelOptions, 'task' | 'base'>,
    ShapeOptions,
    Pick<PassOptions, 'passes'>,
    ObserveOptions,
    RunOptions,
    TextOptions {
  readonly source: string;
  /** Shows the graph as it is written for this target, passes run. Default: as the source has it. */
  readonly target?: Target | undefined;
  /**
   * Adds the graph as plain data with how the values of its weights are distributed, and on `calibrate` all others, for
   * a picture.
   */
  readonly outline?: boolean | undefined;
}

/** Result of `inspect`: a graph as text, and what is in it. */
export interface InspectResult {
  readonly source: string;
  /** The canonical text of the graph. */
  readonly text: string;
  readonly summary: {
    readonly architecture: string;
    readonly task: string | undefined;
    /** Number of elements of all constants. */
    readonly parameters: number;
    /** Bytes of all constants. */
    readonly bytes: number;
    /** Dtypes of the weights, those with most bytes first. */
    readonly dtypes: readonly string[];
    /** Number of nodes of each op, the most frequent first. */
    readonly ops: { readonly [op: string]: number };
    readonly inputs: readonly string[];
    readonly outputs: readonly string[];
  };
  readonly model: ModelDescription;
  /** Nodes and weights as plain data, as the source stores them: what `text` says, for programs. */
  readonly nodes: readonly Omit<OutlineNode, 'limits' | 'values'>[];
  readonly weights: readonly Omit<OutlineWeight, 'values'>[];
  readonly warnings: readonly string[];
  /** Wall time of each pass, where it was asked for. */
  readonly passTimes?: readonly PassTime[];
  /**
   * The graph as plain data, where it was asked for. A file's graph is as stored there, before high-level ops are
   * found.
   */
  readonly outline?: GraphOutline;
}

/**
 * Reads a model of any format and returns the canonical text of its graph, with counts of what is in it. Throws what
 * the importers throw.
 */
export async function inspect(options: InspectOptions): Promise<InspectResult> {
  const run = startRun(options);
  const { observers, passTimes } = run;
  run.progress('reading');
  const keepsIntegers = options.target !== undefined && !passChoice(options).asksForMore;
  const model = await openModel(options.source, { ...options, observers, keepsIntegers });
  try {
    const graph = model.build(options.target ?? 'onnx', options);
    const isAsked = options.target !== undefined || options.passes !== undefined;
    const passes = isAsked ? selectPasses(options.passes, options.target ?? 'onnx') : [];
    run.progress('running passes');
    await runPasses(graph, passes, { ...keepNothing, observers });
    run.progress('describing');
    const onTexts = options.outline ? await valuesOnTexts(model, options, run) : undefined;
    const outlineOptions = { values: options.outline === true, onTexts };
    const outline = isAsked
      ? outlineOf(graph, outlineOptions)
      : await storedOutline(options.source, graph, { base: options.base, ...outlineOptions });
    const ops = new Map<string, number>();
    const dtypes = new Map<string, number>();
    let parameters = 0;
    let bytes = 0;
    for (const node of graph.nodes()) {
      if (node.op === 'constant') {
        const { dtype, shape } = node.tensor;
        parameters += sizeOf(shape);
        bytes += byteLength(dtype, shape);
        dtypes.set(dtype, (dtypes.get(dtype) ?? 0) + byteLength(dtype, shape));
      } else if (node.op !== 'input') ops.set(node.op, (ops.get(node.op) ?? 0) + 1);
    }
    const { nodes, weights } = withoutValues(outline);
    return {
      source: options.source,
      text: graphText(graph),
      summary: {
        architecture: model.architecture,
        task: model.task,
        parameters,
        bytes,
        dtypes: byCount(dtypes).map(([dtype]) => dtype),
        ops: Object.fromEntries(byCount(ops)),
        inputs: graph.inputs.map(({ name }) => name),
        outputs: graph.outputs.map(({ name }) => name),
      },
      model: describeModel(options.source, model, graph, outline, !isAsked),
      nodes,
      weights,
      warnings: model.warnings,
      ...(passTimes && { passTimes }),
      ...(options.outline && { outline }),
    };
  } finally {
    model.close();
  }
}

/** How values are distributed is for pictures alone. */
function withoutValues({ nodes, weights }: GraphOutline): Pick<InspectResult, 'nodes' | 'weights'> {
  return {
    nodes: nodes.map(({ limits: _, values: __, ...node }) => node),
    weights: weights.map(({ values: _, ...weight }) => weight),
  };
}

function byCount(counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts].sort(([nameA, a], [nameB, b]) => b - a || (nameA < nameB ? -1 : 1));
}
