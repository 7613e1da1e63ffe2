import { describe, expect, test } from 'vitest';
import { onnxModel } from '../../src/exporters/onnx/model.ts';
import { minimumOpset, onnx } from '../../src/exporters/onnx.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import { Graph, type Node } from '../../src/ir/graph.ts';
import { isFloat } from '../../src/ir/op.ts';
import { readF32, type Tensor, type TensorType, tensorOf } from '../../src/ir/tensor.ts';
import { graphOf } from '../core.ts';
import { graphs } from './onnx-graphs.ts';
import { expectAgreement, feedsOf, onnxBytes, onnxText, optimized, runOnnx } from './onnx-lab.ts';
import { activationType } from './quantize-by-hand.ts';

const SIZES = { batch: 3, sequence: 5 };
const INPUTS: Pick<TensorType, 'dtype' | 'quant'> = {
  dtype: 'u8',
  quant: { per: 'tensor', scale: 1 / 128, zeroPoint: 128 },
};

/** Inputs, constants and outputs of f32 stored quantized; returns the largest step of an output. */
function quantizeEnds(graph: Graph, dtype: 'u8' | 'i16'): number {
  const values = evaluate(graph, feedsOf(graph, SIZES));
  for (const node of graph.nodes()) {
    if (node.op !== 'constant' || !isFloat(node.type.dtype) || node.type.shape.length === 0) continue;
    const stored = Int8Array.from(readF32(node.tensor), (value) => Math.round(value * 64));
    const tensor = tensorOf('i8', node.tensor.shape, stored);
    graph.replace(node, () => graph.constant(tensor, node.name, { per: 'tensor', scale: 1 / 64, zeroPoint: 0 }));
  }
  for (const input of graph.inputs) {
    if (!isFloat(input.type.dtype)) continue;
    graph.replace(input, () => {
      const copy = graph.add('quantize', [input]);
      graph.setType(copy, { ...input.type, ...INPUTS });
      return copy;
    });
  }
  const steps = graph.outputs.map(({ name, node }) => {
    if (node.type.dtype !== 'f32') return 0;
    const real = readF32(values.get(name) as Tensor);
    const type = activationType(node, [Math.min(0, ...real), Math.max(0, ...real)], dtype);
    graph.setType(node, type);
    return type.quant?.per === 'tensor' ? type.quant.scale : 0;
  });
  return Math.max(...steps);
}

/** What a graph is quantized for already, or what tests a value for equality after rounding. */
const OWN = ['dequantize', 'quantize', 'isNan', 'and', 'or', 'not', 'compare', 'dynamicRound'];

describe.each(['u8', 'i16'] as const)('values stored in %s', (dtype) => {
  test.each(graphs.filter(([op]) => !OWN.includes(op)))('go in and out of %s: %s', async (_, text) => {
    const graph = graphOf(text);
    const step = quantizeEnds(graph, dtype);
    // One step of the output, and for i16 what the lack of exactness of f32 makes of it.
    await expectAgreement(graph, SIZES, { opset: minimumOpset(graph) }, Math.max(1.01 * step, 1e-5));
  });
});

describe('quantized values', () => {
  test('are one DequantizeLinear for all that read them, behind one QuantizeLinear', () => {
    const graph = graphOf(`graph g (x: f32[batch, 4])
      a = relu(x) u8[batch, 4] q(0.5, 3)
      b = relu(a)
      c = tanh(a)
    return b: b, c: c`);
    expect(onnxText(graph)).toMatchInlineSnapshot(`
      "(x: f32[batch, 4]) -> (b: f32[batch, 4], c: f32[batch, 4])
        a/real = Relu(x)
        a = QuantizeLinear(a/real, f32_0.5, u8_3)
        a/f32 = DequantizeLinear(a, f32_0.5, u8_3)
        b = Relu(a/f32)
        c = Tanh(a/f32)
      constants
        f32_0.5 f32[]
        u8_3 u8[]"
    `);
  });

  test('of inputs and outputs are the integers', async () => {
    const graph = graphOf(`graph g (x: u8[batch, 4] q(0.5, 3))
      y = relu(x) i8[batch, 4] q(0.25, -128)
    return y: y, x: x, table: t i8[2] q(0.125, 1) {5, 6}`);
    const { inputs, outputs } = onnxModel(graph, onnx.defaults);
    expect([...inputs, ...outputs].map(({ name, dtype }) => [name, dtype])).toEqual([
      ['x', 'u8'],
      ['y', 'i8'],
      ['x', 'u8'],
      ['table', 'i8'],
    ]);
    const feeds = new Map([['x', tensorOf('u8', [1, 4], Uint8Array.of(1, 3, 5, 255))]]);
    const results = await runOnnx(graph, feeds);
    expect(Array.from(results.values(), (tensor) => [...readF32(tensor)])).toEqual([
      [-128, -128, -124, 127],
      [1, 3, 5, 255],
      [5, 6],
    ]);
  });

  test('saturate at both ends', async () => {
    const graph = graphOf('graph g (x: f32[5]) q = quantize(x) i8[5] q(0.1, 10) return q: q');
    const feeds = new Map([['x', tensorOf('f32', [5], Float32Array.of(-1e30, -13.8, 0.25, 11.7, Infinity))]]);
    const [stored] = (await runOnnx(graph, feeds)).values();
    expect([...readF32(stored as Tensor)]).toEqual([-128, -128, 12, 127, 127]);
  });

  test('per channel are rounded channel by channel', async () => {
    const graph = graphOf('graph g (x: f32[batch, 3]) y = relu(x) return out: y');
    const [y] = graph.nodes().filter(({ op }) => op === 'relu') as [Node];
    const scales = Float32Array.of(0.5, 0.25, 0.125);
    graph.setType(y, { dtype: 'i8', shape: y.type.shape, quant: { per: 'channel', axis: 1, scales } });
    expect(onnxText(graph)).toContain('out = QuantizeLinear(out/real, out/scale, i8_zeros_3) {axis: 1}');
    await expectAgreement(graph, { batch: 4 }, {}, 1e-6);
  });

  test('keep what would round between two nodes that are otherwise written as one', async () => {
    const transposed = graphOf(`graph g (a: f32[2, 3], b: f32[3, 4])
      t = transpose(b) {permutation: [1, 0]} u8[4, 3] q(0.25, 4)
      y = matmul(a, t) {transposeB: true} return out: y`);
    await expectAgreement(transposed, {}, {}, 1e-5);
    const split = graphOf(`graph g (a: f32[2, 4])
      l = slice(a) {axis: 1, start: 0, end: 2} u8[2, 2] q(0.25, 4)
      r = slice(a) {axis: 1, start: 2, end: 4}
      s = relu(l)
      return left: s, right: r`);
    await expectAgreement(split, {}, {}, 1e-6);
  });

  test('give the same bytes on every run', async () => {
    const text = 'graph g (x: f32[batch, 4]) y = linear(x, w i8[4, 4] q(0.1, 0) #1, b f32[4] #2) return out: y';
    expect(await onnxBytes(graphOf(text))).toEqual(await onnxBytes(graphOf(text)));
  });

  test('stored as f32 by quantize and dequantize cost nothing', async () => {
    const graph = graphOf(
      'graph g (x: f32[4]) a = relu(x) b = quantize(a) c = dequantize(b) y = tanh(c) return out: y',
    );
    expect((await optimized(graph)).counts).toEqual({ Relu: 1, Tanh: 1 });
  });
});

describe('refused', () => {
  const typed = (type: Partial<TensorType>) => {
    const graph = graphOf('graph g (x: f32[4]) y = relu(x) return out: y');
    const y = graph.outputs[0]?.node as Node;
    graph.setType(y, { ...y.type, ...type });
    return () => onnxModel(graph, { ...onnx.defaults, opset: 21 });
  };
  const perTensor = (scale: number, zeroPoint: number) => ({ per: 'tensor', scale, zeroPoint }) as const;

  test.each([
    ['UNSUPPORTED', { dtype: 'i8', quant: { per: 'block', axis: 0, size: 2, scales: Float32Array.of(1, 1) } }],
    ['UNSUPPORTED', { dtype: 'i32', quant: perTensor(1, 0) }],
    ['INVALID_GRAPH', { dtype: 'i8', quant: perTensor(0, 0) }],
    ['INVALID_GRAPH', { dtype: 'i8', quant: perTensor(-1, 0) }],
    ['INVALID_GRAPH', { dtype: 'i8', quant: perTensor(Number.NaN, 0) }],
    ['INVALID_GRAPH', { dtype: 'i8', quant: perTensor(Number.POSITIVE_INFINITY, 0) }],
    ['INVALID_GRAPH', { dtype: 'i8', quant: perTensor(1, 128) }],
    ['INVALID_GRAPH', { dtype: 'u8', quant: perTensor(1, -1) }],
    ['INVALID_GRAPH', { dtype: 'u8', quant: { per: 'channel', axis: 0, scales: Float32Array.of(1, 0, 1, 1) } }],
  ] as const)('%s is what stores a value as %j', (code, type) => {
    expect(typed(type)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(/^out|^y/) }));
  });

  test('nothing that is fine', () => {
    expect(typed({ dtype: 'i8', quant: perTensor(1, 127) })).not.toThrow();
  });

  test.each([
    ['i4', 0, Uint8Array.of(0x21, 0x43)],
    ['u4', 3, Uint8Array.of(0x21, 0x43)],
    ['i16', 0, Int16Array.of(1, 2, 3, 4)],
    ['u16', 7, Uint16Array.of(1, 2, 3, 4)],
  ] as const)('an opset below 21 for %s, by the name of the value', async (dtype, zeroPoint, stored) => {
    const graph = new Graph('g');
    const x = graph.input('x', { dtype: 'f32', shape: [1, 2] });
    const weight = graph.constant(tensorOf(dtype, [2, 2], stored), 'w', perTensor(0.1, zeroPoint));
    graph.output('y', graph.add('linear', [x, weight]));
    expect(minimumOpset(graph)).toBe(21);
    expect(() => onnxModel(graph, { ...onnx.defaults, opset: 20 })).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(`w, which is ${dtype}`) }),
    );
    expect(onnxModel(graph, { ...onnx.defaults, opset: 21 }).irVersion).toBe(10);
    await expectAgreement(graph, {}, { opset: 21 }, 1e-2);
  });

  test('no opset for 8 bits', () => {
    expect(minimumOpset(graphOf('graph g (x: f32[4]) y = relu(x) i8[4] q(1, 0) return out: y'))).toBe(13);
  });
});
