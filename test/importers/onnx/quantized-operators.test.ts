import { tensorOf } from '../../../src/ir/tensor.ts';
import { agreesWithOnnxRuntime, bytesOf, floats, IDS, scalar } from './operator-rows.ts';

agreesWithOnnxRuntime([
  {
    name: 'a weight of 4 bits that is stored as its product reads it',
    opset: 21,
    steps: [
      ['DequantizeLinear', 'w s', 'd', { axis: { i: 1 } }],
      ['MatMul', 'x d', 'y'],
    ],
    constants: {
      w: tensorOf('i4', [4, 3], Uint8Array.of(0x21, 0xf3, 0x8e, 0x57, 0x06, 0x9d)),
      s: tensorOf('f32', [3], Float32Array.of(0.5, 0.25, 0.125)),
    },
    ops: 'linear',
  },
  {
    name: 'a product of two values that are quantized in the run',
    steps: [
      ['DynamicQuantizeLinear', 'x', 'q s z'],
      ['Transpose', 'x', 't', { perm: { ints: [0, 2, 1] } }],
      ['DynamicQuantizeLinear', 't', 'tq ts tz'],
      ['MatMulInteger', 'q tq z tz', 'i'],
      ['Cast', 'i', 'c', { to: { i: 1 } }],
      ['Mul', 's ts', 'p'],
      ['Mul', 'c p', 'y'],
    ],
    ops: 'dynamicRound transpose dynamicRound matmul',
  },
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
    name: 'constants half-way between two steps, and beyond the last',
    steps: [
      ['QuantizeLinear', 'c s z', 'q'],
      ['DequantizeLinear', 'q s z', 'd'],
      ['Add', 'x d', 'y'],
    ],
    inputs: { x: ['f32', [10]] },
    constants: {
      c: tensorOf('f32', [10], Float32Array.of(0.25, 0.75, 1.25, -0.25, -0.75, -1.25, 0.2, 0.3, 1e9, -1e9)),
      s: scalar(0.5),
      z: bytesOf('i8', [], [3]),
    },
    ops: 'add',
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

  {
    name: 'QGemm with a bias per channel',
    inputs: { x: ['f32', [3, 4]] },
    steps: [
      ['QuantizeLinear', 'x s z', 'q'],
      ['com.microsoft::QGemm', 'q s z w ws wz c', 'y', { transB: { i: 1 } }],
    ],
    constants: {
      s: scalar(0.02),
      z: bytesOf('u8', [], [100]),
      w: bytesOf('i8', [2, 4], [10, -20, 30, -40, 50, -60, 70, -80]),
      ws: tensorOf('f32', [2], Float32Array.of(0.01, 0.02)),
      wz: bytesOf('i8', [2], [0, 0]),
      c: tensorOf('i32', [2], Int32Array.of(1000, -500)),
    },
    ops: 'quantize linear add',
  },
  {
    name: 'QGemm to stored values, then QLinearSigmoid',
    inputs: { x: ['f32', [3, 4]] },
    steps: [
      ['QuantizeLinear', 'x s z', 'q'],
      ['com.microsoft::QGemm', 'q s z w ws wz _ s z', 'p'],
      ['com.microsoft::QLinearSigmoid', 'p s z ps pz', 'g'],
      ['DequantizeLinear', 'g ps pz', 'y'],
    ],
    constants: {
      s: scalar(0.02),
      z: bytesOf('u8', [], [100]),
      w: bytesOf('i8', [4, 2], [10, -20, 30, -40, 50, -60, 70, -80]),
      ws: scalar(0.01),
      wz: bytesOf('i8', [], [0]),
      ps: scalar(1 / 256),
      pz: bytesOf('u8', [], [0]),
    },
    ops: 'quantize linear quantize sigmoid quantize dequantize',
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
]);
