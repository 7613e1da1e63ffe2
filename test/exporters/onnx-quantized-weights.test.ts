import { describe, expect, test } from 'vitest';
import { onnxModel } from '../../src/exporters/onnx/model.ts';
import { minimumOpset, onnx } from '../../src/exporters/onnx.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { graphOf } from '../core.ts';
import { expectAgreement, onnxBytes, optimized, writtenNodes } from './onnx-lab.ts';
import { constantOf, quantizeRows, quantizeTables, withRows, withZeroPoints } from './quantize-by-hand.ts';

describe('tables in i8', () => {
  const lookUp = (table: string) => `graph g (ids: i64[batch, sequence]) y = gather(${table}, ids) return out: y`;

  test.each([
    ['gathered', lookUp('table f32[4000, 64] #1')],
    [
      'sliced',
      'graph g (ids: i64[batch, sequence]) y = slice(table f32[4000, 64] #1) {axis: -2, end: sequence} return out: y, ids: ids',
    ],
  ])('with a scale per row stay i8 where they are %s', async (_, text) => {
    const graph = graphOf(text);
    expect(quantizeTables(graph)).toBe(1);
    const { counts, bytes } = await optimized(graph);
    expect(counts['DequantizeLinear']).toBeUndefined();
    expect(bytes).toBeLessThan(4000 * 64 * 1.1);
    await expectAgreement(graph, { batch: 2, sequence: 5 }, {}, 1e-7);
  });

  test('with one scale are dequantized after the look-up', async () => {
    const graph = graphOf(lookUp('table u8[40, 8] q(0.1, 3) #1'));
    expect(writtenNodes(graph)).toEqual([
      '  out/rows = Gather(table, ids) {axis: 0}',
      '  out = DequantizeLinear(out/rows, f32_0.1, u8_3)',
    ]);
    await expectAgreement(graph, { batch: 2, sequence: 5 }, {}, 1e-7);
  });

  test('may store what was picked in integers again', async () => {
    const graph = graphOf(`graph g (ids: i64[batch, 3]) y = gather(table f32[40, 8] #1, ids) i8[batch, 3, 8] q(0.05, 1)
      z = relu(y) return out: z`);
    quantizeTables(graph);
    await expectAgreement(graph, { batch: 2 }, {}, 0.051);
  });

  test.each([
    ['zero points per row', (graph: Graph) => withZeroPoints(graph, 'table', new Int32Array(40).fill(2)), 17],
    ['4 bits', (graph: Graph) => graph, 21],
    ['another axis', (graph: Graph) => graph, 17],
  ])('of a form that cannot be picked from are dequantized first: %s', async (what, change, opset) => {
    const axis = what === 'another axis' ? 1 : 0;
    const graph = graphOf(
      `graph g (ids: i64[batch, 3]) y = gather(table f32[40, 8] #1, ids) {axis: ${axis}} return out: y`,
    );
    quantizeRows(graph, constantOf(graph, 'table'), what === '4 bits' ? 7 : 127);
    const options = { opset };
    expect(writtenNodes(change(graph), options)[0]).toContain('DequantizeLinear(table');
    await expectAgreement(graph, { batch: 2 }, options, 1e-6);
  });
});

describe('weights of 4 bits', () => {
  const FFN = `graph g (x: f32[batch, 64])
    up = linear(x, wu f32[96, 64] #1, bu f32[96] #2) {activation: relu}
    down = linear(up, wd f32[64, 96] #3)
    y = add(down, x)
  return out: y`;

  test.each([
    ['per channel', undefined],
    ['in blocks of 32', 32],
    ['in blocks of 16', 16],
  ])('%s become one MatMulNBits each', async (_, block) => {
    const graph = withRows(FFN, 7, block);
    expect(minimumOpset(graph)).toBe(21);
    expect((await optimized(graph, { opset: 21 })).counts).toEqual({ MatMulNBits: 2, Max: 1, Add: 1 });
    // MatMulNBits itself rounds x to 8 bits per block of 32.
    await expectAgreement(graph, { batch: 5 }, { opset: 21 }, 0.02);
    const [small, large] = [await onnxBytes(graph, { opset: 21 }), await onnxBytes(graphOf(FFN))];
    expect(small.length).toBeLessThan(0.3 * large.length);
  });

  test('are turned for every rank, with odd sizes and a last block that is not full', async () => {
    for (const block of [undefined, 4]) {
      for (const x of ['x: f32[batch, 5]', 'x: f32[batch, 2, 5]', 'x: f32[5]']) {
        const graph = withRows(
          `graph g (${x}) y = linear(x, w f32[3, 5] #1, b f32[3] #2) {activation: relu} return out: y`,
          7,
          block,
        );
        await expectAgreement(graph, { batch: 2 }, { opset: 21 }, 0.01);
      }
    }
  });

  test('keep scales of f32 in a file of f16', () => {
    const graph = withRows(
      'graph g (x: f32[batch, 128]) y = linear(x, w f32[512, 128] #1) z = linear(y, v f32[32, 512] #2) return out: z',
      7,
      32,
    );
    const { initializers } = onnxModel(graph, { ...onnx.defaults, opset: 21, dtype: 'f16' });
    expect(initializers.map(({ name, tensor }) => [name, tensor.dtype, tensor.shape])).toEqual([
      ['w', 'i4', [128, 512]],
      ['w/scale', 'f32', [4, 512]],
      ['v', 'i4', [512, 32]],
      ['v/scale', 'f32', [16, 32]],
    ]);
  });

  test('with other readers are stored once', async () => {
    const graph = withRows(
      `graph g (x: f32[batch, 2, 8]) y = linear(x, w f32[8, 8] #1) z = linear(y, w f32[8, 8] #1) return out: z`,
      7,
      4,
    );
    expect(onnxModel(graph, { ...onnx.defaults, opset: 21 }).initializers.map(({ name }) => name)).toEqual([
      'w',
      'w/scale',
    ]);
    await expectAgreement(graph, { batch: 2 }, { opset: 21 }, 1e-5);
  });

  test('may have zero points', async () => {
    const graph = withRows('graph g (x: f32[batch, 8]) y = linear(x, w f32[3, 8] #1) return out: y', 7, 4);
    withZeroPoints(graph, 'w', Int32Array.of(1, -2, 3, -4, 5, -6));
    await expectAgreement(graph, { batch: 2 }, { opset: 21 }, 1e-5);
  });
});
