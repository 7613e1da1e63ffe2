import { MbertError } from '../../errors.ts';
import { TFLITE_TYPES } from '../../formats/tflite/types.ts';
import type { Call, Node } from '../../ir/graph.ts';
import type { OpName } from '../../ir/ops/index.ts';
import { axisOf, type Dim, product } from '../../ir/shape.ts';
import type { DType } from '../../ir/tensor.ts';
import { refuse } from '../refusal.ts';
import type { BuiltinOptions, Result, TfliteBuilder } from './builder.ts';
import { lowerCompare, lowerErf, lowerExpand, lowerIsNan, lowerSoftmax } from './logic.ts';
import { inputOf, operand, operands } from './operands.ts';
import { isNegative, lowerPlaces } from './places.ts';
import { lowerConv1d, lowerLinear } from './products.ts';
import { reshape, step } from './shapes.ts';
import { lowerRange, lowerShift, lowerSlice } from './slices.ts';
import { checkStorage, sameStorage } from './storage.ts';
import type { Builtin } from './versions.ts';

/** Emits the operators of a node and returns the tensor that holds its value. */
type Lowering<O extends OpName> = (node: Call<O>, out: TfliteBuilder) => number;

/** Lowerings by op, partial so that a new op compiles before this exporter knows it. */
export const lowerings: { readonly [O in OpName]?: Lowering<O> } = {
  add: (node, out) => out.op('ADD', operands(node, out), node, { kind: 'AddOptions', value: scales(node) }),
  sub: (node, out) => out.op('SUB', operands(node, out), node, { kind: 'SubOptions', value: scales(node) }),
  mul: (node, out) => out.op('MUL', operands(node, out), node, { kind: 'MulOptions', value: {} }),
  div: (node, out) => out.op('DIV', operands(node, out), node, { kind: 'DivOptions', value: {} }),
  relu: plain('RELU'),
  tanh: plain('TANH'),
  sigmoid: plain('LOGISTIC'),
  log: plain('LOG'),
  ceil: plain('CEIL'),
  cos: plain('COS'),
  sin: plain('SIN'),
  sqrt: plain('SQRT'),
  rsqrt: plain('RSQRT'),
  gelu: (node, out) =>
    out.op('GELU', operands(node, out), node, { kind: 'GeluOptions', value: { approximate: node.attrs.tanh } }),
  linear: lowerLinear,
  conv1d: lowerConv1d,
  matmul: (node, out) =>
    out.op('BATCH_MATMUL', operands(node, out), node, {
      kind: 'BatchMatMulOptions',
      value: { adjY: node.attrs.transposeB },
    }),
  softmax: (node, out) => lowerSoftmax(node, axisIn(node), out),
  layerNorm: lowerLayerNorm,
  noNorm: lowerNoNorm,
  normalize: lowerNormalize,
  mean: reduction('MEAN'),
  sum: reduction('SUM'),
  max: reduction('REDUCE_MAX'),
  maximum: plain('MAXIMUM'),
  minimum: plain('MINIMUM'),
  and: plain('LOGICAL_AND'),
  or: plain('LOGICAL_OR'),
  not: plain('LOGICAL_NOT'),
  compare: lowerCompare,
  isNan: lowerIsNan,
  where: (node, out) => out.op('SELECT_V2', operands(node, out), node),
  erf: lowerErf,
  expand: lowerExpand,
  range: lowerRange,
  gather: lowerGather,
  cumulativeSum(node, out) {
    const axis = out.integers('axis', [axisIn(node)], []);
    return out.op('CUMSUM', [...operands(node, out), axis], node, { kind: 'CumsumOptions', value: {} });
  },
  quantize: lowerQuantize,
  dequantize: lowerDequantize,
  dynamicRound: lowerDynamicRound,
  reshape: (node, out) => reshape(out, operand(node, 0, out), node),
  transpose(node, out) {
    const permutation = out.integers('permutation', node.attrs.permutation);
    return out.op('TRANSPOSE', [...operands(node, out), permutation], node, { kind: 'TransposeOptions', value: {} });
  },
  concat: (node, out) =>
    out.op('CONCATENATION', operands(node, out), node, { kind: 'ConcatenationOptions', value: { axis: axisIn(node) } }),
  pad(node, out) {
    const { before, after } = node.attrs;
    const paddings = before.flatMap((count, i) => [count, after[i] as number]);
    const counts = out.integers('paddings', paddings, [before.length, 2]);
    return out.op('PAD', [...operands(node, out), counts], node, { kind: 'PadOptions', value: {} });
  },
  cast: lowerCast,
  slice: lowerSlice,
  shift: lowerShift,
};

/** Lowers one node and everything that goes with it; `out.value` knows it afterwards. */
export function lower(node: Node, out: TfliteBuilder): void {
  if (node.op === 'input' || node.op === 'constant' || out.has(node)) return;
  const lowering = lowerings[node.op] as Lowering<OpName> | undefined;
  if (lowering === undefined) refuse(node, 'tflite');
  checkStorage(node);
  out.define(node, lowering(node as Call, out));
}

const ADD: BuiltinOptions = { kind: 'AddOptions', value: {} };
const MUL: BuiltinOptions = { kind: 'MulOptions', value: {} };
const SQUARED_DIFFERENCE: BuiltinOptions = { kind: 'SquaredDifferenceOptions', value: {} };

/** Options of sums: those of i16 values take any scales only where the options say so. */
function scales(node: Node): { readonly potScaleInt16?: false } {
  return node.type.dtype === 'i16' ? { potScaleInt16: false } : {};
}

/** Lowers to an operator without options. */
function plain(code: Builtin): (node: Call, out: TfliteBuilder) => number {
  return (node, out) => out.op(code, operands(node, out), node);
}

function reduction(
  code: 'MEAN' | 'REDUCE_MAX' | 'SUM',
): (node: Call<'max' | 'mean' | 'sum'>, out: TfliteBuilder) => number {
  return (node, out) => {
    const axes = out.integers('axes', [axisIn(node)]);
    const value = { keepDims: node.attrs.keepDims };
    return out.op(code, [...operands(node, out), axes], node, { kind: 'ReducerOptions', value });
  };
}

/** Axis of a node counted from the front. */
function axisIn(node: Node & { readonly attrs: { readonly axis: number } }): number {
  return axisOf(node.attrs.axis, inputOf(node, 0).type.shape.length) as number;
}

/** Lowers to (x - mean) * rsqrt(mean((x - mean)²) + epsilon) * gamma + beta, which XNNPACK runs in one piece. */
function lowerLayerNorm(node: Call<'layerNorm'>, out: TfliteBuilder): number {
  const [x, gamma, beta] = operands(node, out) as [number, number, number];
  const { shape } = node.type;
  const last = out.integers('axes', [shape.length - 1]);
  const row = shape.with(-1, 1);
  const keepDims: BuiltinOptions = { kind: 'ReducerOptions', value: { keepDims: true } };
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

/** Lowers to x * rsqrt(max(Σ x², epsilon²)): L2_NORMALIZATION has an epsilon of its own, and XNNPACK does not run it. */
function lowerNormalize(node: Call<'normalize'>, out: TfliteBuilder): number {
  const [x] = operands(node, out) as [number];
  const { shape } = node.type;
  const row = shape.with(-1, 1);
  const axes = out.integers('axes', [shape.length - 1]);
  const squares = out.op('MUL', [x, x], step(node, 'squares', shape), MUL);
  const keepDims: BuiltinOptions = { kind: 'ReducerOptions', value: { keepDims: true } };
  const total = out.op('SUM', [squares, axes], step(node, 'total', row), keepDims);
  const least = out.scalar(node.attrs.epsilon ** 2);
  const scale = out.op(
    'RSQRT',
    [out.op('MAXIMUM', [total, least], step(node, 'least', row))],
    step(node, 'scale', row),
  );
  return out.op('MUL', [x, scale], node, MUL);
}

function lowerNoNorm(node: Call<'noNorm'>, out: TfliteBuilder): number {
  const [x, gamma, beta] = operands(node, out) as [number, number, number];
  const scaled = out.op('MUL', [x, gamma], step(node, 'scaled', node.type.shape), MUL);
  return out.op('ADD', [scaled, beta], node, ADD);
}

/**
 * Lowers rows as floats to EMBEDDING_LOOKUP, the fastest front measured, of float tables as of integer ones, with ids
 * in one dimension as GPU delegates want them; all else is GATHER, also a result that could not be shaped back because
 * two of its sizes are known only at run time. An id outside the table stops LiteRT's run; in WebAssembly the run then
 * returns garbage.
 */
function lowerGather(node: Call<'gather'>, out: TfliteBuilder): number {
  const [table, indices] = node.inputs as [Node, Node];
  const axis = axisIn(node);
  const isShapedBack = node.type.shape.filter((dim) => typeof dim === 'string').length < 2;
  const isRows = axis === 0 && table.type.shape.length === 2 && node.type.dtype === 'f32' && isShapedBack;
  if (!isRows || isNegative(indices)) return lowerPlaces(node, axis, out);
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

/** Lowers to a QUANTIZE of floats, or of integers to another scale. */
function lowerQuantize(node: Call<'quantize'>, out: TfliteBuilder): number {
  const x = inputOf(node, 0);
  if (sameStorage(x.type, node.type)) return out.value(x);
  return out.op('QUANTIZE', [out.value(x)], node, { kind: 'QuantizeOptions', value: {} });
}

function lowerDequantize(node: Call<'dequantize'>, out: TfliteBuilder): number {
  const x = inputOf(node, 0);
  if (x.type.quant === undefined) return out.value(x);
  return out.op('DEQUANTIZE', [out.value(x)], node, { kind: 'DequantizeOptions', value: {} });
}

/**
 * Leaves the rounding out: TFLite has no op that rounds to the range of the run. Linears of integer weights do so
 * themselves, each row for its own range; before others the value stays as it is, which is what the rounding stood for.
 */
function lowerDynamicRound(node: Call<'dynamicRound'>, out: TfliteBuilder): number {
  return out.value(inputOf(node, 0));
}

const CASTS: ReadonlySet<DType> = new Set(['f32', 'i32', 'i8', 'u8', 'bool']);

function lowerCast(node: Call<'cast'>, out: TfliteBuilder): number {
  const x = operand(node, 0, out);
  const from = out.typeOf(x).dtype;
  const to = node.type.dtype;
  if (from === to) return x;
  if (!CASTS.has(from) || !CASTS.has(to)) {
    throw new MbertError('UNSUPPORTED', `${node.name}: tflite export of a cast from ${from} to ${to}`);
  }
  const value = { inDataType: TFLITE_TYPES[from], outDataType: TFLITE_TYPES[to] };
  return out.op('CAST', [x], node, { kind: 'CastOptions', value });
}
