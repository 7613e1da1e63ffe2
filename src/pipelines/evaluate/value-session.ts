import { stageOnnxModel } from '../../calibration/graph-session.ts';
import { MbertError } from '../../errors.ts';
import { onnxModel } from '../../exporters/onnx/model.ts';
import { minimumOpset, onnx } from '../../exporters/onnx.ts';
import type { OnnxModel } from '../../formats/onnx.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { Loader } from './in-turn.ts';

/** Threads of a session: one sequence at a time is too little work to share. */
const THREADS = 1;

/**
 * Loaders of a graph in ONNX Runtime, one for each part of `nodes`, whose values are its outputs, stored integers as the
 * real numbers that they stand for; `path` is its name in errors. Each `remove` removes all. Throws UNSUPPORTED for what
 * ONNX cannot hold.
 */
export async function valueLoaders(
  path: string,
  graph: Graph,
  parts: readonly (readonly Node[])[],
): Promise<readonly Loader[]> {
  const model = valuesModel(graph, parts.flat());
  const ends = parts.map((_, part) => parts.slice(0, part + 1).flat().length);
  const outputs = parts.map(({ length }, part) => model.outputs.slice((ends[part] as number) - length, ends[part]));
  const staged = await stageOnnxModel(model, outputs);
  return parts.map((_, part) => ({
    load: async () => ({ path, session: await staged.load({ threads: THREADS, prepacking: false }, part) }),
    remove: staged.remove,
  }));
}

function valuesModel(graph: Graph, nodes: readonly Node[]): OnnxModel {
  const wide = graph.nodes().find(({ type }) => type.quant !== undefined && type.dtype === 'i64');
  if (wide) throw new MbertError('UNSUPPORTED', `${wide.name}: ONNX has no numbers stored as 64-bit integers`);
  const outputs = nodes.map((node, i) => ({
    name: `value_${i}`,
    node: node.type.quant ? graph.add('dequantize', [node]) : node,
  }));
  const opset = Math.max(onnx.defaults.opset, minimumOpset(graph));
  return onnxModel(graph.withOutputs(outputs), { ...onnx.defaults, opset });
}

/** The values of a run in the order in which they were asked for. */
export function valuesOf(outputs: ReadonlyMap<string, Tensor>): Tensor[] {
  return [...outputs.values()];
}
