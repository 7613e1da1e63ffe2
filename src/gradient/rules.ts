import type { Call, Node } from '../ir/graph.ts';
import type { OpName } from '../ir/ops/index.ts';
import { axisOf, type Dim, sameShape } from '../ir/shape.ts';
import type { GradientBuilder } from './builder.ts';

/** Builds the gradient of one input, given that of the result. Null: the op does not depend on the input smoothly. */
export type InputGradient = (() => Node) | null;

/** The gradients of an op's inputs, in order, for the gradient `dy` of its result. Only those needed are built. */
export type Rule<O extends OpName> = (node: Call<O>, dy: Node, build: GradientBuilder) => readonly InputGradient[];

/** Rules by op: partial, so that a new op compiles before it can be trained. */
export const rules: { readonly [O in OpName]?: Rule<O> } = {
  add: ({ inputs }, dy, build) => inputs.map((input) => () => build.summedTo(dy, input.type.shape)),

  sub({ inputs: [a, b] }, dy, build) {
    return [
      () => build.summedTo(dy, (a as Node).type.shape),
      () => build.summedTo(build.times(dy, -1), (b as Node).type.shape),
    ];
  },

  mul({ inputs }, dy, build) {
    const [a, b] = inputs as readonly [Node, Node];
    return [
      () => build.summedTo(build.times(dy, b), a.type.shape),
      () => build.summedTo(build.times(dy, a), b.type.shape),
    ];
  },

  div(node, dy, build) {
    const [a, b] = node.inputs as readonly [Node, Node];
    const scaled = () => build.add('div', [dy, b]);
    return [
      () => build.summedTo(scaled(), a.type.shape),
      () => build.summedTo(build.times(build.times(scaled(), node), -1), b.type.shape),
    ];
  },

  relu: (node, dy, build) => [() => whereAboveZero(node, dy, build)],

  tanh: (node, dy, build) => [() => build.times(dy, build.minus(build.scalar(1), build.times(node, node)))],

  sigmoid: (node, dy, build) => [() => build.times(dy, build.times(node, build.minus(build.scalar(1), node)))],

  gelu(node, dy, build) {
    const x = node.inputs[0] as Node;
    return [() => build.times(dy, node.attrs.tanh ? geluSlopeByTanh(x, build) : geluSlope(x, build))];
  },

  /** Softmax y: dx = y (dy - Σ y dy) */
  softmax(node, dy, build) {
    const { axis } = node.attrs;
    const size = node.type.shape.at(axis) as Dim;
    return [
      () => {
        const weighted = build.times(build.mean(build.times(dy, node), axis), build.count([size]));
        return build.times(node, build.minus(dy, weighted));
      },
    ];
  },

  /** Normalize y = x r with r = 1 / ‖x‖: dx = r (dy - y Σ y dy) */
  normalize(node, dy, build) {
    const x = node.inputs[0] as Node;
    return [
      () => {
        const along = build.times(node, build.add('sum', [build.times(node, dy)]));
        return build.times(build.minus(dy, along), build.add('rsqrt', [build.add('sum', [build.times(x, x)])]));
      },
    ];
  },

  log: (node, dy, build) => [() => build.add('div', [dy, node.inputs[0] as Node])],

  /** Sum y: every summand has the gradient of the sum. */
  sum(node, dy, build) {
    const { shape } = (node.inputs[0] as Node).type;
    return [() => build.add('expand', [build.reshape(dy, shape.with(node.attrs.axis, 1))], { shape })];
  },

  /** Linear y = activation(x Wᵀ + b): dx = dy W, dW = dyᵀ x, db = Σ dy */
  linear(node, dy, build) {
    const [x, weight, bias] = node.inputs as readonly [Node, Node, Node?];
    const slope = () => build.rows(node.attrs.activation === 'relu' ? whereAboveZero(node, dy, build) : dy);
    const gradients: InputGradient[] = [
      () => build.reshape(build.add('matmul', [slope(), weight]), x.type.shape),
      () => build.add('matmul', [transposed(slope(), build), build.rows(x)]),
    ];
    if (bias) gradients.push(() => build.summedTo(slope(), bias.type.shape));
    return gradients;
  },

  matmul(node, dy, build) {
    const [a, b] = node.inputs as readonly [Node, Node];
    const { transposeB } = node.attrs;
    const lead = node.type.shape.slice(0, -2);
    // An operand that is repeated would need a sum over its repetitions.
    const isWhole = (x: Node) => sameShape(x.type.shape.slice(0, -2), lead);
    const ofA = () => build.add('matmul', [dy, b], { transposeB: !transposeB });
    const ofB = () =>
      transposeB ? build.add('matmul', [transposed(dy, build), a]) : build.add('matmul', [transposed(a, build), dy]);
    return [isWhole(a) ? ofA : null, isWhole(b) ? ofB : null];
  },

  /** LayerNorm y = γ∘n + β with n = (x - mean) r: dx = r (g - mean(g) - n mean(g n)), g = γ∘dy */
  layerNorm(node, dy, build) {
    const [x, gamma, beta] = node.inputs as readonly [Node, Node, Node];
    const normal = () => {
      const centred = build.minus(x, build.mean(x));
      const variance = build.plus(build.mean(build.times(centred, centred)), node.attrs.epsilon);
      const scale = build.add('rsqrt', [variance]);
      return { scale, values: build.times(centred, scale) };
    };
    return [
      () => {
        const { scale, values } = normal();
        const g = build.times(dy, gamma);
        const along = build.times(values, build.mean(build.times(g, values)));
        return build.times(build.minus(build.minus(g, build.mean(g)), along), scale);
      },
      () => build.summedTo(build.times(dy, normal().values), gamma.type.shape),
      () => build.summedTo(dy, beta.type.shape),
    ];
  },

  noNorm({ inputs }, dy, build) {
    const [x, gamma, beta] = inputs as readonly [Node, Node, Node];
    return [
      () => build.times(dy, gamma),
      () => build.summedTo(build.times(dy, x), gamma.type.shape),
      () => build.summedTo(dy, beta.type.shape),
    ];
  },

  reshape: (node, dy, build) => [() => build.reshape(dy, (node.inputs[0] as Node).type.shape)],

  transpose(node, dy, build) {
    const { permutation } = node.attrs;
    const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
    return [() => build.add('transpose', [dy], { permutation: inverse })];
  },

  /**
   * Slice: dx is dy between zeros. These are made of the elements beside the slice, times 0: the length of an axis may
   * only be known at run time.
   */
  slice(node, dy, build) {
    const x = node.inputs[0] as Node;
    const { axis, start, end } = node.attrs;
    const size = x.type.shape.at(axis) as Dim;
    if (start === 0 && end === size) return [() => dy];
    if (typeof end !== 'number' || typeof size !== 'number') return [sliceOfSymbol(node, dy, build)];
    const zeros = (from: number, to: number) =>
      from < to ? [build.times(build.add('slice', [x], { axis, start: from, end: to }), 0)] : [];
    return [() => build.add('concat', [...zeros(0, start), dy, ...zeros(end, size)], { axis })];
  },

  concat(node, dy, build) {
    const { axis } = node.attrs;
    let start = 0;
    return node.inputs.map((input) => {
      const from = start;
      const to = from + (input.type.shape.at(axis) as number);
      start = to;
      return () => build.add('slice', [dy], { axis, start: from, end: to });
    });
  },

  shift: (node, dy, build) => [() => build.add('shift', [dy], { axis: node.attrs.axis, offset: -node.attrs.offset })],

  where({ inputs }, dy, build) {
    const [condition, a, b] = inputs as readonly [Node, Node, Node];
    return [
      null,
      () => build.summedTo(build.add('where', [condition, dy, build.scalar(0)]), a.type.shape),
      () => build.summedTo(build.add('where', [condition, build.scalar(0), dy]), b.type.shape),
    ];
  },

  cast: (node, dy) => [node.type.dtype === 'f32' ? () => dy : null],
};

const NO_NUMBERS = 'its result is true or false';
const NO_NUMBERS_READ = 'it reads nothing';
const NO_RULE = 'no rule is written for it';
const ROUNDS = 'its result goes in steps';
const UNKNOWN = 'what it computes is not known';

/** Ops without a rule, each with the reason. */
export const refused: { readonly [O in OpName]?: string } = {
  and: NO_NUMBERS,
  ceil: ROUNDS,
  compare: NO_NUMBERS,
  conv1d: NO_RULE,
  cos: NO_RULE,
  cumulativeSum: NO_RULE,
  dequantize: 'it reads stored integers',
  dynamicRound: ROUNDS,
  erf: NO_RULE,
  expand: NO_RULE,
  foreign: UNKNOWN,
  gather: 'tables are not trained',
  isNan: NO_NUMBERS,
  max: NO_RULE,
  maximum: NO_RULE,
  mean: NO_RULE,
  minimum: NO_RULE,
  not: NO_NUMBERS,
  or: NO_NUMBERS,
  pad: NO_RULE,
  pick: UNKNOWN,
  quantize: ROUNDS,
  range: NO_NUMBERS_READ,
  rsqrt: NO_RULE,
  sin: NO_RULE,
  sqrt: NO_RULE,
};

/** Keeps dy where y is above zero. By a product: ONNX Runtime 1.30 takes ten times as long for a Where. */
function whereAboveZero(y: Node, dy: Node, build: GradientBuilder): Node {
  const isAbove = build.add('compare', [y, build.scalar(0)], { test: 'greater' });
  return build.times(dy, build.add('cast', [isAbove], { to: 'f32' }));
}

/** Swaps the last two axes. */
function transposed(x: Node, build: GradientBuilder): Node {
  const axes = x.type.shape.map((_, axis) => axis);
  return build.add('transpose', [x], { permutation: [...axes.slice(0, -2), ...axes.slice(-2).reverse()] });
}

/**
 * Builds the gradient of a slice of an axis of unknown length, as the first token of a sequence. No slice can name the
 * rest of the axis to put zeros there, but the first element is the only one without a neighbour before it.
 */
function sliceOfSymbol(node: Call<'slice'>, dy: Node, build: GradientBuilder): InputGradient {
  const x = node.inputs[0] as Node;
  const { start, end } = node.attrs;
  const at = axisOf(node.attrs.axis, x.type.shape.length);
  if (at === null || start !== 0 || end !== 1) return null;
  return () => {
    // 1 where an element has a neighbour before it, and that is everywhere but at the first.
    const ones = build.plus(build.times(x, 0), 1);
    const hasNeighbour = build.add('shift', [ones], { axis: at, offset: -1 });
    return build.times(build.minus(ones, hasNeighbour), dy);
  };
}

/**
 * Builds the slope of GELU, Φ(x) + x φ(x). There is no exp among the ops: e^a = σ(a) / (1 - σ(a)), which loses no
 * digits where a is negative, as a = -x²/2 is.
 */
function geluSlope(x: Node, build: GradientBuilder): Node {
  const cdf = build.times(build.plus(build.add('erf', [build.times(x, Math.SQRT1_2)]), 1), 0.5);
  const sigmoid = build.add('sigmoid', [build.times(build.times(x, x), -0.5)]);
  const exponential = build.add('div', [sigmoid, build.minus(build.scalar(1), sigmoid)]);
  return build.plus(cdf, build.times(build.times(x, exponential), 1 / Math.sqrt(2 * Math.PI)));
}

/** Builds the slope of GELU by tanh: with t = tanh(u), u = √(2/π) (x + 0.044715 x³), (1 + t)/2 + x (1 - t²) u'/2. */
function geluSlopeByTanh(x: Node, build: GradientBuilder): Node {
  const square = build.times(x, x);
  const scale = Math.sqrt(2 / Math.PI);
  const inner = build.times(build.times(x, build.plus(build.times(square, 0.044715), 1)), scale);
  const innerSlope = build.times(build.plus(build.times(square, 3 * 0.044715), 1), scale);
  const t = build.add('tanh', [inner]);
  const tail = build.times(build.times(x, build.minus(build.scalar(1), build.times(t, t))), innerSlope);
  return build.times(build.plus(build.plus(t, 1), tail), 0.5);
}
