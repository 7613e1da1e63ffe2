import { loadOnnxModel } from '../../calibration/graph-session.ts';
import { MbertError } from '../../errors.ts';
import { onnxModel } from '../../exporters/onnx/model.ts';
import { minimumOpset, onnx } from '../../exporters/onnx.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { RuntimeSession } from '../../runtimes/runtime.ts';

/**
 * Loads a graph into ONNX Runtime with the values of `nodes` as its outputs, stored integers as the real numbers that
 * they stand for. Throws UNSUPPORTED for what ONNX cannot hold.
 */
export async function loadValues(graph: Graph, nodes: readonly Node[]): Promise<RuntimeSession> {
  const wide = graph.nodes().find(({ type }) => type.quant !== undefined && type.dtype === 'i64');
  if (wide) throw new MbertError('UNSUPPORTED', `${wide.name}: ONNX has no numbers stored as 64-bit integers`);
  const outputs = nodes.map((node, i) => ({
    name: valueName(i),
    node: node.type.quant ? graph.add('dequantize', [node]) : node,
  }));
  const opset = Math.max(onnx.defaults.opset, minimumOpset(graph));
  return loadOnnxModel(onnxModel(graph.withOutputs(outputs), { ...onnx.defaults, opset }), 1);
}

/** The values of a run in the order in which they were asked for. */
export function valuesOf(outputs: ReadonlyMap<string, Tensor>): Tensor[] {
  return Array.from({ length: outputs.size }, (_, i) => outputs.get(valueName(i)) as Tensor);
}

function valueName(place: number): string {
  return `value_${place}`;
}
