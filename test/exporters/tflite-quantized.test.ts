import { describe, expect, test } from 'vitest';
import { lowerings } from '../../src/exporters/tflite/lowerings.ts';
import type { Node } from '../../src/ir/graph.ts';
import { type OpName, opDef } from '../../src/ir/ops/index.ts';
import { graphOf } from '../core.ts';
import { quantizeWeights } from '../quantize-by-hand.ts';
import { bytesOf } from './tflite-lab.ts';
import { around, decoded, runBoth, steps } from './tflite-quantized-lab.ts';

const I8 = 'q(0.02, 5)';

/** Ops whose integer kernels round once: one step of the result away at most. */
const OPS: readonly (readonly [string, string])[] = [
  ['add', `y = add(a, c)  i8[2, 3, 8] ${I8}`],
  ['add that broadcasts a constant', `y = add(a, w i8[8] q(0.5, 1) #1)  i8[2, 3, 8] ${I8}`],
  ['sub', `y = sub(a, c)  i8[2, 3, 8] ${I8}`],
  ['mul', `y = mul(a, c)  i8[2, 3, 8] q(0.008, 1)`],
  ['mul by more than one', `y = mul(a, w i8[8] q(3, 0) #1)  i8[2, 3, 8] q(0.02, 0)`],
  ['relu', 'y = relu(a)  i8[2, 3, 8] q(0.004, -128)'],
  ['gelu', 'y = gelu(a)  i8[2, 3, 8] q(0.01, -100)'],
  ['tanh', 'y = tanh(a)  i8[2, 3, 8] q(0.0078125, 0)'],
  ['sigmoid', 'y = sigmoid(a)  i8[2, 3, 8] q(0.00390625, -128)'],
  ['softmax', 'y = softmax(a)  i8[2, 3, 8] q(0.00390625, -128)'],
  ['mean', 'y = mean(a) {axis: 2}  i8[2, 3, 1] q(0.004, 0)'],
  ['matmul', 'y = matmul(a, c) {transposeB: true}  i8[2, 3, 3] q(0.03, 4)'],
  [
    'matmul without transpose',
    't = transpose(c) {permutation: [0, 2, 1]}  i8[2, 8, 3] q(0.01, 0) y = matmul(a, t)  i8[2, 3, 3] q(0.03, 4)',
  ],
  ['requantize', 'y = quantize(a)  i8[2, 3, 8] q(0.013, 7)'],
  ['quantize of a computed float', 'f = mul(x, z) y = quantize(f)  i8[2, 3, 8] q(0.008, 9)'],
  ['dequantize on the way', 'f = dequantize(a) e = gelu(f) y = quantize(e)  i8[2, 3, 8] q(0.01, -100)'],
];

/** Ops that only move integers: no step at all. */
const MOVES: readonly (readonly [string, string])[] = [
  ['reshape', 'y = reshape(a) {shape: [6, 8]}  i8[6, 8] q(0.008, -2)'],
  ['transpose', 'y = transpose(a) {permutation: [1, 2, 0]}  i8[3, 8, 2] q(0.008, -2)'],
  ['slice', 'y = slice(a) {axis: 2, start: 1, end: 6}  i8[2, 3, 5] q(0.008, -2)'],
  [
    'split',
    's = slice(a) {axis: 2, end: 4}  i8[2, 3, 4] q(0.008, -2) t = slice(a) {axis: 2, start: 4, end: 8}  i8[2, 3, 4] q(0.008, -2) y = concat(t, s)  i8[2, 3, 8] q(0.008, -2)',
  ],
  ['expand', 'y = expand(a) {shape: [2, 2, 3, 8]}  i8[2, 2, 3, 8] q(0.008, -2)'],
  ['pad', 'y = pad(a) {before: [0, 1, 0], after: [0, 0, 2]}  i8[2, 4, 10] q(0.008, -2)'],
  ['shift', 'y = shift(a) {axis: 1, offset: 1}  i8[2, 3, 8] q(0.008, -2)'],
  ['gather of integers', 'y = gather(w i8[5, 4] q(0.3, 1) #1, i)  i8[2, 2, 4] q(0.3, 1)'],
  ['gather of a computed value', 'y = gather(a, i) {axis: 1}  i8[2, 2, 2, 8] q(0.008, -2)'],
  [
    'a constant that is dequantized',
    'f = add(x, w i8[8] q(0.25, 1) #1) e = sub(f, x) y = quantize(e)  i8[2, 3, 8] q(0.25, 0)',
  ],
];

test('every op that has an integer kernel is here, but for linears and convolutions, which have a file of their own', () => {
  const tried = new Set(
    [...OPS, ...MOVES].flatMap(([, body]) =>
      around(body)
        .nodes()
        .map(({ op }) => op as string),
    ),
  );
  const integer = (Object.keys(lowerings) as OpName[]).filter((op) => opDef(op).int8 ?? opDef(op).moves);
  expect(integer.filter((op) => !tried.has(op))).toEqual(['linear', 'conv1d']);
});

describe('LiteRT computes in integers what the evaluator rounds to them', () => {
  test.each(OPS)('%s, within one step', async (_, body) => {
    const graph = around(body);
    const [result] = graph.outputs.map(({ node }) => node.inputs[0] as Node);
    const quant = result?.type.quant;
    expect(steps((await runBoth(graph))['out'], quant?.per === 'tensor' ? quant.scale : 0)).toBeLessThanOrEqual(1.001);
  });

  test.each(MOVES)('%s, to the bit', async (_, body) => {
    expect(steps((await runBoth(around(body)))['out'], 1)).toBeLessThan(1e-6);
  });

  test.each([
    ['add', 'y = add(a, c)  i16[2, 3, 8] q(0.0001, 0)'],
    ['sub', 'y = sub(a, c)  i16[2, 3, 8] q(0.0001, 0)'],
    ['mul', 'y = mul(a, c)  i16[2, 3, 8] q(0.0001, 0)'],
    ['matmul', 'y = matmul(a, c) {transposeB: true}  i16[2, 3, 3] q(0.0002, 0)'],
    ['tanh', 'y = tanh(a)  i16[2, 3, 8] q(0.000030517578125, 0)'],
    ['sigmoid', 'y = sigmoid(a)  i16[2, 3, 8] q(0.000030517578125, 0)'],
    ['softmax', 'y = softmax(a)  i16[2, 3, 8] q(0.000030517578125, 0)'],
    ['reshape', 'y = reshape(a) {shape: [6, 8]}  i16[6, 8] q(0.00005, 0)'],
    ['transpose', 'y = transpose(a) {permutation: [1, 2, 0]}  i16[3, 8, 2] q(0.00005, 0)'],
    ['slice', 'y = slice(a) {axis: 2, end: 6}  i16[2, 3, 6] q(0.00005, 0)'],
    ['concat', 'y = concat(a, a)  i16[2, 3, 16] q(0.00005, 0)'],
  ])('%s of i16, within a few steps', async (_, body) => {
    const graph = graphOf(`graph g (x: f32[2, 3, 8], z: f32[2, 3, 8])
      a = quantize(x)  i16[2, 3, 8] q(0.00005, 0)
      c = quantize(z)  i16[2, 3, 8] q(0.00006, 0)
      ${body}
      r = dequantize(y)
      return out: r`);
    const quant = graph.outputs[0]?.node.inputs[0]?.type.quant;
    // tanh, sigmoid and softmax of i16 come from tables with interpolation.
    expect(steps((await runBoth(graph))['out'], quant?.per === 'tensor' ? quant.scale : 0)).toBeLessThanOrEqual(4);
  });
});

test('inputs and outputs may be integers themselves', async () => {
  const graph = graphOf(`graph g (x: i8[2, 8] q(0.008, -2))
    y = linear(x, w i8[6, 8] q(0.01, 0) #1)  i8[2, 6] q(0.02, 3)
    return out: y, same: x`);
  const tensors = decoded(await bytesOf(graph)).subgraphs?.[0]?.tensors ?? [];
  const quants = tensors
    .filter(({ name }) => ['x', 'out', 'same'].includes(name ?? ''))
    .map(({ name, type, quantization }) => [name, type, quantization?.scale?.[0], quantization?.zeroPoint?.[0]]);
  expect(quants).toEqual([
    ['x', 'INT8', Math.fround(0.008), -2],
    ['out', 'INT8', Math.fround(0.02), 3],
    ['same', 'INT8', Math.fround(0.008), -2],
  ]);
});

describe('refuses', () => {
  test.each([
    ['mixed storage', 'y = add(x, a)  i8[2, 3, 8] q(0.1, 0)', 'y: tflite add: gives i8, and x is f32[2, 3, 8]'],
    [
      'integers where floats are wanted',
      'y = add(x, a)',
      'y: tflite add: takes floats, and a is i8[2, 3, 8] q(0.008, -2)',
    ],
    [
      'a reshape that changes the scale',
      'y = reshape(a) {shape: [6, 8]}  i8[6, 8] q(0.009, -2)',
      'y: tflite reshape: only moves values, so i8[6, 8] q(0.009, -2) cannot come from a, i8[2, 3, 8] q(0.008, -2)',
    ],
    [
      'a concat of unequal scales',
      'y = concat(a, c)  i8[2, 3, 16] q(0.008, -2)',
      'y: tflite concat: only moves values, so i8[2, 3, 16] q(0.008, -2) cannot come from c, i8[2, 3, 8] q(0.01, 0)',
    ],
    [
      'probabilities in other steps',
      'y = softmax(a)  i8[2, 3, 8] q(0.004, -128)',
      'y: tflite softmax: gives i8 as q(0.00390625, -128) only, not q(0.004, -128)',
    ],
    ['u8', 'y = relu(a)  u8[2, 3, 8] q(0.1, 0)', 'y: tflite relu: computed values are i8 or i16, not u8'],
    [
      'i16 with a zero point',
      'y = quantize(x)  i16[2, 3, 8] q(0.1, 3)',
      'y: tflite quantize: i16 values have the zero point 0, not 3',
    ],
    [
      'a zero point beyond i8',
      'y = quantize(x)  i8[2, 3, 8] q(0.1, 128)',
      'y: tflite quantize: the zero point 128 is no i8',
    ],
    [
      'a layer norm of integers',
      'y = layerNorm(a, g f32[8] #1, b f32[8] #2)',
      'y: tflite layerNorm: takes floats, and a is i8[2, 3, 8] q(0.008, -2)',
    ],
    [
      'float weights under integers',
      'y = linear(a, w f32[6, 8] #1)  i8[2, 3, 6] q(0.1, 0)',
      'y: tflite linear: has no kernel that takes i8 with weights of f32 to i8',
    ],
    [
      'a weight with a zero point',
      'y = linear(x, w i8[6, 8] q(0.1, 1) #1)',
      'y: tflite linear: w has the zero point 1, weights have 0',
    ],
    [
      'floats of rows that are no matrix',
      'y = gather(w i8[6, 8] q(0.1, 0) #1, i) {axis: 1}',
      'y: tflite gather: makes floats of rows of a matrix, with a scale each or one for all, not of i8[6, 8] q(0.1, 0)',
    ],
    ['quantize to nothing', 'y = quantize(x)', 'y: tflite quantize: has a result without quantization'],
  ])('%s', async (_, body, message) => {
    await expect(bytesOf(around(body))).rejects.toMatchObject({ code: 'UNSUPPORTED', message });
  });

  test.each([
    [0, 'scale 0 is 0, and tflite takes positive normal numbers'],
    [2 ** -140, `scale 0 is ${2 ** -140}, and tflite takes positive normal numbers`],
    [Number.POSITIVE_INFINITY, 'scale 0 is Infinity, and tflite takes positive normal numbers'],
  ])('the scale %d', async (scale, problem) => {
    const graph = graphOf('graph g (x: f32[2]) y = quantize(x)  i8[2] q(1, 0) return o: y');
    const [node] = graph.nodes().slice(-1);
    if (node) graph.setType(node, { dtype: 'i8', shape: [2], quant: { per: 'tensor', scale, zeroPoint: 0 } });
    await expect(bytesOf(graph)).rejects.toMatchObject({ code: 'UNSUPPORTED', message: `y: ${problem}` });
  });

  test('a bias that its accumulator cannot hold', async () => {
    const graph = around('y = linear(a, w i8[1, 8] q(1e-9, 0) #1, b f32[1] {100})  i8[2, 3, 1] q(0.1, 0)');
    await expect(bytesOf(graph)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('b: 100 of channel 0 is 12'),
    });
  });

  test('blocks in other directions', async () => {
    const graph = graphOf('graph g (x: f32[2, 32]) y = linear(x, w f32[32, 32] #3) return o: y');
    quantizeWeights(graph, 'i4 per block');
    const weight = graph.nodes().find(({ name }) => name === 'w');
    if (weight?.type.quant?.per === 'block') {
      graph.setType(weight, { ...weight.type, quant: { ...weight.type.quant, axis: 0 } });
    }
    await expect(bytesOf(graph)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: 'w: tflite has symmetric blocks along whole rows of a matrix, not of 32 along axis 0 of [32, 32]',
    });
  });
});
