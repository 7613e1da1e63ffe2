import type { Call, Node } from '../../ir/graph.ts';
import type { OnnxBuilder } from './builder.ts';

// Opsets since which an op, or a form of it, is ONNX's own.
const LAYER_NORMALIZATION_OPSET = 17;
const REDUCE_AXES_INPUT_OPSET = 18;
const GELU_OPSET = 20;

/** Writes Gelu, below opset 20 as the one order of nodes that ONNX Runtime fuses again, to Gelu and FastGelu. */
export function gelu(node: Call<'gelu'>, out: OnnxBuilder): void {
  const x = out.value(node.inputs[0] as Node);
  const { tanh } = node.attrs;
  if (out.opset >= GELU_OPSET) {
    out.result(node, 'Gelu', [x], { approximate: { text: tanh ? 'tanh' : 'none' } });
  } else if (tanh) {
    geluByTanh(node, x, out);
  } else {
    geluByErf(node, x, out);
  }
}

/** Writes x (1 + erf(x / √2)) / 2. */
function geluByErf(node: Node, x: string, out: OnnxBuilder): void {
  const scaled = out.step(node, 'scaled', 'Div', [x, out.scalar(Math.SQRT2)]);
  const erf = out.step(node, 'erf', 'Erf', [scaled]);
  const shifted = out.step(node, 'shifted', 'Add', [erf, out.scalar(1)]);
  const doubled = out.step(node, 'doubled', 'Mul', [x, shifted]);
  out.result(node, 'Mul', [doubled, out.scalar(0.5)]);
}

/** Writes (x / 2) (1 + tanh((x · √(2/π)) (1 + x · 0.044715 x))). */
function geluByTanh(node: Node, x: string, out: OnnxBuilder): void {
  const cubic = out.step(node, 'cubic', 'Mul', [x, out.scalar(0.044715)]);
  const square = out.step(node, 'square', 'Mul', [x, cubic]);
  const factor = out.step(node, 'factor', 'Add', [square, out.scalar(1)]);
  const scaled = out.step(node, 'scaled', 'Mul', [x, out.scalar(Math.sqrt(2 / Math.PI))]);
  const tanh = out.step(node, 'tanh', 'Tanh', [out.step(node, 'inner', 'Mul', [factor, scaled])]);
  const shifted = out.step(node, 'shifted', 'Add', [tanh, out.scalar(1)]);
  const half = out.step(node, 'half', 'Mul', [x, out.scalar(0.5)]);
  out.result(node, 'Mul', [half, shifted]);
}

/** Writes LayerNormalization, below opset 17 as nodes in the order that ONNX Runtime fuses again. */
export function layerNorm(node: Call<'layerNorm'>, out: OnnxBuilder): void {
  const [x, gamma, beta] = node.inputs.map((input) => out.value(input)) as [string, string, string];
  const { epsilon } = node.attrs;
  if (out.opset >= LAYER_NORMALIZATION_OPSET) {
    out.result(node, 'LayerNormalization', [x, gamma, beta], { axis: { int: -1 }, epsilon: { float: epsilon } });
    return;
  }
  const lastAxis = { axes: { ints: [-1] }, keepdims: { int: 1 } };
  const mean = out.step(node, 'mean', 'ReduceMean', [x], lastAxis);
  const centered = out.step(node, 'centered', 'Sub', [x, mean]);
  const squared = out.step(node, 'squared', 'Pow', [centered, out.scalar(2)]);
  const variance = out.step(node, 'variance', 'ReduceMean', [squared], lastAxis);
  const guarded = out.step(node, 'guarded', 'Add', [variance, out.scalar(epsilon)]);
  const deviation = out.step(node, 'deviation', 'Sqrt', [guarded]);
  const normal = out.step(node, 'normal', 'Div', [centered, deviation]);
  const scaled = out.step(node, 'scaled', 'Mul', [normal, gamma]);
  out.result(node, 'Add', [scaled, beta]);
}

export function noNorm(node: Call<'noNorm'>, out: OnnxBuilder): void {
  const [x, gamma, beta] = node.inputs.map((input) => out.value(input)) as [string, string, string];
  out.result(node, 'Add', [out.step(node, 'scaled', 'Mul', [x, gamma]), beta]);
}

/** Writes a reduction over one axis, which is an attribute before opset 18 and an input since. */
export function reduction(op: 'ReduceMax' | 'ReduceMean'): (node: Call<'max' | 'mean'>, out: OnnxBuilder) => void {
  return (node, out) => {
    const { axis, keepDims } = node.attrs;
    const { inputs, attributes } = alongAxis(out.value(node.inputs[0] as Node), axis, out);
    out.result(node, op, inputs, { ...attributes, keepdims: { int: keepDims ? 1 : 0 } });
  };
}

function alongAxis(x: string, axis: number, out: OnnxBuilder) {
  if (out.opset >= REDUCE_AXES_INPUT_OPSET) return { inputs: [x, out.integers([axis])], attributes: {} };
  return { inputs: [x], attributes: { axes: { ints: [axis] } } };
}

/** Writes ReduceSum, whose axes are an input in every opset that mbert writes. */
export function sum(node: Call<'sum'>, out: OnnxBuilder): void {
  const { axis, keepDims } = node.attrs;
  const inputs = [out.value(node.inputs[0] as Node), out.integers([axis])];
  out.result(node, 'ReduceSum', inputs, { keepdims: { int: keepDims ? 1 : 0 } });
}

/** Writes x / max(‖x‖, epsilon): LpNormalization knows no epsilon. */
export function normalize(node: Call<'normalize'>, out: OnnxBuilder): void {
  const x = out.value(node.inputs[0] as Node);
  const { inputs, attributes } = alongAxis(x, -1, out);
  const norm = out.step(node, 'norm', 'ReduceL2', inputs, { ...attributes, keepdims: { int: 1 } });
  const divisor = out.step(node, 'divisor', 'Max', [norm, out.scalar(node.attrs.epsilon)]);
  out.result(node, 'Div', [x, divisor]);
}
