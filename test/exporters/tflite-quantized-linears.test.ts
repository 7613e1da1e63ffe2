import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Constant } from '../../src/ir/graph.ts';
import { type Quant, readF32, type Tensor } from '../../src/ir/tensor.ts';
import { litert } from '../../src/runtimes/litert.ts';
import { graphOf, randomTensor } from '../core.ts';
import { quantizeWeights, storeWeight, type WeightStorage } from '../quantize-by-hand.ts';
import { bytesOf, fixLength, listing } from './tflite-lab.ts';
import { around, decoded, runBoth, steps } from './tflite-quantized-lab.ts';

const LINEARS: readonly (readonly [string, string])[] = [
  ['linear', 'y = linear(X, w f32[6, 8] #3, b f32[6] #4)'],
  ['linear with relu', 'y = linear(X, w f32[6, 8] #3, b f32[6] #4) {activation: relu}'],
  ['linear without bias', 'y = linear(X, w f32[6, 8] #3)'],
  ['linear on a matrix', 'm = reshape(X) {shape: [6, 8]}@ y = linear(m, w f32[6, 8] #3, b f32[6] #4)'],
  ['conv1d', 'y = conv1d(X, w f32[6, 3, 8] #3, b f32[6] #4)'],
  ['conv1d without bias', 'y = conv1d(X, w f32[6, 3, 8] #3)'],
];

describe('linears in integers', () => {
  test.each(
    LINEARS.flatMap(([name, body]) =>
      (['i8 per channel', 'i8 per tensor'] as const).map((kind) => [name, kind, body] as const),
    ),
  )('%s, %s, is within one step', async (_, kind, body) => {
    const shape = body.includes('m = ') ? '[6, 6]' : '[2, 3, 6]';
    const graph = around(`${body.replace('X', 'a').replace('@', '  i8[6, 8] q(0.008, -2)')}  i8${shape} q(0.02, -30)`);
    quantizeWeights(graph, kind);
    expect(steps((await runBoth(graph))['out'], 0.02)).toBeLessThanOrEqual(1.001);
  });

  test.each([
    ['i8 per channel', 'FULLY_CONNECTED 5', 'INT64'],
    ['i4 per channel', 'FULLY_CONNECTED 13', 'INT64'],
  ] as const)('i16 values under weights of %s take i64 biases', async (kind, code, biasType) => {
    const graph = graphOf(`graph g (x: f32[2, 3, 8])
      a = quantize(x)  i16[2, 3, 8] q(0.00005, 0)
      y = linear(a, w f32[6, 8] #3, b f32[6] #4) {activation: relu}  i16[2, 3, 6] q(0.0002, 0)
      r = dequantize(y)
      return out: r`);
    quantizeWeights(graph, kind);
    const model = decoded(await bytesOf(graph));
    expect(listing(model)).toContain(code);
    expect(model.subgraphs?.[0]?.tensors?.find(({ name }) => name === 'b')?.type).toBe(biasType);
    expect(steps((await runBoth(graph))['out'], 0.0002)).toBeLessThanOrEqual(1.001);
  });

  test('conv1d of i16', async () => {
    const graph = graphOf(`graph g (x: f32[1, 5, 8])
      a = quantize(x)  i16[1, 5, 8] q(0.00005, 0)
      y = conv1d(a, w f32[6, 3, 8] #3, b f32[6] #4)  i16[1, 5, 6] q(0.0003, 0)
      r = dequantize(y)
      return out: r`);
    quantizeWeights(graph, 'i8 per channel');
    expect(listing(decoded(await bytesOf(graph)))).toContain('CONV_2D 4');
    expect(steps((await runBoth(graph))['out'], 0.0003)).toBeLessThanOrEqual(1.001);
  });

  test('i8 values under weights of i4', async () => {
    const graph = around('y = linear(a, w f32[6, 8] #3, b f32[6] #4)  i8[2, 3, 6] q(0.02, -30)');
    quantizeWeights(graph, 'i4 per channel');
    expect(listing(decoded(await bytesOf(graph)))).toContain('y = FULLY_CONNECTED 10(a, w, b)');
    expect(steps((await runBoth(graph))['out'], 0.02)).toBeLessThanOrEqual(1.001);
  });

  test('the bias is in steps of s_x·s_w, and says so', async () => {
    const graph = around('y = linear(a, w f32[2, 8] #3, b f32[2] {0.5, -0.25})  i8[2, 3, 2] q(0.02, 0)');
    quantizeWeights(graph, 'i8 per channel');
    const { subgraphs, buffers } = decoded(await bytesOf(graph));
    const named = (name: string) => subgraphs?.[0]?.tensors?.find((tensor) => tensor.name === name);
    const weightScales = named('w')?.quantization?.scale as Float32Array;
    const bias = named('b');
    const scales = weightScales.map((scale) => Math.fround(0.008) * scale);
    expect(bias).toMatchObject({
      type: 'INT32',
      quantization: { scale: scales, zeroPoint: [0, 0], quantizedDimension: 0 },
    });
    const stored = new Int32Array(Uint8Array.from(buffers?.[bias?.buffer ?? 0]?.data ?? []).buffer);
    expect(Array.from(stored)).toEqual([0.5, -0.25].map((bias, i) => Math.round(bias / (scales[i] as number))));
  });
});

describe('linears that quantize their floats a row at a time', () => {
  const kinds: readonly (readonly [WeightStorage, number])[] = [
    ['i8 per channel', 12],
    ['i8 per tensor', 5],
    ['i4 per channel', 12],
    ['i4 per tensor', 10],
    ['i4 per block', 12],
  ];
  test.each(
    kinds.flatMap(([kind, version]) => ['none', 'relu'].map((activation) => [kind, activation, version] as const)),
  )('%s, activation %s', async (kind, activation, version) => {
    const graph = graphOf(`graph g (x: f32[2, 3, 64])
      y = linear(x, w f32[6, 64] #3, b f32[6] #4) {activation: ${activation}}
      return out: y`);
    quantizeWeights(graph, kind);
    expect(listing(decoded(await bytesOf(graph)))).toContain(`FULLY_CONNECTED ${version}(x, w, b)`);
    // Values in [-1, 1) are at most half a step, 1/255, off; weights of up to 1 multiply 64 such errors.
    expect(steps((await runBoth(graph))['out'], 64 / 255)).toBeLessThanOrEqual(0.25);
  });

  test('conv1d quantizes the whole image at once', async () => {
    const graph = graphOf(`graph g (x: f32[1, 5, 8]) y = conv1d(x, w f32[6, 3, 8] #3, b f32[6] #4) return out: y`);
    quantizeWeights(graph, 'i8 per channel');
    expect(listing(decoded(await bytesOf(graph)))).toMatchInlineSnapshot(`
      "y/image = RESHAPE 1(x, shape_1_1_5_8)
      y/rows = CONV_2D 5(y/image, w, b)
      out = RESHAPE 1(y/rows, shape_1_5_6)"
    `);
    expect(steps((await runBoth(graph))['out'], 24 / 255)).toBeLessThanOrEqual(0.25);
  });

  test.each([
    ['i8 per channel', 4],
    ['i8 per tensor', 1],
    ['i4 per channel', 4],
  ] as const)('rows of a table of %s come out as floats', async (kind, version) => {
    const graph = graphOf(`graph g (i: i32[2, 3]) y = gather(t f32[4, 8] #5, i) return out: y`);
    quantizeWeights(graph, kind);
    expect(listing(decoded(await bytesOf(graph)))).toContain(`y/rows = EMBEDDING_LOOKUP ${version}(i/flat, t)`);
    expect(steps((await runBoth(graph))['out'], 1)).toBeLessThan(1e-6);
  });

  test('a table cut to the run keeps a scale per row', async () => {
    const graph = graphOf(`graph g (i: i32[1, sequence])
      rows = gather(t f32[4, 8] #5, i)
      p = slice(positions f32[1, 9, 8] #6) {axis: 1, end: sequence}
      y = add(rows, p)
      return out: y`);
    quantizeWeights(graph, 'i8 per channel');
    const positions = graph.nodes().find((node) => node.name === 'positions') as Constant;
    const { tensor, quant } = storeWeight({ ...positions.tensor, shape: [9, 8] }, 'i8 per channel');
    graph.replace(positions, () =>
      graph.constant({ ...tensor, shape: [1, 9, 8] }, 'positions', { ...quant, axis: 1 } as Quant),
    );
    expect(listing(decoded(await bytesOf(graph)))).toContain('p/rows = EMBEDDING_LOOKUP 4(positions_1, positions)');
    const feeds = new Map([['i', randomTensor({ dtype: 'i32', shape: [1, 7] }, 1)]]);
    const session = await litert.load(fixLength(await bytesOf(graph), 7));
    const got = readF32((await session.run(feeds)).get('out') as Tensor);
    await session.close();
    expect(steps({ got, wanted: readF32(evaluate(graph, feeds).get('out') as Tensor) }, 1)).toBeLessThan(1e-6);
  });

  test('a table of integers cut to the run stays integers', async () => {
    const graph = graphOf(`graph g (i: i32[1, sequence])
      p = slice(positions i8[9, 8] q(0.25, 3) #6) {axis: 0, end: sequence}  i8[sequence, 8] q(0.25, 3)
      y = dequantize(p)
      return out: y`);
    expect(listing(decoded(await bytesOf(graph)))).toContain('p/rows = EMBEDDING_LOOKUP 1(positions_1, positions)');
    const feeds = new Map([['i', randomTensor({ dtype: 'i32', shape: [1, 7] }, 1)]]);
    const session = await litert.load(fixLength(await bytesOf(graph), 7));
    const got = readF32((await session.run(feeds)).get('out') as Tensor);
    await session.close();
    expect(steps({ got, wanted: readF32(evaluate(graph, feeds).get('out') as Tensor) }, 1)).toBe(0);
  });

  test('--min-runtime refuses a scale per row, and takes one for all', async () => {
    const text = 'graph g (i: i32[3]) y = gather(t f32[4, 8] #5, i) return out: y';
    const perRow = graphOf(text);
    quantizeWeights(perRow, 'i8 per channel');
    await expect(bytesOf(perRow, { minRuntime: '2.17' })).rejects.toMatchObject({
      message: 'y: EMBEDDING_LOOKUP version 4 needs a runtime of 2.18.0 or newer',
    });
    const perTensor = graphOf(text);
    quantizeWeights(perTensor, 'i8 per tensor');
    expect(listing(decoded(await bytesOf(perTensor, { minRuntime: '2.0' })))).toBe('out = EMBEDDING_LOOKUP 1(i, t)');
  });

  test('--min-runtime refuses what older kernels would misread, and takes one scale for all', async () => {
    const text = 'graph g (x: f32[2, 8]) y = linear(x, w f32[6, 8] #3) return out: y';
    const perChannel = graphOf(text);
    quantizeWeights(perChannel, 'i8 per channel');
    await expect(bytesOf(perChannel, { minRuntime: '2.16' })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: 'y: FULLY_CONNECTED version 12 needs a runtime of 2.17.0 or newer',
    });
    const perTensor = graphOf(text);
    quantizeWeights(perTensor, 'i8 per tensor');
    expect(listing(decoded(await bytesOf(perTensor, { minRuntime: '2.3' })))).toBe(
      'out = FULLY_CONNECTED 9(x, w, zeros_6)',
    );
  });

  test('scales of blocks stand beside the weights as f16', async () => {
    const graph = graphOf('graph g (x: f32[2, 64]) y = linear(x, w f32[6, 64] #3) return out: y');
    quantizeWeights(graph, 'i4 per block');
    const tensors = decoded(await bytesOf(graph)).subgraphs?.[0]?.tensors ?? [];
    const at = tensors.findIndex(({ name }) => name === 'w/scales');
    expect(tensors[at]).toMatchObject({ type: 'FLOAT16', shape: [6, 2] });
    expect(tensors.find(({ name }) => name === 'w')).toMatchObject({
      type: 'INT4',
      quantization: {
        details: { kind: 'BlockwiseQuantization', value: { scales: at, zeroPoints: -1, blockSize: 32 } },
      },
    });
  });
});
