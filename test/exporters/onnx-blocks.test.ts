import { describe, expect, test } from 'vitest';
import { onnxModel } from '../../src/exporters/onnx/model.ts';
import { needsOf } from '../../src/exporters/onnx/needs.ts';
import { minimumOpset, onnx } from '../../src/exporters/onnx.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { graphText } from '../../src/ir/text.ts';
import { quantizeWeight, type WeightOptions } from '../../src/quantization/weights.ts';
import { onnxruntime } from '../../src/runtimes/onnxruntime.ts';
import { graphOf } from '../core.ts';
import { importBytes } from '../importers/onnx/model.ts';
import { expectAgreement, feedsOf, onnxBytes, optimized, runOnnx, writtenNodes } from './onnx-lab.ts';
import { constantOf, quantizeRows } from './quantize-by-hand.ts';

const ORT = { operators: 'onnxruntime' } as const;
const FORMS: readonly (readonly [string, WeightOptions])[] = [
  ['i4 in blocks of 32', { dtype: 'i4', granularity: 'block', blockSize: 32 }],
  ['u4 in blocks of 32', { dtype: 'u4', granularity: 'block', blockSize: 32 }],
  ['i8 in blocks of 64', { dtype: 'i8', granularity: 'block', blockSize: 64 }],
];

/** Stores constants of a graph as `quantizeWeight` rounds them. */
function stored(text: string, options: { readonly [name: string]: WeightOptions }): Graph {
  const graph = graphOf(text);
  for (const [name, each] of Object.entries(options)) {
    const constant = constantOf(graph, name);
    const { tensor, quant } = quantizeWeight(constant.tensor, each);
    graph.replace(constant, () => graph.constant(tensor, name, quant));
  }
  return graph;
}

const FFN = `graph g (x: f32[batch, 3, 64])
    up = linear(x, wu f32[128, 64] #1, bu f32[128] #2) {activation: relu}
    out = linear(up, wd f32[64, 128] #3)
  return out: out`;

describe('weights in blocks, for ONNX Runtime', () => {
  test.each(FORMS)('of %s are a MatMulNBits each, at any opset, and compute the same', async (_, form) => {
    const graph = stored(FFN, { wu: form, wd: form });
    expect(minimumOpset(graph)).toBe(21);
    expect(minimumOpset(graph, 'onnxruntime')).toBe(13);
    const options = { ...ORT, opset: 13 };
    expect((await optimized(graph, options)).counts).toEqual({ MatMulNBits: 2, Relu: 1 });
    // MatMulNBits rounds x to 8 bits per block.
    await expectAgreement(graph, { batch: 2 }, options, 0.02);
  });

  test.each(FORMS)('of %s compute the same without graph optimizations, which nothing folds', async (_, form) => {
    const graph = stored(FFN, { wu: form, wd: form });
    const feeds = feedsOf(graph, { batch: 2 });
    const session = await onnxruntime.load(await onnxBytes(graph, ORT), { threads: 1, graphOptimization: false });
    const found = (await session.run(feeds)).get('out') as Tensor;
    await session.close();
    const wanted = readF32(evaluate(graph, feeds).get('out') as Tensor);
    // It computes on floats there: nothing is rounded but sums.
    const worst = Math.max(...readF32(found).map((value, i) => Math.abs(value - (wanted[i] as number))));
    expect(worst / Math.max(...wanted.map(Math.abs))).toBeLessThan(1e-5);
  });

  test('keep scales that halves do not hold', () => {
    const graph = graphOf('graph g (x: f32[batch, 64]) y = linear(x, w f32[8, 64] #1) return out: y');
    quantizeRows(graph, constantOf(graph, 'w'), 7, 32);
    expect(writtenNodes(graph, ORT)).toEqual([
      '  out = MatMulNBits(x, w, w/scales) {K: 64, N: 8, bits: 4, block_size: 32, accuracy_level: 4}',
    ]);
  });

  test.each(FORMS)('of %s are read again as the same graph', async (_, form) => {
    const graph = stored(FFN.replace(' {activation: relu}', ''), { wu: form, wd: form });
    const again = importBytes(await onnxBytes(graph, ORT));
    expect(graphText(again).split('\n').slice(1)).toEqual(graphText(graph).split('\n').slice(1));
    expect(await onnxBytes(again, ORT)).toEqual(await onnxBytes(graph, ORT));
  });

  test('say how they are stored', () => {
    const graph = stored(FFN, { wu: { dtype: 'u4', granularity: 'block' }, wd: FORMS[2]?.[1] as WeightOptions });
    expect(writtenNodes(graph, ORT)).toEqual([
      '  wu = Reshape(wu/packed, i64_128_2_16)',
      '  wu/scales = Cast(wu/scales/f16) {to: 1}',
      '  up/linear = MatMulNBits(x, wu, wu/scales, wu/zero_points, , bu) {K: 64, N: 128, bits: 4, block_size: 32, accuracy_level: 4}',
      '  up = Relu(up/linear)',
      '  wd = Reshape(wd/packed, i64_64_2_64)',
      '  wd/scales = Cast(wd/scales/f16) {to: 1}',
      '  out = MatMulNBits(up, wd, wd/scales) {K: 128, N: 64, bits: 8, block_size: 64, accuracy_level: 4}',
    ]);
    const { initializers } = onnxModel(graph, { ...onnx.defaults, ...ORT, dtype: 'f16' });
    expect(initializers.map(({ name, tensor }) => [name, tensor.dtype, tensor.shape])).toEqual([
      ['wu/packed', 'u8', [128, 32]],
      ['i64_128_2_16', 'i64', [3]],
      ['wu/scales/f16', 'f16', [128, 2]],
      ['wu/zero_points', 'u8', [128, 1]],
      ['bu', 'f32', [128]],
      ['wd/packed', 'u8', [64, 128]],
      ['i64_64_2_64', 'i64', [3]],
      ['wd/scales/f16', 'f16', [64, 2]],
    ]);
  });

  test('may end with a block that is not full, and an odd number of them', async () => {
    for (const width of [40, 70]) {
      const graph = graphOf(`graph g (x: f32[batch, ${width}]) y = linear(x, w f32[6, ${width}] #1) return out: y`);
      quantizeRows(graph, constantOf(graph, 'w'), 7, 16);
      await expectAgreement(graph, { batch: 3 }, ORT, 0.02);
    }
  });

  test('that several linears read are stored once', async () => {
    const graph = stored(
      'graph g (x: f32[batch, 64]) y = linear(x, w f32[64, 64] #1) z = linear(y, w f32[64, 64] #1) return out: z',
      { w: { dtype: 'u4', granularity: 'block' } },
    );
    expect(onnxModel(graph, { ...onnx.defaults, ...ORT }).initializers.map(({ name }) => name)).toEqual([
      'w/packed',
      'i64_64_2_16',
      'w/scales/f16',
      'w/zero_points',
    ]);
    await expectAgreement(graph, { batch: 2 }, ORT, 0.02);
  });

  test.each([
    ['blocks of 24', 24],
    ['a scale per row', undefined],
  ])('of a form that its kernel does not take stay in standard operators: %s', async (_, block) => {
    const graph = graphOf('graph g (x: f32[batch, 48]) y = linear(x, w f32[8, 48] #1) return out: y');
    quantizeRows(graph, constantOf(graph, 'w'), 7, block);
    expect(writtenNodes(graph, { ...ORT, opset: 21 }).join()).not.toContain('MatMulNBits');
    expect(needsOf(graph)).toBeUndefined();
  });
});

const LOOK_UP = 'graph g (ids: i64[batch, 5]) y = gather(table f32[300, 64] #1, ids) return out: y';

describe('tables of 4 bits, for ONNX Runtime', () => {
  const forms: readonly (readonly [string, WeightOptions])[] = FORMS.slice(0, 2);
  test.each(forms)('of %s are looked up row by row, with scales in halves', async (_, form) => {
    const graph = stored(LOOK_UP, { table: form });
    const nodes = writtenNodes(graph, { ...ORT, opset: 21 });
    expect(nodes.map((node) => node.split(' = ')[1]?.split('(')[0])).toEqual(['GatherBlockQuantized', 'Cast']);
    const scales = onnxModel(graph, { ...onnx.defaults, ...ORT, opset: 21 }).initializers[1];
    expect([scales?.name, scales?.tensor.dtype]).toEqual(['table/scales', 'f16']);
    // Rows come out of it as halves.
    await expectAgreement(graph, { batch: 2 }, { ...ORT, opset: 21 }, 2 ** -11);
  });

  test('keep scales that halves do not hold', async () => {
    const graph = graphOf(LOOK_UP);
    quantizeRows(graph, constantOf(graph, 'table'), 7, 32);
    expect(writtenNodes(graph, { ...ORT, opset: 21 })).toEqual([
      '  out = GatherBlockQuantized(table, ids, table/scales) {gather_axis: 0, quantize_axis: 1, block_size: 32}',
    ]);
    await expectAgreement(graph, { batch: 2 }, { ...ORT, opset: 21 }, 1e-6);
  });

  test.each(forms)('of %s are read again with the same numbers', async (_, form) => {
    const graph = stored(LOOK_UP, { table: form });
    const bytes = await onnxBytes(graph, { ...ORT, opset: 21 });
    const again = importBytes(bytes);
    const [table] = again.nodes().filter(({ op }) => op === 'constant');
    expect(table?.type).toEqual(constantOf(graph, 'table').type);
    const feeds = feedsOf(graph, { batch: 2 });
    const [wanted, found] = await Promise.all(
      [graph, again].map(async (each) => (await runOnnx(each, feeds, { ...ORT, opset: 21 })).get('out') as Tensor),
    );
    expect(readF32(found as Tensor)).toEqual(readF32(wanted as Tensor));
  });
});

test('a table that a linear multiplies with as well is stored in the form of each', async () => {
  const graph = stored(
    `graph g (ids: i64[batch, 5])
    y = gather(table f32[96, 64] #1, ids)
    z = linear(y, table f32[96, 64] #1)
  return out: z`,
    { table: FORMS[1]?.[1] as WeightOptions },
  );
  expect(constantOf(graph, 'table').users.size).toBe(2);
  await expectAgreement(graph, { batch: 2 }, { ...ORT, opset: 21 }, 0.02);
});

test.each([
  ['4 bits', { w: FORMS[1]?.[1] as WeightOptions }, { operators: ['MatMulNBits'], onnxruntime: '1.20' }],
  ['8 bits', { w: FORMS[2]?.[1] as WeightOptions }, { operators: ['MatMulNBits'], onnxruntime: '1.22' }],
  ['a table', { table: FORMS[1]?.[1] as WeightOptions }, { operators: ['GatherBlockQuantized'], onnxruntime: '1.20' }],
])('a file with %s says which ONNX Runtime has its operators', (_, forms, wanted) => {
  const text = `graph g (ids: i64[batch, 5])
    y = gather(table f32[300, 64] #1, ids) z = linear(y, w f32[64, 64] #2)
  return out: z`.replace(' z =', '\n    z =');
  expect(needsOf(stored(text, forms))).toEqual(wanted);
});
