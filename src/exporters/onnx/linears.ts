import type { Call, Node } from '../../ir/graph.ts';
import { storedRange } from '../../ir/quantized.ts';
import { type TensorType, transposed } from '../../ir/tensor.ts';
import { type BlockedRows, hasBlockedRows } from './blocked-rows.ts';
import { blockSteps } from './blocks.ts';
import type { OnnxBuilder, Step } from './builder.ts';
import { dynamicSteps, integerSteps, packedSteps } from './integer-linears.ts';
import { hasIntegerWeight, isPackedWeight } from './quantization.ts';

/** Writes activation(x Wᵀ + b) in the form that the types of x and W ask for. */
export function linear(node: Call<'linear'>, out: OnnxBuilder): void {
  const steps = productSteps(node, out);
  out.chain(node, node.attrs.activation === 'relu' ? [...steps, reluStep(node, node, out)] : steps);
}

export function relu(node: Call<'relu'>, out: OnnxBuilder): void {
  const x = node.inputs[0] as Node;
  const { part, op, inputs } = reluStep(node, x, out);
  out.chain(node, [{ part, op, inputs: [out.value(x), ...inputs] }]);
}

/**
 * Writes Relu, which becomes a part of a Gemm of floats or, where it ends in integers of which 0 is the least, of a
 * Gemm of integers. Behind any other Gemm of quantized weights it is written as Max: Relu would make that a FusedGemm
 * of floats, its inputs dequantized at each run (measured, ONNX Runtime 1.30).
 */
function reluStep(node: Node, product: Node, out: OnnxBuilder): Step {
  if (product.op === 'linear') {
    const [x, weight] = product.inputs as readonly [Node, Node];
    const isInteger = x.type.quant !== undefined && hasIntegerWeight(weight);
    if ((isPackedWeight(weight) && !isInBlocks(weight, out)) || (isInteger && !startsAtZero(node.type))) {
      return { part: 'relu', op: 'Max', inputs: [out.scalar(0)] };
    }
  }
  return { part: 'relu', op: 'Relu', inputs: [] };
}

function startsAtZero({ dtype, quant }: TensorType): boolean {
  return quant?.per === 'tensor' && quant.zeroPoint === storedRange(dtype)[0];
}

/** Whether a weight is read by ONNX Runtime's own product of blocks, where the file may use it. */
function isInBlocks(weight: Node, out: OnnxBuilder): weight is BlockedRows {
  return out.operators === 'onnxruntime' && hasBlockedRows(weight);
}

function productSteps(node: Call<'linear'>, out: OnnxBuilder): readonly Step[] {
  const [x, weight] = node.inputs as readonly [Node, Node];
  if (isInBlocks(weight, out)) return blockSteps(node, weight, out);
  if (isPackedWeight(weight)) return packedSteps(node, weight, out);
  if (!hasIntegerWeight(weight)) return floatSteps(node, out);
  if (!x.type.quant) return dynamicSteps(node, weight, out);
  return integerSteps(node, x, weight, out) ?? floatSteps(node, out);
}

/**
 * Writes a linear of floats: at rank 2 a Gemm, which ONNX Runtime fuses with a Relu behind it; otherwise MatMul and
 * Add. alpha and beta stay at their default 1: some releases compute a quantized Gemm wrongly at another alpha
 * (onnxruntime#28130).
 */
function floatSteps(node: Call<'linear'>, out: OnnxBuilder): readonly Step[] {
  const [x, weight, bias] = node.inputs as readonly [Node, Node, Node?];
  const addend = bias ? [out.value(bias)] : [];
  if (node.type.shape.length === 2) {
    const inputs = [out.value(x), out.value(weight), ...addend];
    return [{ part: 'linear', op: 'Gemm', inputs, attributes: { transB: { int: 1 } } }];
  }
  const product: Step = { part: 'product', op: 'MatMul', inputs: [out.value(x), columnsOf(weight, node, out)] };
  return bias ? [product, { part: 'linear', op: 'Add', inputs: addend }] : [product];
}

/** Columns of a weight: MatMul wants [in, out]. A weight with other readers is stored once and turned at load time. */
function columnsOf(weight: Node, reader: Node, out: OnnxBuilder): string {
  if (weight.op !== 'constant' || weight.type.quant || !out.fusions.isReadOnce(weight)) {
    return out.step(reader, 'columns', 'Transpose', [out.value(weight)], { perm: { ints: [1, 0] } });
  }
  return out.constant(weight.name, transposed(weight.tensor));
}
