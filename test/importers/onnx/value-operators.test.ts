import { tensorOf } from '../../../src/ir/tensor.ts';
import { agreesWithOnnxRuntime, bytesOf, floats, IDS, int, ints, scalar } from './operator-rows.ts';

const AXIS = { axes: { ints: [-1] } };

agreesWithOnnxRuntime([
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
  { name: 'Ceil', steps: [['Ceil', 'x', 'y']], ops: 'ceil' },
  { name: 'Floor', steps: [['Floor', 'x', 'y']], ops: 'mul ceil mul' },
  { name: 'Cos', steps: [['Cos', 'x', 'y']], ops: 'cos' },
  { name: 'Sin', steps: [['Sin', 'x', 'y']], ops: 'sin' },
  {
    name: 'Sign of whole numbers',
    inputs: IDS,
    constants: { three: int(3) },
    steps: [
      ['Sub', 'x three', 's'],
      ['Sign', 's', 'i'],
      ['Cast', 'i', 'y', { to: { i: 1 } }],
    ],
    ops: 'sub maximum minimum cast',
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
  {
    name: 'Dropout that is switched off by an input',
    steps: [
      ['Dropout', 'x ratio off', 'd'],
      ['Relu', 'd', 'y'],
    ],
    constants: { ratio: scalar(0.5), off: bytesOf('bool', [], [0]) },
    ops: 'relu',
  },
  {
    name: 'mean and deviation of a norm',
    constants: { g: floats([4]), b: floats([4], 2) },
    steps: [
      ['LayerNormalization', 'x g b', 'n m d'],
      ['Mul', 'n d', 'p'],
      ['Add', 'p m', 'y'],
    ],
    ops: 'layerNorm mean sub mul mean add rsqrt mul add',
  },
  {
    name: 'nodes that come before what they read',
    steps: [
      ['Relu', 'e', 'y'],
      ['Erf', 'x', 'e'],
    ],
    ops: 'erf relu',
  },
  { name: 'LeakyRelu', steps: [['LeakyRelu', 'x', 'y', { alpha: { f: 0.3 } }]], ops: 'mul maximum' },
  { name: 'LeakyRelu of its own slope', steps: [['LeakyRelu', 'x', 'y']], ops: 'mul maximum' },
  {
    name: 'LeakyRelu that is steeper below zero',
    steps: [['LeakyRelu', 'x', 'y', { alpha: { f: 2 } }]],
    ops: 'mul minimum',
  },
  { name: 'Abs', steps: [['Abs', 'x', 'y']], ops: 'mul maximum' },
  {
    name: 'Abs of integers',
    inputs: IDS,
    constants: { three: int(3) },
    steps: [
      ['Sub', 'x three', 'd'],
      ['Abs', 'd', 'a'],
      ['Cast', 'a', 'y', { to: { i: 1 } }],
    ],
    ops: 'sub mul maximum cast',
  },
  { name: 'ReduceL2', steps: [['ReduceL2', 'x', 'y', AXIS]], ops: 'mul sum sqrt' },
  { name: 'ReduceSumSquare', steps: [['ReduceSumSquare', 'x', 'y', AXIS]], ops: 'mul sum' },
  {
    name: 'ReduceSum over the tokens of a mask',
    inputs: IDS,
    constants: { axis: ints(1) },
    steps: [
      ['ReduceSum', 'x axis', 's', { keepdims: { i: 0 } }],
      ['Cast', 's', 'y', { to: { i: 1 } }],
    ],
    ops: 'sum cast',
  },
  { name: 'GlobalAveragePool', steps: [['GlobalAveragePool', 'x', 'y']], ops: 'mean' },
  {
    name: 'a fill that is no whole number, as integers',
    constants: { shape: ints(1) },
    steps: [
      ['ConstantOfShape', 'shape', 'f', { value: { t: tensorOf('f32', [1], Float32Array.of(2.7)) } }],
      ['Cast', 'f', 'i', { to: { i: 7 } }],
      ['Cast', 'i', 'c', { to: { i: 1 } }],
      ['Mul', 'x c', 'y'],
    ],
    ops: 'mul',
  },
  {
    name: 'fills that are divided as floats',
    constants: { shape: ints(1) },
    steps: [
      ['ConstantOfShape', 'shape', 'a', { value: { t: tensorOf('f32', [1], Float32Array.of(1)) } }],
      ['ConstantOfShape', 'shape', 'b', { value: { t: tensorOf('f32', [1], Float32Array.of(4)) } }],
      ['Div', 'a b', 'c'],
      ['Mul', 'x c', 'y'],
    ],
    ops: 'mul',
  },
  {
    name: 'a 64-bit integer that no f32 holds',
    inputs: IDS,
    constants: { zero: int(0), large: int(16777217), near: int(16777210) },
    steps: [
      ['Mul', 'x zero', 'z'],
      ['Add', 'z large', 'a'],
      ['Sub', 'a near', 'd'],
      ['Cast', 'd', 'y', { to: { i: 1 } }],
    ],
    ops: 'mul add sub cast',
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

  {
    name: 'CumSum',
    steps: [['CumSum', 'x one', 'y']],
    constants: { one: int(1) },
    ops: 'cumulativeSum',
  },
  {
    name: 'CumSum of what comes before, along an axis in a list',
    steps: [['CumSum', 'x last', 'y', { exclusive: { i: 1 } }]],
    constants: { last: ints(-1) },
    ops: 'cumulativeSum sub',
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
  {
    name: 'LogSoftmax',
    steps: [['LogSoftmax', 'x', 'y', { axis: { i: 1 } }]],
    ops: 'max sub softmax max log add',
  },
  {
    name: 'LogSoftmax of values whose share is 0 in f32',
    steps: [
      ['Mul', 'x far', 's'],
      ['LogSoftmax', 's', 'y'],
    ],
    constants: { far: scalar(500) },
    ops: 'mul max sub softmax max log add',
  },
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
]);
