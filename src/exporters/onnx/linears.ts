import type { Call, Node } from '../../graph.ts';
import { transposed } from '../../tensor.ts';
import type { OnnxBuilder, Step } from './builder.ts';
import { dynamicSteps, integerSteps, packedSteps } from './integer-linears.ts';
import { hasIntegerWeight, isPackedWeight } from './quantization.ts';

/** activation(x Wᵀ + b), in the form that the types of x and W ask for. */
export function linear(node: Call<'linear'>, out: OnnxBuilder): void {
  const [x, weight] = node.inputs as readonly [Node, Node];
  if (isPackedWeight(weight)) out.chain(node, packedSteps(node, weight, out));
  else out.chain(node, [...productSteps(node, x, weight, out), ...reluSteps(node)]);
}

function productSteps(node: Call<'linear'>, x: Node, weight: Node, out: OnnxBuilder): readonly Step[] {
  if (!hasIntegerWeight(weight)) return floatSteps(node, out);
  if (!x.type.quant) return dynamicSteps(node, weight, out);
  return integerSteps(node, x, weight, out) ?? floatSteps(node, out);
}

/** Becomes a part of the product where it ends in u8 with zero point 0, or in f32 behind a Gemm of floats (measured). */
function reluSteps({ attrs }: Call<'linear'>): readonly Step[] {
  return attrs.activation === 'relu' ? [{ part: 'relu', op: 'Relu', inputs: [] }] : [];
}

/**
 * At rank 2 a Gemm, which ONNX Runtime fuses with a Relu behind it; otherwise MatMul and Add. alpha and beta stay at
 * their default 1: some releases compute a quantized Gemm wrongly at another alpha (onnxruntime#28130).
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

/** MatMul wants the weight as [in, out]. A weight with other readers is stored once and turned at load time. */
function columnsOf(weight: Node, reader: Node, out: OnnxBuilder): string {
  if (weight.op !== 'constant' || weight.type.quant || !out.fusions.isReadOnce(weight)) {
    return out.step(reader, 'columns', 'Transpose', [out.value(weight)], { perm: { ints: [1, 0] } });
  }
  return out.constant(weight.name, transposed(weight.tensor));
}
