import { MbertError } from '../../errors.ts';
import type { ActivationFunctionType } from '../../formats/tflite/generated/model.ts';
import type { Call, Node } from '../../graph.ts';
import type { OpName } from '../../ops/index.ts';
import { axisOf, type Dim, product } from '../../shape.ts';
import { type DType, tensorOf } from '../../tensor.ts';
import { type Options, type Result, type TfliteBuilder, TYPES } from './builder.ts';
import { reshape, step } from './shapes.ts';
import { lowerShift, lowerSlice } from './slices.ts';
import type { Builtin } from './versions.ts';

/** Emits the operators of a node and returns the tensor that holds its value. */
type Lowering<O extends OpName> = (node: Call<O>, out: TfliteBuilder) => number;

/** Partial, so that a new op compiles before this exporter knows it. TFLite has no ERF: only GELU as a whole. */
const lowerings: { readonly [O in OpName]?: Lowering<O> } = {
  add: binary('ADD', { kind: 'AddOptions', value: {} }),
  sub: binary('SUB', { kind: 'SubOptions', value: {} }),
  mul: binary('MUL', { kind: 'MulOptions', value: {} }),
  div: binary('DIV', { kind: 'DivOptions', value: {} }),
  relu: unary('RELU'),
  tanh: unary('TANH'),
  sigmoid: unary('LOGISTIC'),
  sqrt: unary('SQRT'),
  rsqrt: unary('RSQRT'),
  gelu: (node, out) =>
    out.op('GELU', values(node, out), node, { kind: 'GeluOptions', value: { approximate: node.attrs.tanh } }),
  linear: lowerLinear,
  conv1d: lowerConv1d,
  matmul: (node, out) =>
    out.op('BATCH_MATMUL', values(node, out), node, {
      kind: 'BatchMatMulOptions',
      value: { adjY: node.attrs.transposeB },
    }),
  softmax: lowerSoftmax,
  layerNorm: lowerLayerNorm,
  noNorm: lowerNoNorm,
  mean(node, out) {
    const axes = out.integers('axes', [axisIn(node)]);
    const value = { keepDims: node.attrs.keepDims };
    return out.op('MEAN', [...values(node, out), axes], node, { kind: 'ReducerOptions', value });
  },
  gather: lowerGather,
  reshape: (node, out) => reshape(out, out.value(input(node, 0)), node),
  transpose(node, out) {
    const permutation = out.integers('permutation', node.attrs.permutation);
    return out.op('TRANSPOSE', [...values(node, out), permutation], node, { kind: 'TransposeOptions', value: {} });
  },
  concat: (node, out) =>
    out.op('CONCATENATION', values(node, out), node, { kind: 'ConcatenationOptions', value: { axis: axisIn(node) } }),
  pad(node, out) {
    const { before, after } = node.attrs;
    const paddings = before.flatMap((count, i) => [count, after[i] as number]);
    const counts = out.integers('paddings', paddings, [before.length, 2]);
    return out.op('PAD', [...values(node, out), counts], node, { kind: 'PadOptions', value: {} });
  },
  cast: lowerCast,
  slice: lowerSlice,
  shift: lowerShift,
};

/** Lowers one node and everything that goes with it; `out.value` knows it afterwards. */
export function lower(node: Node, out: TfliteBuilder): void {
  if (node.op === 'input' || node.op === 'constant' || out.has(node)) return;
  const lowering = lowerings[node.op] as Lowering<OpName> | undefined;
  if (lowering === undefined) {
    throw new MbertError('UNSUPPORTED', `${node.name}: tflite has no lowering for ${node.op}`, {
      hint: 'no builtin operator computes it; mbert passes lists what may rewrite it',
    });
  }
  out.define(node, lowering(node as Call, out));
}

const ADD: Options = { kind: 'AddOptions', value: {} };
const MUL: Options = { kind: 'MulOptions', value: {} };
const SQUARED_DIFFERENCE: Options = { kind: 'SquaredDifferenceOptions', value: {} };

function binary(code: Builtin, options: Options): (node: Call, out: TfliteBuilder) => number {
  return (node, out) => out.op(code, values(node, out), node, options);
}

function unary(code: Builtin): (node: Call, out: TfliteBuilder) => number {
  return (node, out) => out.op(code, values(node, out), node);
}

function values(node: Node, out: TfliteBuilder): number[] {
  return node.inputs.map((x) => out.value(x));
}

function input(node: Node, at: number): Node {
  return node.inputs[at] as Node;
}

/** A node's axis counted from the front. */
function axisIn(node: Node & { readonly attrs: { readonly axis: number } }): number {
  return axisOf(node.attrs.axis, input(node, 0).type.shape.length) as number;
}

/** FULLY_CONNECTED without a bias is version 6, with one and keep_num_dims 5: a shared zero bias keeps old runtimes. */
function biasOf(node: Node, size: number, out: TfliteBuilder): number {
  const bias = node.inputs[2];
  if (bias !== undefined) return out.value(bias);
  return out.once(`zeros ${size}`, () =>
    out.constant(`zeros_${size}`, tensorOf('f32', [size], new Float32Array(size))),
  );
}

function lowerLinear(node: Call<'linear'>, out: TfliteBuilder): number {
  const [x, weight] = values(node, out) as [number, number];
  const bias = biasOf(node, input(node, 1).type.shape[0] as number, out);
  const activation: ActivationFunctionType = node.attrs.activation === 'relu' ? 'RELU' : 'NONE';
  const keepNumDims = node.type.shape.length !== 2;
  return out.op('FULLY_CONNECTED', [x, weight, bias], node, {
    kind: 'FullyConnectedOptions',
    value: { fusedActivationFunction: activation, keepNumDims },
  });
}

/** A convolution along the sequence is a 1 x width one over an image of height 1: x as [batch, 1, sequence, in]. */
function lowerConv1d(node: Call<'conv1d'>, out: TfliteBuilder): number {
  const [x, weight] = node.inputs as [Node, Node];
  if (weight.op !== 'constant') {
    throw new MbertError('UNSUPPORTED', `${node.name}: tflite convolves with constants, ${weight.name} is none`);
  }
  const [size, width, channels] = weight.tensor.shape as [number, number, number];
  const [batch, sequence] = x.type.shape as [Dim, Dim];
  const image = reshape(out, out.value(x), step(node, 'image', [batch, 1, sequence, channels]));
  const kernel = out.once(`kernel ${weight.name}`, () =>
    out.weight(weight.name, { ...weight.tensor, shape: [size, 1, width, channels] }),
  );
  const rows = step(node, 'rows', [batch, 1, sequence, size]);
  const result = out.op('CONV_2D', [image, kernel, biasOf(node, size, out)], rows, {
    kind: 'Conv2DOptions',
    value: { padding: 'SAME', strideW: 1, strideH: 1 },
  });
  return reshape(out, result, node);
}

function lowerSoftmax(node: Call<'softmax'>, out: TfliteBuilder): number {
  if (axisIn(node) !== node.type.shape.length - 1) {
    throw new MbertError(
      'UNSUPPORTED',
      `${node.name}: tflite has softmax for the last axis only, not ${node.attrs.axis}`,
      {
        hint: 'transpose its input first',
      },
    );
  }
  return out.op('SOFTMAX', values(node, out), node, { kind: 'SoftmaxOptions', value: { beta: 1 } });
}

/** (x - mean) * rsqrt(mean((x - mean)²) + epsilon) * gamma + beta: what XNNPACK runs of it in one piece with its neighbours. */
function lowerLayerNorm(node: Call<'layerNorm'>, out: TfliteBuilder): number {
  const [x, gamma, beta] = values(node, out) as [number, number, number];
  const { shape } = node.type;
  const last = out.integers('axes', [shape.length - 1]);
  const row = shape.with(-1, 1);
  const keepDims: Options = { kind: 'ReducerOptions', value: { keepDims: true } };
  const mean = out.op('MEAN', [x, last], step(node, 'mean', row), keepDims);
  const squares = out.op('SQUARED_DIFFERENCE', [x, mean], step(node, 'squares', shape), SQUARED_DIFFERENCE);
  const variance = out.op('MEAN', [squares, last], step(node, 'variance', row), keepDims);
  const shifted = out.op('ADD', [variance, out.scalar(node.attrs.epsilon)], step(node, 'shifted', row), ADD);
  const scale = out.op('RSQRT', [shifted], step(node, 'scale', row));
  const centred = out.op('SUB', [x, mean], step(node, 'centred', shape), { kind: 'SubOptions', value: {} });
  const normal = out.op('MUL', [centred, scale], step(node, 'normal', shape), MUL);
  const scaled = out.op('MUL', [normal, gamma], step(node, 'scaled', shape), MUL);
  return out.op('ADD', [scaled, beta], node, ADD);
}

function lowerNoNorm(node: Call<'noNorm'>, out: TfliteBuilder): number {
  const [x, gamma, beta] = values(node, out) as [number, number, number];
  const scaled = out.op('MUL', [x, gamma], step(node, 'scaled', node.type.shape), MUL);
  return out.op('ADD', [scaled, beta], node, ADD);
}

/**
 * Rows of a float table are EMBEDDING_LOOKUP, the fastest front measured, with ids in one dimension as GPU delegates want
 * them; all else is GATHER. An id outside the table stops LiteRT's run; in WebAssembly the run then returns garbage.
 */
function lowerGather(node: Call<'gather'>, out: TfliteBuilder): number {
  const [table, indices] = node.inputs as [Node, Node];
  const axis = axisIn(node);
  if (axis !== 0 || node.type.dtype !== 'f32' || table.type.shape.length !== 2) {
    return out.op('GATHER', values(node, out), node, { kind: 'GatherOptions', value: { axis } });
  }
  const count = product(indices.type.shape);
  const ids =
    indices.type.shape.length === 1
      ? out.value(indices)
      : out.once(`flat ${indices.name}`, () =>
          reshape(out, out.value(indices), { name: `${indices.name}/flat`, type: { dtype: 'i32', shape: [count] } }),
        );
  const rows: Result = indices.type.shape.length === 1 ? node : step(node, 'rows', [count, table.type.shape[1] as Dim]);
  const looked = out.op('EMBEDDING_LOOKUP', [ids, out.value(table)], rows);
  return rows === node ? looked : reshape(out, looked, node);
}

const CASTS: ReadonlySet<DType> = new Set(['f32', 'i32', 'u8', 'bool']);

function lowerCast(node: Call<'cast'>, out: TfliteBuilder): number {
  const x = out.value(input(node, 0));
  const from = out.typeOf(x).dtype;
  const to = node.type.dtype;
  if (from === to) return x;
  if (!CASTS.has(from) || !CASTS.has(to)) {
    throw new MbertError('UNSUPPORTED', `${node.name}: tflite export of a cast from ${from} to ${to}`);
  }
  const value = { inDataType: TYPES[from], outDataType: TYPES[to] };
  return out.op('CAST', [x], node, { kind: 'CastOptions', value });
}
