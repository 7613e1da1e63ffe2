import type { Call, Constant, Graph, Node } from '../../ir/graph.ts';
import { isFloat } from '../../ir/op.ts';
import type { Pass } from '../../ir/pass.ts';
import { readF32, takeF32, tensorOf } from '../../ir/tensor.ts';

/**
 * Passes that give one form to what formats and tools write in two ways, where no pass of a conversion needs to tell
 * the two apart.
 */
export const canonicalPasses: readonly Pass[] = [
  sweep('drop-zero-bias', 'linear(x, weight, 0)  ->  linear(x, weight)', dropZeroBias),
  sweep('drop-leading-ones', 'x + c [1, n]  ->  x + c [n]', dropLeadingOnes),
  sweep('merge-bias', 'linear(x, weight, bias) + c  ->  linear(x, weight) + (bias + c)', mergeBias),
  sweep('trust-mask', 'cast(cast(mask) {to: bool})  ->  cast(mask)', trustMask),
  sweep('cast-to-f32', 'cast(mask) {to: f16}  ->  cast(mask) {to: f32}', castToF32),
];

/**
 * Passes that run before norms are folded: they take back what another tool has folded in part, so that both sides fold
 * alike.
 */
export const unfoldingPasses: readonly Pass[] = [
  sweep('read-behind-norm', 'linear(x) beside noNorm(x)  ->  linear(noNorm(x))', readBehindNorm),
];

/** Builds a pass that offers every node to `change`, which gives the node's replacement or null. */
function sweep(name: string, summary: string, change: (graph: Graph, node: Node) => Node | null): Pass {
  return {
    name,
    summary,
    keeps: 'values',
    run(graph) {
      let rewrites = 0;
      for (const node of graph.nodes()) {
        if (node.type.quant === undefined && graph.replace(node, () => change(graph, node))) rewrites++;
      }
      return { rewrites, declined: [] };
    },
  };
}

/** Drops a bias of zeros: TFLite's kernels need a bias, so files have zeros where the model has none. */
function dropZeroBias(graph: Graph, node: Node): Node | null {
  if (node.op !== 'linear') return null;
  const [x, weight, bias] = node.inputs as readonly [Node, Node, Node?];
  if (bias?.op !== 'constant' || !readF32(bias.tensor).every((value) => value === 0)) return null;
  return graph.add('linear', [x, weight], node.attrs, node.name);
}

/**
 * The smallest |gain|, as a share of the largest, by which weights are divided: a division by less would make them
 * noise.
 */
const MIN_GAIN_SHARE = 2 ** -10;

/**
 * Lets a linear read the norm beside it again. TensorFlow's converter folds the norm after attention into the linear
 * that reads it, and keeps the norm for the residual: W x + b = (W/g)(g∘x + c) + (b - (W/g) c).
 */
function readBehindNorm(graph: Graph, node: Node): Node | null {
  if (node.op !== 'linear') return null;
  const [x, weight, bias] = node.inputs as readonly [Node, Node, Node?];
  const norm = [...x.users].find((user) => user.op === 'noNorm' && user.inputs[0] === x);
  const [, gamma, beta] = norm?.inputs ?? [];
  if (!norm || !gamma || !beta || !isFloatConstant(gamma) || !isFloatConstant(beta) || !isFloatConstant(weight))
    return null;
  if (bias !== undefined && !isFloatConstant(bias)) return null;
  const [gains, offsets] = [readF32(gamma.tensor), readF32(beta.tensor)];
  const largest = gains.reduce((most, gain) => Math.max(most, Math.abs(gain)), 0);
  if (gains.some((gain) => Math.abs(gain) < MIN_GAIN_SHARE * largest)) return null;
  const [rows, width] = weight.tensor.shape as readonly [number, number];
  const values = takeF32(weight.tensor);
  const shifts = bias ? takeF32(bias.tensor) : new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let shift = shifts[row] as number;
    for (let i = 0; i < width; i++) {
      const value = (values[row * width + i] as number) / (gains[i] as number);
      values[row * width + i] = value;
      shift -= value * (offsets[i] as number);
    }
    shifts[row] = shift;
  }
  const inputs = [
    norm,
    graph.constant(tensorOf('f32', [rows, width], values), weight.name),
    graph.constant(tensorOf('f32', [rows], shifts), bias?.name),
  ];
  return graph.add('linear', inputs, node.attrs, node.name);
}

/**
 * Drops a constant's leading axes of size 1: a table of positions has a batch of 1 in one tool's files and none in
 * another's.
 */
function dropLeadingOnes(graph: Graph, node: Node): Node | null {
  if (node.op !== 'add' && node.op !== 'mul' && node.op !== 'sub') return null;
  const inputs = node.inputs.map((input, i) => {
    const otherOperand = node.inputs[1 - i] as Node;
    return isFloatConstant(input) && otherOperand.op !== 'constant'
      ? withoutLeadingOnes(graph, input, otherOperand)
      : input;
  });
  return inputs.every((input, i) => input === node.inputs[i]) ? null : graph.add(node.op, inputs, {}, node.name);
}

function withoutLeadingOnes(graph: Graph, constant: Constant, otherOperand: Node): Node {
  const { shape, dtype } = constant.tensor;
  const ones = shape.findIndex((dim) => dim !== 1);
  const inner = shape.slice(ones < 0 ? shape.length : ones);
  if (inner.length === shape.length || shape.length > otherOperand.type.shape.length) return constant;
  return graph.constant({ dtype, shape: inner, bytes: () => constant.tensor.bytes() }, constant.name);
}

/**
 * Merges a bias into the constant that is added next: TensorFlow's converter adds the bias of the embedding's linear to
 * the table of positions.
 */
function mergeBias(graph: Graph, node: Node): Node | null {
  if (node.op !== 'add') return null;
  const [a, b] = node.inputs as readonly [Node, Node];
  const [biased, addend] = isFloatConstant(b) ? [a, b] : [b, a];
  if (!isFloatConstant(addend) || !hasOwnBias(biased)) return null;
  const [x, weight, bias] = biased.inputs as readonly [Node, Node, Constant];
  const width = bias.tensor.shape[0] as number;
  if (addend.tensor.shape.at(-1) !== width || biased.type.quant !== undefined) return null;
  const sum = takeF32(addend.tensor);
  const values = readF32(bias.tensor);
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (values[i % width] as number);
  const plain =
    biased.op === 'linear'
      ? graph.add('linear', [x, weight], {}, biased.name)
      : graph.add('conv1d', [x, weight], {}, biased.name);
  return graph.add(
    'add',
    [plain, graph.constant(tensorOf('f32', addend.tensor.shape, sum), addend.name)],
    {},
    node.name,
  );
}

function hasOwnBias(node: Node): node is Call<'linear' | 'conv1d'> {
  if ((node.op !== 'linear' && node.op !== 'conv1d') || node.users.size > 1) return false;
  const bias = node.inputs[2];
  const isPlain = node.op === 'conv1d' || node.attrs.activation === 'none';
  return isPlain && bias !== undefined && isFloatConstant(bias) && bias.tensor.shape.length === 1;
}

/** Drops a mask's cast to bool: masks hold 0 and 1, so whether a tool asks for that by a cast makes no difference. */
function trustMask(graph: Graph, node: Node): Node | null {
  if (node.op !== 'cast') return null;
  const inner = node.inputs[0] as Node;
  if (inner.op !== 'cast' || inner.attrs.to !== 'bool') return null;
  const source = inner.inputs[0] as Node;
  return source.op === 'input' ? graph.add('cast', [source], node.attrs, node.name) : null;
}

/**
 * Casts to f32 in place of f16: a file that computes in f16 says so where integers become floats; what f16 costs shows
 * in its weights.
 */
function castToF32(graph: Graph, node: Node): Node | null {
  if (node.op !== 'cast' || (node.attrs.to !== 'f16' && node.attrs.to !== 'bf16')) return null;
  return graph.add('cast', node.inputs, { to: 'f32' }, node.name);
}

function isFloatConstant(node: Node): node is Constant {
  return node.op === 'constant' && node.type.quant === undefined && isFloat(node.tensor.dtype);
}
