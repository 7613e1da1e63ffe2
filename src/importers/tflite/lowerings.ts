import type { Node } from '../../ir/graph.ts';
import { isFloat } from '../../ir/op.ts';
import { axisOf, type Dim, product, type Shape } from '../../ir/shape.ts';
import { readIntegers, scalarTensor } from '../../ir/tensor.ts';
import { divideDims, reshapeTarget } from '../dims.ts';
import type { TfBuilder, Value } from '../tensorflow/builder.ts';
import { cast, cumulativeSum } from '../tensorflow/elementwise.ts';
import type { FlatNode } from '../tensorflow/inline.ts';
import { gather } from '../tensorflow/products.ts';
import { type Lowering, reshapeBy } from '../tensorflow/shapes.ts';

/** Least norm that TFLite's L2_NORMALIZATION divides by (reference/l2normalization.h). */
const L2_EPSILON = 1e-6;

/** Lowerings of operators that TensorFlow does not have, or has with other inputs or attributes. */
export const tfliteLowerings: { readonly [op: string]: Lowering } = {
  // The target is in the output tensor's type; the options repeat it, if they are there.
  CAST: cast,
  CONCATENATION(node, out) {
    const parts = out.tensors(node);
    return parts && out.add(node, 'concat', parts, { axis: node.attributes.int('axis') });
  },
  CONV_2D: convolve,
  CUMSUM: (node, out) => counted(node, out) ?? cumulativeSum(node, out),
  DEQUANTIZE: dequantize,
  EMBEDDING_LOOKUP: (node, out) => gather(node, out, 0, { table: 1, indices: 0 }),
  FULLY_CONNECTED: fullyConnected,
  GATHER: (node, out) => gather(node, out, node.attributes.int('batchDims') === 0 ? node.attributes.int('axis') : null),
  GELU(node, out) {
    const x = out.tensor(node, 0);
    return x && out.add(node, 'gelu', [x], { tanh: node.attributes.bool('approximate') });
  },
  L2_NORMALIZATION(node, out) {
    const x = out.tensor(node, 0);
    return x && out.add(node, 'normalize', [x], { epsilon: L2_EPSILON });
  },
  QUANTIZE(node, out) {
    const x = out.tensor(node, 0);
    return x && out.add(node, 'quantize', [x]);
  },
  RELU6: (node, out) => clamped(node, out, out.tensor(node, 0), { least: 0, most: 6 }),
  RELU_N1_TO_1: (node, out) => clamped(node, out, out.tensor(node, 0), { least: -1, most: 1 }),
  RESHAPE: reshape,
  SOFTMAX: softmax,
};

function clamped(node: FlatNode, out: TfBuilder, x: Node | null, range: { least: number; most: number }): Value | null {
  if (x === null) return null;
  const least = out.graph.constant(scalarTensor(range.least), `${node.name}/least`);
  const most = out.graph.constant(scalarTensor(range.most), `${node.name}/most`);
  return out.add(node, 'minimum', [out.step(node, 'at_least', 'maximum', [x, least]), most]);
}

/** Lowers DEQUANTIZE. Weights that are stored narrow are read as they are: nothing but their storage differs. */
function dequantize(node: FlatNode, out: TfBuilder): Value | null {
  const x = out.tensor(node, 0);
  if (x === null || x.op === 'constant') return x && { kind: 'node', node: x };
  return x.type.quant === undefined ? out.add(node, 'cast', [x], { to: 'f32' }) : out.add(node, 'dequantize', [x]);
}

/** Lowers CUMSUM of ones that comes to 0, 1, 2, … along a sequence of the run; the ones are 0 · ids + 1. */
function counted(node: FlatNode, out: TfBuilder): Value | null {
  const ones = out.tensor(node, 0);
  const [axis] = out.integers(node, 1) ?? [];
  if (ones?.op !== 'add' || axis === undefined || !node.attributes.bool('exclusive') || node.attributes.bool('reverse'))
    return null;
  const [zeros, one] = ones.inputs as readonly [Node, Node];
  const { dtype, shape } = ones.type;
  const isOnes = zeros.op === 'mul' && isInteger(zeros.inputs[1], 0) && isInteger(one, 1);
  const isRow = shape.every((dim, i) => i === axisOf(axis, shape.length) || dim === 1);
  return isOnes && isRow && (dtype === 'i32' || dtype === 'i64') ? { kind: 'range', dtype, shape } : null;
}

function isInteger(node: Node | undefined, value: number): boolean {
  if (node?.op !== 'constant' || node.type.shape.length > 0 || isFloat(node.type.dtype)) return false;
  return readIntegers(node.tensor)[0] === value;
}

/** Lowers RESHAPE, whose target is an input, or in the options where there is none. */
function reshape(node: FlatNode, out: TfBuilder): Value | null {
  const target: readonly Dim[] | null = node.inputs.length > 1 ? out.dims(node, 1) : node.attributes.ints('newShape');
  return reshapeBy(node, out, (from) => target && reshapeTarget(from, target));
}

/** Lowers SOFTMAX, softmax(beta x) over the last axis. */
function softmax(node: FlatNode, out: TfBuilder): Value | null {
  const x = out.tensor(node, 0);
  const beta = node.attributes.float('beta');
  if (x === null || beta === 1) return x && out.add(node, 'softmax', [x]);
  const factor = out.graph.constant(scalarTensor(beta), `${node.name}/beta`);
  return out.add(node, 'softmax', [out.step(node, 'scaled', 'mul', [x, factor])]);
}

/** Lowers FULLY_CONNECTED, x Wᵀ + b with W [out, in]. Without keepNumDims all axes but the last become one. */
function fullyConnected(node: FlatNode, out: TfBuilder): Value | null {
  const [x, weight, bias] = out.tensors(node) ?? [];
  const [size, width] = weight?.type.shape ?? [];
  if (x === undefined || weight === undefined || size === undefined || width === undefined) return null;
  if (node.attributes.text('weightsFormat') !== 'DEFAULT') return null;
  const isMatrix = x.type.shape.length === 2 && x.type.shape[1] === width;
  const isKept = node.attributes.bool('keepNumDims') && x.type.shape.at(-1) === width;
  const biases = bias === undefined ? [] : [bias];
  if (isMatrix || isKept) return out.add(node, 'linear', [x, weight, ...biases]);
  const rows = divideDims(product(x.type.shape), width);
  if (rows === null) return null;
  const flat = out.step(node, 'rows', 'reshape', [x], { shape: [rows, width] });
  return out.add(node, 'linear', [flat, weight, ...biases]);
}

/** Lowers CONV_2D over an image of height 1 to one along the sequence; with a filter of one pixel it is a linear. */
function convolve(node: FlatNode, out: TfBuilder): Value | null {
  const [x, filter, bias] = out.tensors(node) ?? [];
  if (x === undefined || filter?.op !== 'constant' || x.type.shape.length !== 4) return null;
  const [size, height, width, channels] = filter.type.shape as readonly [number, number, number, number];
  const { attributes } = node;
  const isPlain = ['strideW', 'strideH', 'dilationWFactor', 'dilationHFactor'].every(
    (name) => attributes.int(name) === 1,
  );
  const isRow = height === 1 && (width === 1 || (x.type.shape[1] === 1 && attributes.text('padding') === 'SAME'));
  if (!isPlain || !isRow || width % 2 === 0 || filter.type.quant?.per === 'block') return null;
  const biases = bias === undefined ? [] : [bias];
  const reshaped = (shape: Shape) => {
    const { quant } = filter.type;
    // Output channels stay the first axis.
    return out.graph.constant({ ...filter.tensor, shape: shape as readonly number[] }, filter.name, quant);
  };
  if (width === 1) return out.add(node, 'linear', [x, reshaped([size, channels]), ...biases]);
  const [batch, , sequence] = x.type.shape as readonly [Dim, Dim, Dim];
  const tokens = out.step(node, 'tokens', 'reshape', [x], { shape: [batch, sequence, channels] });
  const result = out.step(node, 'convolved', 'conv1d', [tokens, reshaped([size, width, channels]), ...biases]);
  return out.add(node, 'reshape', [result], { shape: [batch, 1, sequence, size] });
}

/** Adds the activation that an operator applies to its result; null for one that mbert has no word for. */
export function activated(node: FlatNode, out: TfBuilder, x: Node, activation: string): Value | null {
  switch (activation) {
    case 'RELU':
      return out.add(node, 'relu', [x]);
    case 'TANH':
      return out.add(node, 'tanh', [x]);
    case 'RELU6':
      return clamped(node, out, x, { least: 0, most: 6 });
    case 'RELU_N1_TO_1':
      return clamped(node, out, x, { least: -1, most: 1 });
    default:
      return null;
  }
}
