import { hasNormalScales, storageProblem } from '../../exporters/tflite/storage.ts';
import type { Call, Constant, Graph, Node } from '../../ir/graph.ts';
import type { Pass } from '../../ir/pass.ts';
import { realTensor } from '../../ir/quantized.ts';
import type { Quant } from '../../ir/tensor.ts';

/** Real numbers of a stored value: one node for all readers. DEQUANTIZE has no blocks and only positive scales. */
function realOf(graph: Graph, node: Node): Node {
  const { quant } = node.type;
  if (quant === undefined) return node;
  if (node.op === 'constant' && (quant.per === 'block' || !hasNormalScales(quant)))
    return realConstant(graph, node, quant);
  const known = [...node.users].find((user) => user.op === 'dequantize');
  return known ?? graph.add('dequantize', [node], {}, `${node.name}/real`);
}

function realConstant(graph: Graph, { name, tensor }: Constant, quant: Quant): Node {
  return graph.constant(realTensor(tensor, quant), `${name}/real`);
}

/** Builds the node on real numbers, and stores its result behind it where it is stored. */
function onFloats(graph: Graph, node: Call): Node {
  const { name, type } = node;
  const real = graph.add(
    node.op,
    node.inputs.map((input) => realOf(graph, input)),
    node.attrs as object,
    name,
  ) as Call;
  if (type.quant === undefined) return real;
  const stored = graph.add('quantize', [real], {}, name);
  graph.setType(stored, type);
  return stored;
}

/** Looks rows up as the integers that the table holds, and reads only them as real numbers. */
function rowsFirst(graph: Graph, node: Call): Node | null {
  const [table] = node.inputs;
  const { quant, dtype } = table?.type ?? {};
  if (node.op !== 'gather' || node.type.quant || quant?.per !== 'tensor' || dtype !== 'i8') return null;
  graph.setType(node, { dtype, shape: node.type.shape, quant });
  return graph.add('dequantize', [node], {}, `${node.name}/real`);
}

/**
 * Computes on real numbers what TFLite has no integer kernel for, between a dequantize and a quantize. Files of other
 * quantizers store values between ops that TFLite has in floats only, or at scales that its kernels do not give.
 */
export const computeInFloats: Pass = {
  name: 'compute-in-floats',
  summary: 'erf(stored x)  ->  quantize(erf(dequantize(x)))',
  keeps: 'bits',
  run(graph) {
    let rewrites = 0;
    for (const node of graph.nodes()) {
      if (node.op === 'input' || node.op === 'constant' || node.op === 'quantize' || node.op === 'dequantize') continue;
      if (storageProblem(node) === null) continue;
      if (graph.replace(node, () => rowsFirst(graph, node) ?? onFloats(graph, node))) rewrites++;
    }
    return { rewrites, declined: [] };
  },
};
