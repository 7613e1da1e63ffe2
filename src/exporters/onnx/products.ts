import type { Call, Node } from '../../graph.ts';
import { transposed } from '../../tensor.ts';
import type { Attributes, OnnxBuilder } from './builder.ts';

/**
 * At rank 2 a Gemm, which ONNX Runtime fuses with a Relu behind it; otherwise MatMul and Add. alpha and beta stay at
 * their default 1: some releases compute a quantized Gemm wrongly at another alpha (onnxruntime#28130).
 */
export function linear(node: Call<'linear'>, out: OnnxBuilder): void {
  const [x, weight, bias] = node.inputs as readonly [Node, Node, Node?];
  const addend = bias ? [out.value(bias)] : [];
  const finish = node.attrs.activation === 'relu' ? finishWithRelu : finishPlainly;
  if (node.type.shape.length === 2) {
    finish(node, out, 'Gemm', [out.value(x), out.value(weight), ...addend], { transB: { int: 1 } });
    return;
  }
  const product = [out.value(x), columnsOf(weight, node, out)];
  if (bias) finish(node, out, 'Add', [out.step(node, 'product', 'MatMul', product), ...addend]);
  else finish(node, out, 'MatMul', product);
}

type Finish = (node: Node, out: OnnxBuilder, op: string, inputs: readonly string[], attributes?: Attributes) => void;

const finishPlainly: Finish = (node, out, op, inputs, attributes) => out.result(node, op, inputs, attributes);
const finishWithRelu: Finish = (node, out, op, inputs, attributes) =>
  out.result(node, 'Relu', [out.step(node, 'linear', op, inputs, attributes)]);

/** MatMul wants the weight as [in, out]. A weight with other readers is stored once and turned at load time. */
function columnsOf(weight: Node, reader: Node, out: OnnxBuilder): string {
  if (weight.op !== 'constant' || !out.fusions.isReadOnce(weight)) {
    return out.step(reader, 'columns', 'Transpose', [out.value(weight)], { perm: { ints: [1, 0] } });
  }
  return out.constant(weight.name, transposed(weight.tensor));
}

/** add(x Wᵀ, residual) = Gemm(x, W, C = residual): one pass over the output instead of two. */
export function residualAdd(node: Call<'add'>, out: OnnxBuilder): void {
  const { linear, other } = out.fusions.residuals.get(node) as { linear: Node; other: Node };
  const [x, weight] = linear.inputs as readonly [Node, Node];
  out.result(node, 'Gemm', [out.value(x), out.value(weight), out.value(other)], { transB: { int: 1 } });
}

/** a bᵀ needs b turned; where b is a transpose already (q kᵀ), both turns are one. */
export function matmul(node: Call<'matmul'>, out: OnnxBuilder): void {
  const [a, b] = node.inputs as readonly [Node, Node];
  const right = node.attrs.transposeB ? turned(node, b, out) : out.value(b);
  out.result(node, 'MatMul', [out.value(a), right]);
}

function turned(node: Node, b: Node, out: OnnxBuilder): string {
  const fused = out.fusions.transposes.get(node);
  const axes = fused ? fused.attrs.permutation : b.type.shape.map((_, axis) => axis);
  const source = (fused?.inputs[0] ?? b) as Node;
  const perm = [...axes.slice(0, -2), ...axes.slice(-2).reverse()];
  return out.step(node, 'transposed', 'Transpose', [out.value(source)], { perm: { ints: perm } });
}

/** Conv wants channels before positions, for x [batch, in, sequence] and the weight [out, in, width] alike. */
export function conv1d(node: Call<'conv1d'>, out: OnnxBuilder): void {
  const swap = { perm: { ints: [0, 2, 1] } };
  const [x, weight, bias] = node.inputs as readonly [Node, Node, Node?];
  const half = ((weight.type.shape[1] as number) - 1) / 2;
  const inputs = [
    out.step(node, 'channels', 'Transpose', [out.value(x)], swap),
    out.step(node, 'kernel', 'Transpose', [out.value(weight)], swap),
    ...(bias ? [out.value(bias)] : []),
  ];
  const convolved = out.step(node, 'convolved', 'Conv', inputs, { pads: { ints: [half, half] } });
  out.result(node, 'Transpose', [convolved], swap);
}
