import { describe, expect, test } from 'vitest';
import { evaluate } from '../../../src/evaluate.ts';
import { onnxruntime } from '../../../src/runtimes/onnxruntime.ts';
import { bindDim, type Shape } from '../../../src/shape.ts';
import { convertTensor, type DType, integerTensor, readF32, type Tensor, tensorOf } from '../../../src/tensor.ts';
import { randomTensor } from '../../core.ts';
import { type AttributeSpec, encodeModel, importBytes, modelProto, type NodeSpec } from './model.ts';

/** What `batch` and `sequence` stand for in the runs. */
const SIZES = { batch: 2, sequence: 5 };

/** [operator, inputs, output or outputs, attributes] */
type Step = readonly [
  op: string,
  inputs: string,
  outputs: string,
  attributes?: { readonly [name: string]: AttributeSpec },
];

interface Row {
  readonly name: string;
  readonly opset?: number;
  /** The run's inputs; `x` f32[batch, sequence, 4] unless it says otherwise. */
  readonly inputs?: { readonly [name: string]: readonly [DType, Shape] };
  readonly constants?: { readonly [name: string]: Tensor };
  /** The last step's output is `y`. */
  readonly steps: readonly Step[];
  /** The ops that are left in the graph, in order; shape arithmetic is none of them. */
  readonly ops: string;
}

const X = { x: ['f32', ['batch', 'sequence', 4]] } as const;
const IDS = { x: ['i64', ['batch', 'sequence']] } as const;

const ints = (...values: number[]) => integerTensor('i64', values);
const int = (value: number) => integerTensor('i64', [value], []);
const scalar = (value: number) => tensorOf('f32', [], Float32Array.of(value));
const floats = (shape: readonly number[], seed = 1) => randomTensor({ dtype: 'f32', shape }, seed);
const bytesOf = (dtype: DType, shape: readonly number[], values: readonly number[]) =>
  convertTensor(tensorOf('f64', shape, Float64Array.from(values)), dtype);

const AXIS = { axes: { ints: [-1] } };

const ROWS: readonly Row[] = [
  // One value at a time.
  { name: 'Relu', steps: [['Relu', 'x', 'y']], ops: 'relu' },
  { name: 'Erf', steps: [['Erf', 'x', 'y']], ops: 'erf' },
  {
    name: 'Sigmoid, Tanh',
    steps: [
      ['Sigmoid', 'x', 's'],
      ['Tanh', 's', 'y'],
    ],
    ops: 'sigmoid tanh',
  },
  { name: 'Neg', steps: [['Neg', 'x', 'y']], ops: 'mul' },
  {
    name: 'Reciprocal of a Sqrt',
    steps: [
      ['Mul', 'x x', 'q'],
      ['Add', 'q one', 'p'],
      ['Sqrt', 'p', 's'],
      ['Reciprocal', 's', 'y'],
    ],
    constants: { one: scalar(1) },
    ops: 'mul add rsqrt',
  },
  { name: 'Pow 2', steps: [['Pow', 'x two', 'y']], constants: { two: scalar(2) }, ops: 'mul' },
  { name: 'Pow 3', steps: [['Pow', 'x three', 'y']], constants: { three: scalar(3) }, ops: 'mul mul' },
  {
    name: 'Pow 0.5',
    steps: [
      ['Mul', 'x x', 'q'],
      ['Pow', 'q half', 'y'],
    ],
    constants: { half: scalar(0.5) },
    ops: 'mul sqrt',
  },
  {
    name: 'Clip',
    steps: [['Clip', 'x low high', 'y']],
    constants: { low: scalar(-0.3), high: scalar(0.2) },
    ops: 'maximum minimum',
  },
  { name: 'Clip from above', steps: [['Clip', 'x _ high', 'y']], constants: { high: scalar(0.2) }, ops: 'minimum' },
  {
    name: 'Identity, Dropout',
    steps: [
      ['Identity', 'x', 'i'],
      ['Dropout', 'i', 'd'],
      ['Relu', 'd', 'y'],
    ],
    ops: 'relu',
  },
  { name: 'Gelu', opset: 20, steps: [['Gelu', 'x', 'y']], ops: 'gelu' },
  { name: 'Gelu by tanh', opset: 20, steps: [['Gelu', 'x', 'y', { approximate: { s: 'tanh' } }]], ops: 'gelu' },
  {
    name: 'casts between floats',
    steps: [
      ['Cast', 'x', 'd', { to: { i: 11 } }],
      ['Cast', 'd', 'e', { to: { i: 1 } }],
      ['Relu', 'e', 'y'],
    ],
    ops: 'relu',
  },
  { name: 'Cast of ids', inputs: IDS, steps: [['Cast', 'x', 'y', { to: { i: 1 } }]], ops: 'cast' },
  {
    name: 'CastLike',
    opset: 15,
    inputs: IDS,
    steps: [['CastLike', 'x f', 'y']],
    constants: { f: scalar(0) },
    ops: 'cast',
  },

  // Two and more.
  {
    name: 'Add, Sub, Mul, Div',
    steps: [
      ['Add', 'x v', 'a'],
      ['Sub', 'one a', 's'],
      ['Mul', 's x', 'm'],
      ['Div', 'm two', 'y'],
    ],
    constants: { v: floats([4]), one: scalar(1), two: scalar(2) },
    ops: 'add sub mul div',
  },
  {
    name: 'Sum, Max and Min of three',
    steps: [
      ['Sum', 'x v x', 's'],
      ['Max', 's v x', 'm'],
      ['Min', 'm v x', 'y'],
    ],
    constants: { v: floats([4]) },
    ops: 'add add maximum maximum minimum minimum',
  },
  {
    name: 'comparisons',
    steps: [
      ['Greater', 'x v', 'g'],
      ['LessOrEqual', 'x one', 'l'],
      ['And', 'g l', 'a'],
      ['Not', 'a', 'n'],
      ['Less', 'x v', 'k'],
      ['Or', 'n k', 'o'],
      ['Cast', 'o', 'y', { to: { i: 1 } }],
    ],
    constants: { v: floats([4]), one: scalar(0.5) },
    ops: 'compare compare and not compare or cast',
  },
  {
    name: 'Where by a comparison',
    steps: [
      ['GreaterOrEqual', 'x v', 'g'],
      ['Where', 'g x zero', 'y'],
    ],
    constants: { v: floats([4]), zero: scalar(0) },
    ops: 'compare where',
  },
  {
    name: 'Where, IsNaN',
    steps: [
      ['IsNaN', 'x', 'n'],
      ['Where', 'n zero x', 'y'],
    ],
    constants: { zero: scalar(0) },
    ops: 'isNan where',
  },
  {
    name: 'Equal of ids',
    inputs: IDS,
    steps: [
      ['Equal', 'x one', 'e'],
      ['Cast', 'e', 'y', { to: { i: 1 } }],
    ],
    constants: { one: int(1) },
    ops: 'compare cast',
  },

  // Products.
  {
    name: 'MatMul with a weight',
    steps: [
      ['MatMul', 'x w', 'm'],
      ['Add', 'b m', 'y'],
    ],
    constants: { w: floats([4, 3]), b: floats([3], 2) },
    ops: 'linear add',
  },
  {
    name: 'MatMul with a turned weight',
    steps: [
      ['Transpose', 'w', 't', { perm: { ints: [1, 0] } }],
      ['MatMul', 'x t', 'y'],
    ],
    constants: { w: floats([3, 4]) },
    ops: 'linear',
  },
  {
    name: 'MatMul of two values',
    steps: [
      ['Transpose', 'x', 't', { perm: { ints: [0, 2, 1] } }],
      ['MatMul', 'x t', 'y'],
    ],
    ops: 'transpose matmul',
  },
  {
    name: 'MatMul of ranks 3 and 2',
    inputs: { x: ['f32', [2, 3, 4]], z: ['f32', [4, 5]] },
    steps: [['MatMul', 'x z', 'y']],
    ops: 'reshape expand matmul',
  },
  {
    name: 'Gemm',
    inputs: { x: ['f32', [3, 4]] },
    steps: [['Gemm', 'x w b', 'y', { transB: { i: 1 } }]],
    constants: { w: floats([5, 4]), b: floats([5], 2) },
    ops: 'linear',
  },
  {
    name: 'Gemm with factors',
    inputs: { x: ['f32', [3, 4]] },
    steps: [['Gemm', 'x w b', 'y', { alpha: { f: 0.5 }, beta: { f: 2 } }]],
    constants: { w: floats([4, 5]), b: floats([5], 2) },
    ops: 'linear',
  },
  {
    name: 'Gemm of a turned value',
    inputs: { x: ['f32', [4, 3]] },
    steps: [['Gemm', 'x w', 'y', { transA: { i: 1 } }]],
    constants: { w: floats([4, 5]) },
    ops: 'transpose linear',
  },
  {
    name: 'Gemm onto a residual',
    inputs: { x: ['f32', [3, 4]] },
    steps: [['Gemm', 'x w x', 'y']],
    constants: { w: floats([4, 4]) },
    ops: 'linear add',
  },
  {
    name: 'Gemm of two values',
    inputs: { x: ['f32', [3, 4]], z: ['f32', [5, 4]] },
    steps: [['Gemm', 'x z', 'y', { transB: { i: 1 }, alpha: { f: 0.5 } }]],
    ops: 'matmul mul',
  },
  {
    name: 'Attention of three axes',
    opset: 23,
    inputs: { x: ['f32', [2, 5, 8]] },
    steps: [['Attention', 'x x x', 'y', { q_num_heads: { i: 2 }, kv_num_heads: { i: 2 } }]],
    ops: 'reshape transpose reshape transpose matmul mul softmax reshape transpose matmul transpose reshape',
  },
  {
    name: 'Attention of four axes with a mask',
    opset: 23,
    inputs: { x: ['f32', [2, 2, 5, 4]], m: ['f32', [5, 5]] },
    steps: [['Attention', 'x x x m', 'y', { scale: { f: 0.25 } }]],
    ops: 'matmul mul add softmax matmul',
  },

  // Norms and sums.
  {
    name: 'LayerNormalization',
    opset: 17,
    steps: [['LayerNormalization', 'x g b', 'y', { epsilon: { f: 1e-3 } }]],
    constants: { g: floats([4]), b: floats([4], 2) },
    ops: 'layerNorm',
  },
  {
    name: 'LayerNormalization without bias',
    opset: 17,
    steps: [['LayerNormalization', 'x g', 'y', { axis: { i: 2 } }]],
    constants: { g: floats([4]) },
    ops: 'layerNorm',
  },
  { name: 'Softmax', steps: [['Softmax', 'x', 'y', { axis: { i: 1 } }]], ops: 'softmax' },
  { name: 'Softmax of opset 11', opset: 11, steps: [['Softmax', 'x', 'y', { axis: { i: 2 } }]], ops: 'softmax' },
  {
    name: 'ReduceMean of opset 13',
    opset: 13,
    steps: [['ReduceMean', 'x', 'y', { ...AXIS, keepdims: { i: 1 } }]],
    ops: 'mean',
  },
  {
    name: 'ReduceMean of opset 18',
    opset: 18,
    steps: [['ReduceMean', 'x a', 'y', { keepdims: { i: 0 } }]],
    constants: { a: ints(-1) },
    ops: 'mean reshape',
  },
  {
    name: 'ReduceMean of all',
    opset: 18,
    inputs: { x: ['f32', [2, 3]] },
    steps: [['ReduceMean', 'x', 'y', { keepdims: { i: 0 } }]],
    ops: 'mean mean reshape',
  },
  { name: 'ReduceSum', opset: 13, steps: [['ReduceSum', 'x a', 'y']], constants: { a: ints(2) }, ops: 'mean mul' },

  // Shapes.
  {
    name: 'Reshape with 0 and -1',
    steps: [['Reshape', 'x s', 'y']],
    constants: { s: ints(0, 0, 2, -1) },
    ops: 'reshape',
  },
  {
    name: 'Reshape by shape arithmetic',
    steps: [
      ['Shape', 'x', 's'],
      ['Gather', 's zero', 'b'],
      ['Unsqueeze', 'b a', 'u'],
      ['Concat', 'u rest', 't', { axis: { i: 0 } }],
      ['Reshape', 'x t', 'y'],
    ],
    constants: { zero: int(0), a: ints(0), rest: ints(-1, 2, 2) },
    ops: 'reshape',
  },
  { name: 'Flatten', steps: [['Flatten', 'x', 'y', { axis: { i: 2 } }]], ops: 'reshape' },
  {
    name: 'Squeeze and Unsqueeze of opset 11',
    opset: 11,
    steps: [
      ['Unsqueeze', 'x', 'u', { axes: { ints: [0, 3] } }],
      ['Squeeze', 'u', 'y', { axes: { ints: [0] } }],
    ],
    ops: 'reshape reshape',
  },
  {
    name: 'Squeeze and Unsqueeze of opset 13',
    steps: [
      ['Unsqueeze', 'x a', 'u'],
      ['Squeeze', 'u', 's'],
      ['Relu', 's', 'y'],
    ],
    constants: { a: ints(0, -1) },
    inputs: { x: ['f32', [2, 3]] },
    ops: 'reshape reshape relu',
  },
  { name: 'Transpose', steps: [['Transpose', 'x', 'y', { perm: { ints: [1, 0, 2] } }]], ops: 'transpose' },
  { name: 'Transpose without a permutation', steps: [['Transpose', 'x', 'y']], ops: 'transpose' },
  {
    name: 'Expand',
    inputs: { x: ['f32', [1, 3]] },
    steps: [['Expand', 'x s', 'y']],
    constants: { s: ints(2, 3) },
    ops: 'expand',
  },
  {
    name: 'Expand that a sum makes up for',
    inputs: { ...X, m: ['f32', ['batch', 1, 4]] },
    steps: [
      ['Shape', 'x', 's'],
      ['Expand', 'm s', 'e'],
      ['Add', 'x e', 'y'],
    ],
    ops: 'add',
  },
  {
    name: 'Tile of an axis of one',
    inputs: { x: ['f32', [1, 3]] },
    steps: [['Tile', 'x r', 'y']],
    constants: { r: ints(2, 1) },
    ops: 'expand',
  },
  {
    name: 'Split by an attribute',
    opset: 11,
    steps: [
      ['Split', 'x', 'a c', { axis: { i: 2 }, split: { ints: [1, 3] } }],
      ['Mul', 'a c', 'y'],
    ],
    ops: 'slice slice mul',
  },
  {
    name: 'Split in equal parts',
    steps: [
      ['Split', 'x', 'a c', { axis: { i: -1 } }],
      ['Sub', 'a c', 'y'],
    ],
    ops: 'slice slice sub',
  },
  {
    name: 'Split in numbered parts',
    opset: 18,
    inputs: { x: ['f32', [2, 5]] },
    steps: [
      ['Split', 'x', 'a c', { axis: { i: 1 }, num_outputs: { i: 2 } }],
      ['Concat', 'c a', 'y', { axis: { i: 1 } }],
    ],
    ops: 'slice slice concat',
  },
  { name: 'Concat', steps: [['Concat', 'x x', 'y', { axis: { i: -1 } }]], ops: 'concat' },
  {
    name: 'ConstantOfShape that only has a shape',
    steps: [
      ['Shape', 'x', 's'],
      ['ConstantOfShape', 's', 'o', { value: { t: tensorOf('f32', [1], Float32Array.of(2)) } }],
      ['Mul', 'x o', 'y'],
    ],
    ops: 'mul',
  },
  {
    name: 'Size and ReduceProd',
    steps: [
      ['Shape', 'x', 's'],
      ['ReduceProd', 's', 'p', { keepdims: { i: 0 } }],
      ['Size', 'x', 'z'],
      ['Equal', 'p z', 'e'],
      ['Where', 'e x zero', 'y'],
    ],
    constants: { zero: scalar(0) },
    ops: '',
  },

  // Slices and gathers.
  {
    name: 'Slice to the end',
    inputs: { x: ['f32', [2, 5]] },
    steps: [['Slice', 'x a b c', 'y']],
    constants: { a: ints(1), b: ints(2 ** 31 - 1), c: ints(1) },
    ops: 'slice',
  },
  {
    name: 'Slice from the end',
    inputs: { x: ['f32', [2, 5]] },
    steps: [['Slice', 'x a b c', 'y']],
    constants: { a: ints(-3), b: ints(-1), c: ints(1) },
    ops: 'slice',
  },
  {
    name: 'Slice of all changes nothing',
    steps: [
      ['Slice', 'x a b', 's'],
      ['Relu', 's', 'y'],
    ],
    constants: { a: ints(0, 0), b: ints(2 ** 40, 2 ** 40) },
    ops: 'relu',
  },
  {
    name: 'the first token',
    steps: [['Gather', 'x i', 'y', { axis: { i: 1 } }]],
    constants: { i: int(0) },
    ops: 'slice reshape',
  },
  {
    name: 'the trigram of any length',
    steps: [
      ['Slice', 'x a end one', 'n'],
      ['Pad', 'n after', 'next'],
      ['Slice', 'x zero last one', 'p'],
      ['Pad', 'p before', 'previous'],
      ['Concat', 'next x previous', 'y', { axis: { i: 2 } }],
    ],
    constants: {
      a: ints(1),
      end: ints(2 ** 40),
      one: ints(1),
      zero: ints(0),
      last: ints(-1),
      after: ints(0, 0, 0, 0, 1, 0),
      before: ints(0, 1, 0, 0, 0, 0),
    },
    ops: 'shift shift concat',
  },
  {
    name: 'a trigram that pads first',
    steps: [
      ['Pad', 'x after', 'a'],
      ['Slice', 'a one end one', 'next'],
      ['Pad', 'x before', 'b'],
      ['Slice', 'b zero last one', 'previous'],
      ['Pad', 'x around', 'c'],
      ['Slice', 'c zero end2 one', 'both'],
      ['Concat', 'next previous both', 'y', { axis: { i: 2 } }],
    ],
    constants: {
      around: ints(0, 1, 0, 0, 1, 0),
      end2: ints(-2),
      one: ints(1),
      end: ints(2 ** 31 - 1),
      zero: ints(0),
      last: ints(-1),
      after: ints(0, 0, 0, 0, 1, 0),
      before: ints(0, 1, 0, 0, 0, 0),
    },
    ops: 'shift shift shift concat',
  },
  {
    name: 'Pad along given axes',
    opset: 18,
    steps: [['Pad', 'x p _ a', 'y']],
    constants: { p: ints(1, 2), a: ints(-1) },
    ops: 'pad',
  },
  { name: 'embedding', inputs: IDS, steps: [['Gather', 't x', 'y']], constants: { t: floats([6, 3]) }, ops: 'gather' },
  {
    name: 'positions up to the length',
    steps: [
      ['Shape', 'x', 's', { start: { i: 1 }, end: { i: 2 } }],
      ['Slice', 'ids zero s one', 'p'],
      ['Gather', 't p', 'e'],
      ['Add', 'x e', 'y'],
    ],
    opset: 15,
    constants: {
      ids: integerTensor('i64', [0, 1, 2, 3, 4, 5, 6, 7], [1, 8]),
      zero: ints(0),
      one: ints(1),
      t: floats([8, 4]),
    },
    ops: 'slice reshape add',
  },
  {
    name: 'positions by Range',
    steps: [
      ['Shape', 'x', 's'],
      ['Gather', 's i', 'n'],
      ['Range', 'zero n one', 'r'],
      ['Gather', 't r', 'e'],
      ['Add', 'x e', 'y'],
    ],
    constants: { i: int(1), zero: int(0), one: int(1), t: floats([8, 4]) },
    ops: 'slice add',
  },
  {
    name: 'rows in another order',
    inputs: { x: ['f32', [4, 3]] },
    steps: [['Gather', 'x i', 'y']],
    constants: { i: ints(2, 0, 3) },
    ops: 'gather',
  },
  {
    name: 'rows from the end',
    inputs: { x: ['f32', [4, 3]] },
    steps: [['Gather', 'x i', 'y']],
    constants: { i: int(-1) },
    ops: 'slice reshape',
  },
  {
    name: 'GatherND over a grid of all indices',
    inputs: { x: ['f32', ['batch', 'sequence']] },
    steps: [
      ['Shape', 'x', 's'],
      ['Gather', 's zero', 'b'],
      ['Gather', 's one', 'n'],
      ['Range', 'zero b one', 'rb'],
      ['Range', 'zero n one', 'rn'],
      ['Unsqueeze', 'rb last', 'ub'],
      ['Max', 'ub rn', 'm'],
      ['Shape', 'm', 'ms'],
      ['Expand', 'ub ms', 'eb'],
      ['Expand', 'rn ms', 'en'],
      ['Unsqueeze', 'eb last', 'lb'],
      ['Unsqueeze', 'en last', 'ln'],
      ['Concat', 'lb ln', 'i', { axis: { i: -1 } }],
      ['GatherND', 'x i', 'g'],
      ['Relu', 'g', 'y'],
    ],
    constants: { zero: int(0), one: int(1), last: ints(-1) },
    ops: 'reshape reshape relu',
  },
  {
    name: 'GatherND by a constant',
    inputs: { x: ['f32', [2, 2]] },
    steps: [['GatherND', 'x i', 'y']],
    constants: { i: integerTensor('i64', [0, 0, 0, 1, 1, 0, 1, 1], [2, 2, 2]) },
    ops: 'reshape reshape',
  },

  // Quantized.
  {
    name: 'QuantizeLinear and DequantizeLinear',
    steps: [
      ['QuantizeLinear', 'x s z', 'q'],
      ['DequantizeLinear', 'q s z', 'y'],
    ],
    constants: { s: scalar(0.01), z: bytesOf('u8', [], [120]) },
    ops: 'quantize dequantize',
  },
  {
    name: 'a weight of bytes per channel',
    steps: [
      ['DequantizeLinear', 'w s z', 'd', { axis: { i: 1 } }],
      ['MatMul', 'x d', 'y'],
    ],
    constants: {
      w: bytesOf('i8', [4, 2], [1, -2, 3, -4, 5, -6, 7, -8]),
      s: tensorOf('f32', [2], Float32Array.of(0.5, 0.25)),
      z: bytesOf('i8', [2], [1, 0]),
    },
    ops: 'linear',
  },
  {
    name: 'a table of bytes',
    inputs: IDS,
    steps: [
      ['Gather', 't x', 'g'],
      ['DequantizeLinear', 'g s z', 'y'],
    ],
    constants: {
      t: bytesOf('u8', [6, 2], [0, 9, 18, 27, 36, 45, 54, 63, 72, 81, 90, 99]),
      s: scalar(0.1),
      z: bytesOf('u8', [], [7]),
    },
    ops: 'gather',
  },
  {
    name: 'dynamic quantization',
    steps: [
      ['DynamicQuantizeLinear', 'x', 'q s z'],
      ['MatMulInteger', 'q w z wz', 'i'],
      ['Cast', 'i', 'c', { to: { i: 1 } }],
      ['Mul', 's ws', 'p'],
      ['Mul', 'c p', 'y'],
    ],
    constants: { w: bytesOf('i8', [4, 2], [1, -2, 3, -4, 5, -6, 7, -8]), wz: bytesOf('i8', [], [1]), ws: scalar(0.02) },
    ops: 'dynamicRound linear',
  },
  {
    name: 'QLinearMatMul',
    steps: [
      ['QuantizeLinear', 'x s z', 'q'],
      ['QLinearMatMul', 'q s z w ws wz s z', 'p'],
      ['DequantizeLinear', 'p s z', 'y'],
    ],
    constants: {
      s: scalar(0.02),
      z: bytesOf('u8', [], [100]),
      w: bytesOf('i8', [4, 2], [10, -20, 30, -40, 50, -60, 70, -80]),
      ws: scalar(0.01),
      wz: bytesOf('i8', [], [0]),
    },
    ops: 'quantize linear quantize dequantize',
  },

  // ONNX Runtime's own.
  {
    name: 'FusedMatMul',
    steps: [['com.microsoft::FusedMatMul', 'x x', 'y', { transB: { i: 1 }, alpha: { f: 0.5 } }]],
    ops: 'transpose matmul mul',
  },
  {
    name: 'BiasGelu',
    steps: [['com.microsoft::BiasGelu', 'x b', 'y']],
    constants: { b: floats([4]) },
    ops: 'add gelu',
  },
  {
    name: 'FastGelu',
    steps: [['com.microsoft::FastGelu', 'x b', 'y']],
    constants: { b: floats([4]) },
    ops: 'add gelu',
  },
  {
    name: 'SkipLayerNormalization',
    steps: [['com.microsoft::SkipLayerNormalization', 'x x g b', 'y', { epsilon: { f: 1e-5 } }]],
    constants: { g: floats([4]), b: floats([4], 2) },
    ops: 'add layerNorm',
  },
];

function nodeOf([op, inputs, outputs, attributes = {}]: Step): NodeSpec {
  const names = inputs.split(' ').map((name) => (name === '_' ? '' : name));
  return { op, inputs: names, outputs: outputs.split(' '), attributes };
}

async function compare({ opset = 17, inputs = X, constants = {}, steps }: Row) {
  const types = Object.fromEntries(Object.entries(inputs).map(([name, [dtype, shape]]) => [name, { dtype, shape }]));
  const bytes = encodeModel(modelProto({ opset, inputs: types, constants, nodes: steps.map(nodeOf), outputs: ['y'] }));
  const graph = importBytes(bytes);
  const feeds = new Map(
    Object.entries(inputs).map(([name, [dtype, shape]], i) => {
      const sizes = shape.map((dim) => bindDim(dim, SIZES) as number);
      return [name, randomTensor({ dtype, shape: sizes }, i + 5)] as const;
    }),
  );
  const session = await onnxruntime.load(bytes, { threads: 1, graphOptimization: false });
  const wanted = (await session.run(feeds)).get('y') as Tensor;
  await session.close();
  return { graph, wanted, found: evaluate(graph, feeds).get('y') as Tensor };
}

describe('operators agree with ONNX Runtime', () => {
  test.each(ROWS)('$name', async (row) => {
    const { graph, wanted, found } = await compare(row);
    const ops = graph.nodes().flatMap(({ op }) => (op === 'input' || op === 'constant' ? [] : [op]));
    expect(ops.join(' ')).toBe(row.ops);
    expect([found.dtype, found.shape]).toEqual([wanted.dtype, wanted.shape]);
    const [a, b] = [readF32(found), readF32(wanted)];
    expect(Math.max(...b.map((value, i) => Math.abs(value - (a[i] as number))))).toBeLessThan(2e-6);
  });
});
