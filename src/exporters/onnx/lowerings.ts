import { ONNX_DTYPES } from '../../formats/onnx.ts';
import type { Call, Node } from '../../graph.ts';
import { computedType } from '../../op.ts';
import type { OpName } from '../../ops/index.ts';
import type { OnnxBuilder } from './builder.ts';
import { conv1d, linear, matmul, residualAdd } from './products.ts';
import { gather, pad, reshape, shift, slice } from './shapes.ts';
import { gelu, layerNorm, mean, noNorm } from './values.ts';

/** How each op is written; an op without a row is refused by name. */
export type Lowerings = { readonly [O in OpName]?: (node: Call<O>, out: OnnxBuilder) => void };

export const lowerings: Lowerings = {
  add: (node, out) => (out.fusions.residuals.has(node) ? residualAdd(node, out) : all('Add')(node, out)),
  cast: (node, out) =>
    out.result(node, 'Cast', values(node, out), { to: { int: ONNX_DTYPES[computedType(node.attrs.to)] } }),
  concat: (node, out) => out.result(node, 'Concat', values(node, out), { axis: { int: node.attrs.axis } }),
  conv1d,
  div: all('Div'),
  erf: all('Erf'),
  gather,
  gelu,
  layerNorm,
  linear,
  matmul,
  mean,
  mul: all('Mul'),
  noNorm,
  pad,
  relu: all('Relu'),
  reshape,
  rsqrt: (node, out) => out.result(node, 'Reciprocal', [out.step(node, 'sqrt', 'Sqrt', values(node, out))]),
  shift,
  sigmoid: all('Sigmoid'),
  slice,
  softmax: (node, out) => out.result(node, 'Softmax', values(node, out), { axis: { int: node.attrs.axis } }),
  sqrt: all('Sqrt'),
  sub: all('Sub'),
  tanh: all('Tanh'),
  transpose: (node, out) =>
    out.result(node, 'Transpose', values(node, out), { perm: { ints: node.attrs.permutation } }),
};

/** An op that ONNX has under the same inputs. */
function all(op: string): (node: Call, out: OnnxBuilder) => void {
  return (node, out) => out.result(node, op, values(node, out));
}

function values(node: Node, out: OnnxBuilder): string[] {
  return node.inputs.map((input) => out.value(input));
}
