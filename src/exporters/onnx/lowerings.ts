import { ONNX_DTYPES } from '../../formats/onnx.ts';
import type { Call, Node } from '../../ir/graph.ts';
import { computedType } from '../../ir/op.ts';
import type { OpName } from '../../ir/ops/index.ts';
import type { OnnxBuilder } from './builder.ts';
import { dynamicRound } from './integer-linears.ts';
import { linear, relu } from './linears.ts';
import { conv1d, matmul, residualAdd } from './products.ts';
import { hasIntegerWeight, isSymmetric } from './quantization.ts';
import { expand, pad, range, reshape, shift } from './shapes.ts';
import { gather, slice } from './tables.ts';
import { gelu, layerNorm, noNorm, normalize, reduction, sum } from './values.ts';

/** Writers of ops, partial so that a new op compiles before this exporter knows it. */
export type Lowerings = { readonly [O in OpName]?: (node: Call<O>, out: OnnxBuilder) => void };

export const lowerings: Lowerings = {
  add: (node, out) => (out.fusions.residuals.has(node) ? residualAdd(node, out) : all('Add')(node, out)),
  and: all('And'),
  cast: (node, out) =>
    out.result(node, 'Cast', values(node, out), { to: { int: ONNX_DTYPES[computedType(node.attrs.to)] } }),
  ceil: all('Ceil'),
  compare: (node, out) => out.result(node, COMPARISONS[node.attrs.test], values(node, out)),
  concat: (node, out) => out.result(node, 'Concat', values(node, out), { axis: { int: node.attrs.axis } }),
  conv1d,
  cos: all('Cos'),
  cumulativeSum: (node, out) => out.result(node, 'CumSum', [...values(node, out), out.integer(node.attrs.axis)]),
  dequantize,
  div: all('Div'),
  dynamicRound,
  erf: all('Erf'),
  expand,
  gather,
  gelu,
  isNan: all('IsNaN'),
  layerNorm,
  linear,
  log: all('Log'),
  matmul,
  max: reduction('ReduceMax'),
  maximum: all('Max'),
  mean: reduction('ReduceMean'),
  minimum: all('Min'),
  mul: all('Mul'),
  noNorm,
  normalize,
  not: all('Not'),
  or: all('Or'),
  pad,
  quantize,
  range,
  relu,
  reshape,
  rsqrt: (node, out) => out.result(node, 'Reciprocal', [out.step(node, 'sqrt', 'Sqrt', values(node, out))]),
  shift,
  sigmoid: all('Sigmoid'),
  sin: all('Sin'),
  slice,
  softmax: (node, out) => out.result(node, 'Softmax', values(node, out), { axis: { int: node.attrs.axis } }),
  sqrt: all('Sqrt'),
  sub: all('Sub'),
  sum,
  tanh: all('Tanh'),
  transpose: (node, out) =>
    out.result(node, 'Transpose', values(node, out), { perm: { ints: node.attrs.permutation } }),
  where: all('Where'),
};

const COMPARISONS = {
  equal: 'Equal',
  less: 'Less',
  lessOrEqual: 'LessOrEqual',
  greater: 'Greater',
  greaterOrEqual: 'GreaterOrEqual',
} as const;

/** Writes QuantizeLinear, for which the quantized type does all; a copy that stays f32 is no copy. */
function quantize(node: Call<'quantize'>, out: OnnxBuilder): void {
  const real = out.value(node.inputs[0] as Node);
  if (node.type.quant) out.quantize(node, real);
  else out.result(node, 'Identity', [real]);
}

/**
 * Writes a cast and a product for symmetric integers of a constant: ONNX Runtime 1.30 does that once, when it loads the
 * file, where it would run DequantizeLinear each time, or round the weight of a Gemm anew.
 */
function dequantize(node: Call<'dequantize'>, out: OnnxBuilder): void {
  const x = node.inputs[0] as Node;
  if (!hasIntegerWeight(x) || !isSymmetric(x)) {
    out.result(node, 'Identity', [out.value(x)]);
    return;
  }
  const stored = out.stored(x);
  const integers = out.step(node, 'integers', 'Cast', [stored.name], { to: { int: ONNX_DTYPES.f32 } });
  const axes = x.type.shape.slice(1).map((_, i) => i + 1);
  const scales = out.scaleOf(stored);
  const columns =
    x.type.quant?.per === 'tensor' ? scales : out.step(node, 'scales', 'Unsqueeze', [scales, out.integers(axes)]);
  out.result(node, 'Mul', [integers, columns]);
}

/** Writes an op that ONNX has under the same inputs. */
function all(op: string): (node: Call, out: OnnxBuilder) => void {
  return (node, out) => out.result(node, op, values(node, out));
}

function values(node: Node, out: OnnxBuilder): string[] {
  return node.inputs.map((input) => out.value(input));
}
