import { MbertError } from '../../errors.ts';
import type { OnnxModel, OnnxValue } from '../../formats/onnx.ts';
import type { Call, Graph, Node } from '../../ir/graph.ts';
import { computedType } from '../../ir/op.ts';
import type { DType, TensorType } from '../../ir/tensor.ts';
import { refuse } from '../refusal.ts';
import { OnnxBuilder } from './builder.ts';
import { lowerings } from './lowerings.ts';
import type { OnnxModelOptions } from './options.ts';
import { refuseOldOpset } from './quantization.ts';

/** IR versions that came with each opset (github.com/onnx/onnx, docs/Versioning.md). */
const IR_VERSIONS: { readonly [opset: number]: number } = {
  13: 7,
  14: 7,
  15: 8,
  16: 8,
  17: 8,
  18: 8,
  19: 9,
  20: 9,
  21: 10,
  22: 10,
  23: 11,
};

/**
 * Lowers a graph to an ONNX model. How a value is computed follows from the types of what is read: nothing is quantized
 * here that is not quantized in the graph. Inputs and outputs with a quantized type are the integers.
 * Errors: USAGE for an unknown opset or one below `minimumOpset`, UNSUPPORTED for what ONNX has no form for.
 */
export function onnxModel(graph: Graph, options: OnnxModelOptions): OnnxModel {
  const irVersion = IR_VERSIONS[options.opset];
  if (irVersion === undefined) {
    throw new MbertError('USAGE', `opset ${options.opset} is not supported`, { hint: 'use 13 to 23' });
  }
  refuseOldOpset(graph, options);
  const out = new OnnxBuilder(graph, options);
  for (const node of graph.nodes()) lower(node, out);
  for (const { name, node } of graph.outputs) {
    const value = out.outside(node);
    if (value !== name) out.copy(value, name);
  }
  return {
    irVersion,
    opset: options.opset,
    producerName: 'mbert',
    producerVersion: options.producerVersion,
    properties: options.properties,
    graphName: graph.name,
    inputs: graph.inputs.map(({ name, type }): OnnxValue => ({ name, dtype: type.dtype, shape: type.shape })),
    outputs: graph.outputs.map(
      ({ name, node }): OnnxValue => ({ name, dtype: outsideType(node.type), shape: node.type.shape }),
    ),
    nodes: out.nodes,
    initializers: out.initializers,
  };
}

/** Type of an output in the file: quantized ones are the integers themselves. */
function outsideType({ dtype, quant }: TensorType): DType {
  return quant ? dtype : computedType(dtype);
}

function lower(node: Node, out: OnnxBuilder): void {
  if (node.op === 'input' || node.op === 'constant' || out.fusions.absorbed.has(node)) return;
  const row = lowerings[node.op] as ((node: Call, out: OnnxBuilder) => void) | undefined;
  if (!row) refuse(node, 'onnx');
  row(node, out);
}
