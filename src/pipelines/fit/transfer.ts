import { MbertError } from '../../errors.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph } from '../../ir/graph.ts';
import { encoderLayers } from '../evaluate/encoder-layers.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';
import { transferLosses } from '../evaluate/transfer.ts';
import type { Transfer } from './types.ts';

/**
 * Measures MobileBERT's losses of knowledge transfer between the original and the graph that was fitted to it, layer by
 * layer on held-out texts, and the losses without fitting: with gamma and beta copied and relu for gelu. Undefined
 * without texts. A string says why a graph has no such losses.
 */
export async function measureTransfer(
  original: Graph,
  fitted: Graph,
  { validation }: SampleSets,
  { task, logitsKind, pad }: FeedOptions,
): Promise<Transfer | string | undefined> {
  if (validation.length === 0) return undefined;
  const losses = async (student: Graph) => {
    const map = encoderLayers(original, 'the original').map((_, layer) => ({ student: layer, teacher: layer }));
    return transferLosses(original, student, validation, map, {
      task,
      logitsKind,
      pad,
      names: { student: 'fitted', teacher: 'original' },
    });
  };
  try {
    return { before: await losses(withoutFitting(original, fitted)), after: await losses(fitted) };
  } catch (cause) {
    if (!(cause instanceof MbertError) || (cause.code !== 'UNSUPPORTED' && cause.code !== 'MISMATCH')) throw cause;
    return `knowledge transfer is not measured: ${cause.message}`;
  }
}

/** The original with the same norms and activations replaced as in the fitted graph, but nothing fitted. */
function withoutFitting(original: Graph, fitted: Graph): Graph {
  const graph = copyGraph(original);
  const ops = new Map(fitted.nodes().map(({ name, op }) => [name, op]));
  for (const node of graph.nodes()) {
    const now = ops.get(node.name);
    if (node.op === 'layerNorm' && now === 'noNorm')
      graph.replace(node, () => graph.add('noNorm', node.inputs, {}, node.name));
    if (node.op === 'gelu' && now === 'relu') graph.replace(node, () => graph.add('relu', node.inputs, {}, node.name));
  }
  return graph;
}
