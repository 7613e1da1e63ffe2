import type { Call, Node } from '../../ir/graph.ts';
import type { OnnxBuilder } from './builder.ts';

/** Writes add(x Wᵀ, residual) as Gemm(x, W, C = residual): one pass over the output instead of two. */
export function residualAdd(node: Call<'add'>, out: OnnxBuilder): void {
  const { linear, other } = out.fusions.residuals.get(node) as { linear: Node; other: Node };
  const [x, weight] = linear.inputs as readonly [Node, Node];
  out.result(node, 'Gemm', [out.value(x), out.value(weight), out.value(other)], { transB: { int: 1 } });
}

/** Writes a bᵀ with b turned; where b is a transpose already (q kᵀ), both turns are one. */
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

/** Writes Conv, which wants channels first, for x [batch, in, sequence] and for the weight [out, in, width]. */
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
