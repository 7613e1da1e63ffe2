import { distributionsOf, PLOTTED_SAMPLES } from '../../calibration/distributions.ts';
import { tokenizerFilesAt } from '../../importers/tokenizer-files.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import type { Distribution } from '../../metrics/distribution.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { type ColumnOptions, columnsOf } from '../../options/evidence.ts';
import { type Run, within } from '../../options/run.ts';
import { rowReader } from '../evaluate/row-reader.ts';

/** Options for texts that a model is run on to see its values. */
export interface TextOptions extends Pick<ColumnOptions, 'text' | 'pair'> {
  /** A file of texts or tokens, the first eight of which are run. */
  readonly calibrate?: string | undefined;
  /** A vocab.txt or tokenizer.json in place of the model's own. */
  readonly vocab?: string | undefined;
}

/**
 * Distributions of all values that a model computes on texts, by the names of nodes; undefined where no texts are given.
 * Values that are stored as integers are the real numbers that these stand for, cut off where they were.
 */
export async function valuesOnTexts(
  model: OpenedModel,
  options: TextOptions,
  run: Run,
): Promise<ReadonlyMap<string, Distribution> | undefined> {
  const columns = columnsOf(options, options.calibrate !== undefined);
  if (options.calibrate === undefined) return undefined;
  const graph = model.reference();
  const length = graph.inputs[0]?.type.shape.at(-1);
  const reader = rowReader(model, graph, {
    maxLength: typeof length === 'number' ? length : model.maxPositions,
    tokenizer: options.vocab === undefined ? undefined : tokenizerFilesAt(options.vocab),
    columns,
    note: run.note,
  });
  const rows = reader
    .open(options.calibrate, 'calibrate')
    .take(0, PLOTTED_SAMPLES)
    .samples.map(({ row }) => row);
  const { graph: real, read } = withRealValues(graph);
  const found = await distributionsOf(real, rows, {
    pad: reader.tokenizer.pad,
    progress: within(run, 'running texts'),
  });
  for (const [stored, dequantized] of read) {
    const values = found.get(dequantized);
    if (values) found.set(stored, values);
  }
  return found;
}

/** Adds outputs that read back what is stored as integers. `read` maps names of stored values to those of what reads them. */
function withRealValues(graph: Graph): { readonly graph: Graph; readonly read: ReadonlyMap<string, string> } {
  const stored = graph.nodes().filter(({ op, type }) => type.quant !== undefined && op !== 'constant');
  const added = stored.map((node) => graph.add('dequantize', [node], {}, `${node.name}/real`));
  return {
    graph: graph.withOutputs([...graph.outputs, ...added.map((node) => ({ name: node.name, node }))]),
    read: new Map(added.map((node, i) => [(stored[i] as Node).name, node.name])),
  };
}
