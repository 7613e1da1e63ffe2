import type { Tensor } from '../../../src/ir/tensor.ts';
import { integerTensor, tensorOf } from '../../../src/ir/tensor.ts';
import { agreesWithOnnxRuntime, bytesOf, floats, type Row, scalar } from './operator-rows.ts';

/** Two heads of four channels over five tokens. */
const TOKENS = { x: ['f32', [2, 5, 8]] } as const;
const LINEARS = 'linear reshape transpose linear reshape transpose';
const HEADS = 'linear reshape transpose matmul transpose reshape';
const WEIGHTS = { w: floats([8, 24]), b: floats([24], 2) };
const TWO_HEADS = { num_heads: { i: 2 }, mask_filter_value: { f: -10000 } };

function masked(mask: Tensor, ops: string, attributes = {}): Omit<Row, 'name'> {
  return {
    inputs: TOKENS,
    constants: { ...WEIGHTS, m: mask },
    steps: [['com.microsoft::Attention', 'x w b m', 'y', { ...TWO_HEADS, ...attributes }]],
    ops: `${LINEARS} matmul mul ${ops} softmax ${HEADS}`,
  };
}

const BYTES = Array.from({ length: 128 }, (_, i) => (37 * i + 11) % 256);
const SCALES = Float32Array.of(0.1, 0.2, 0.3, 0.05, 0.4, 0.15, 0.25, 0.35);
const TABLE = { gather_axis: { i: 0 }, quantize_axis: { i: 1 }, block_size: { i: 16 }, bits: { i: 4 } };

const rowsOf = (values: readonly number[], shape: readonly number[]) => integerTensor('i32', values, shape);

agreesWithOnnxRuntime([
  {
    name: 'Attention',
    inputs: TOKENS,
    constants: WEIGHTS,
    steps: [['com.microsoft::Attention', 'x w b', 'y', { num_heads: { i: 2 } }]],
    ops: `${LINEARS} matmul mul softmax ${HEADS}`,
  },
  { name: 'Attention with a mask of lengths', ...masked(rowsOf([5, 3], [2]), 'add') },
  {
    name: 'Attention with a mask of tokens',
    ...masked(rowsOf([1, 1, 1, 1, 0, 1, 1, 0, 0, 0], [2, 5]), 'add'),
  },
  {
    name: 'Attention with a mask for each token',
    ...masked(
      rowsOf(
        Array.from({ length: 50 }, (_, i) => Number(i % 5 <= Math.floor(i / 5) % 5)),
        [2, 5, 5],
      ),
      'add',
    ),
  },
  { name: 'Attention with a scale', ...masked(rowsOf([5, 3], [2]), 'add', { scale: { f: 0.25 } }) },
  {
    name: 'Attention with a bias of scores',
    inputs: TOKENS,
    constants: { ...WEIGHTS, s: floats([2, 2, 5, 5], 3) },
    steps: [['com.microsoft::Attention', 'x w b _ _ s', 'y', { num_heads: { i: 2 } }]],
    ops: `${LINEARS} matmul mul add softmax ${HEADS}`,
  },
  {
    name: 'MultiHeadAttention',
    inputs: TOKENS,
    constants: { b: floats([24], 2), m: rowsOf([5, 2], [2]) },
    steps: [['com.microsoft::MultiHeadAttention', 'x x x b m', 'y', TWO_HEADS]],
    ops: 'add reshape transpose add reshape transpose matmul mul add softmax add reshape transpose matmul transpose reshape',
  },
  {
    name: 'EmbedLayerNormalization',
    inputs: { x: ['i32', [2, 5]], t: ['i32', [2, 5]] },
    constants: { w: floats([9, 4]), p: floats([7, 4], 2), s: floats([9, 4], 3), g: floats([4], 4), b: floats([4], 5) },
    steps: [['com.microsoft::EmbedLayerNormalization', 'x t w p s g b', 'y n', { epsilon: { f: 1e-5 } }]],
    ops: 'gather add gather add layerNorm',
  },
  {
    name: 'the number of tokens that EmbedLayerNormalization finds',
    inputs: { x: ['i32', [2, 5]] },
    constants: {
      w: floats([9, 4]),
      p: floats([7, 4], 2),
      g: floats([4], 4),
      b: floats([4], 5),
      m: rowsOf([1, 1, 1, 1, 0, 1, 1, 0, 0, 0], [2, 5]),
    },
    steps: [
      ['com.microsoft::EmbedLayerNormalization', 'x _ w p _ g b m', 'e n', {}],
      ['Cast', 'n', 'y', { to: { i: 1 } }],
    ],
    ops: '',
  },
  {
    name: 'QuickGelu',
    steps: [['com.microsoft::QuickGelu', 'x', 'y', { alpha: { f: 1.5 } }]],
    ops: 'mul sigmoid mul',
  },
  {
    name: 'the sum that SkipLayerNormalization passes on',
    constants: { s: floats([4]), g: floats([4], 2), b: floats([4], 3) },
    steps: [
      ['com.microsoft::SkipLayerNormalization', 'x x g b s', 'n u v r', { epsilon: { f: 1e-5 } }],
      ['Add', 'n r', 'y'],
    ],
    ops: 'add add layerNorm add',
  },
  {
    name: 'MatMulNBits',
    inputs: { x: ['f32', ['batch', 5, 32]] },
    constants: {
      w: bytesOf(
        'u8',
        [2, 2, 8],
        Array.from({ length: 32 }, (_, i) => (37 * i + 11) % 256),
      ),
      s: tensorOf('f32', [4], Float32Array.of(0.1, -0.2, 0.3, 0.05)),
    },
    steps: [
      [
        'com.microsoft::MatMulNBits',
        'x w s',
        'y',
        { N: { i: 2 }, K: { i: 32 }, bits: { i: 4 }, block_size: { i: 16 }, accuracy_level: { i: 1 } },
      ],
    ],
    ops: 'linear',
  },
  {
    name: 'MatMulNBits with zero points and a last block that is short',
    inputs: { x: ['f32', ['batch', 5, 24]] },
    constants: {
      w: bytesOf(
        'u8',
        [2, 2, 8],
        Array.from({ length: 32 }, (_, i) => (37 * i + 11) % 256),
      ),
      s: tensorOf('f32', [4], Float32Array.of(0.1, 0.2, 0.3, 0.05)),
      z: bytesOf('u8', [2], [0x93, 0x47]),
    },
    steps: [
      [
        'com.microsoft::MatMulNBits',
        'x w s z',
        'y',
        { N: { i: 2 }, K: { i: 24 }, bits: { i: 4 }, block_size: { i: 16 }, accuracy_level: { i: 1 } },
      ],
    ],
    ops: 'linear',
  },
  {
    name: 'MatMulNBits with a bias',
    inputs: { x: ['f32', ['batch', 5, 32]] },
    constants: {
      w: bytesOf('u8', [2, 1, 32], BYTES.slice(0, 64)),
      s: tensorOf('f32', [2], Float32Array.of(0.01, 0.02)),
      b: floats([2], 3),
    },
    steps: [
      [
        'com.microsoft::MatMulNBits',
        'x w s _ _ b',
        'y',
        { N: { i: 2 }, K: { i: 32 }, bits: { i: 8 }, block_size: { i: 32 }, accuracy_level: { i: 1 } },
      ],
    ],
    ops: 'linear',
  },
  {
    name: 'GatherBlockQuantized of bytes with two integers each',
    inputs: { ids: ['i64', ['batch', 5]] },
    constants: { t: bytesOf('u8', [4, 16], BYTES.slice(0, 64)), s: tensorOf('f32', [4, 2], SCALES) },
    steps: [['com.microsoft::GatherBlockQuantized', 't ids s', 'y', TABLE]],
    ops: 'gather',
  },
  {
    name: 'GatherBlockQuantized of bytes with two integers each and zero points',
    inputs: { ids: ['i64', ['batch', 5]] },
    constants: {
      t: bytesOf('u8', [4, 24], BYTES.slice(0, 96)),
      s: tensorOf(
        'f32',
        [4, 3],
        Float32Array.from({ length: 12 }, (_, i) => 0.1 * (i + 1)),
      ),
      z: bytesOf('u8', [4, 2], BYTES.slice(8, 16)),
    },
    steps: [['com.microsoft::GatherBlockQuantized', 't ids s z', 'y', TABLE]],
    ops: 'gather',
  },
  {
    name: 'GatherBlockQuantized of bytes',
    inputs: { ids: ['i64', ['batch', 5]] },
    constants: { t: bytesOf('u8', [4, 32], BYTES.slice(0, 128)), s: tensorOf('f32', [4, 2], SCALES) },
    steps: [['com.microsoft::GatherBlockQuantized', 't ids s', 'y', { ...TABLE, bits: { i: 8 } }]],
    ops: 'gather',
  },
  {
    name: 'QAttention of what is quantized in the run',
    inputs: TOKENS,
    constants: {
      w: bytesOf(
        'i8',
        [8, 24],
        Array.from({ length: 192 }, (_, i) => ((29 * i) % 255) - 127),
      ),
      b: floats([24], 2),
      ws: scalar(0.01),
      wz: bytesOf('i8', [], [0]),
      m: rowsOf([5, 3], [2]),
    },
    steps: [
      ['DynamicQuantizeLinear', 'x', 'q s z'],
      ['com.microsoft::QAttention', 'q w b s ws m z wz', 'y', TWO_HEADS],
    ],
    ops: `dynamicRound ${LINEARS} matmul mul add softmax ${HEADS}`,
  },
]);
