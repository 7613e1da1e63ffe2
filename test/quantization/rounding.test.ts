import { describe, expect, test } from 'vitest';
import type { Call, Constant, Graph } from '../../src/ir/graph.ts';
import { dequantized } from '../../src/ir/quantized.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { compensationOf, quantizeCompensated } from '../../src/quantization/compensation.ts';
import { roundForReaders, tableGram } from '../../src/quantization/rounding.ts';
import { quantizeWeight } from '../../src/quantization/weights.ts';
import { graphOf, randomTensor } from '../core.ts';

/** Σ over rows of (w - ŵ)ᵀ G (w - ŵ). */
function weightedError(
  weight: Tensor,
  rounded: { readonly tensor: Tensor; readonly quant: never },
  gram: Float64Array,
) {
  const width = Math.sqrt(gram.length);
  const real = readF32(weight);
  const errors = readF32(dequantized(rounded.tensor, rounded.quant)).map((value, i) => value - (real[i] as number));
  let sum = 0;
  for (let from = 0; from < errors.length; from += width) {
    for (let i = 0; i < width; i++) {
      for (let j = 0; j < width; j++) {
        sum += (errors[from + i] as number) * (gram[i * width + j] as number) * (errors[from + j] as number);
      }
    }
  }
  return sum;
}

/** x xᵀ summed over a few vectors that point in nearly the same direction. */
function narrowGram(width: number): Float64Array {
  const gram = new Float64Array(width * width);
  for (let n = 0; n < 4; n++) {
    const x = readF32(randomTensor({ dtype: 'f32', shape: [width] }, 90 + n)).map((value) => 1 + value / 4);
    for (let i = 0; i < width; i++) {
      for (let j = 0; j < width; j++)
        gram[i * width + j] = (gram[i * width + j] as number) + (x[i] as number) * (x[j] as number);
    }
  }
  return gram;
}

describe('quantizeCompensated', () => {
  test.each(['i8', 'i4'] as const)('has a far smaller error in what the weight multiplies, %s', (dtype) => {
    const weight = randomTensor({ dtype: 'f32', shape: [20, 32] }, 1);
    const gram = narrowGram(32);
    const nearest = weightedError(weight, quantizeWeight(weight, { dtype }) as never, gram);
    const compensated = weightedError(
      weight,
      quantizeCompensated(weight, { dtype }, compensationOf(gram)) as never,
      gram,
    );
    expect(compensated).toBeLessThan(nearest / 4);
  });

  test('is plain rounding where every direction counts alike', () => {
    const weight = randomTensor({ dtype: 'f32', shape: [5, 8] }, 2);
    const identity = Float64Array.from({ length: 64 }, (_, i) => (i % 9 === 0 ? 1 : 0));
    const stored = ({ tensor }: { readonly tensor: Tensor }) => tensor.bytes();
    expect(stored(quantizeCompensated(weight, { dtype: 'i8' }, compensationOf(identity)))).toEqual(
      stored(quantizeWeight(weight, { dtype: 'i8' })),
    );
  });

  test('a Gram matrix of zeros is no reason to fail', () => {
    const weight = randomTensor({ dtype: 'f32', shape: [2, 4] }, 3);
    const { tensor } = quantizeCompensated(weight, { dtype: 'i8' }, compensationOf(new Float64Array(16)));
    expect(tensor.bytes()).toEqual(quantizeWeight(weight, { dtype: 'i8' }).tensor.bytes());
  });
});

describe('tableGram', () => {
  const tableOf = (graph: Graph) => graph.nodes().find((node) => node.op === 'gather') as Call<'gather'>;
  const trigram = `graph g (ids: i32[1, 5])
  words = gather(table f32[30, 2] #1, ids)
  next = shift(words) {axis: 1, offset: 1}
  previous = shift(words) {axis: 1, offset: -1}
  joined = concat(next, words, previous) {axis: 2}
  front = linear(joined, w f32[1, 6] {1, 2, 10, 20, 100, 200})
return y: front`.replace('{1, 2, 10, 20, 100, 200}', '#5');

  test('sums the products of all columns that read the table', () => {
    const graph = graphOf(trigram);
    const front = graph.nodes().find((node) => node.name === 'w') as { tensor: Tensor } & ReturnType<typeof tableOf>;
    const [a, b, c, d, e, f] = readF32(front.tensor) as unknown as [number, number, number, number, number, number];
    const gram = Array.from(tableGram(graph, tableOf(graph)) ?? []);
    const expected = [a * a + c * c + e * e, a * b + c * d + e * f, a * b + c * d + e * f, b * b + d * d + f * f];
    for (const [i, value] of expected.entries()) expect(gram[i]).toBeCloseTo(value, 6);
  });

  test('a convolution counts with all its taps', () => {
    const graph = graphOf(`graph g (ids: i32[1, 5])
  words = gather(table f32[30, 2] #1, ids)
  front = conv1d(words, w f32[3, 3, 2] #5)
return y: front`);
    const [xx = 0, xy, yx, yy = 0] = tableGram(graph, tableOf(graph)) ?? [];
    expect(xy).toBe(yx);
    const sum = readF32(randomTensor({ dtype: 'f32', shape: [3, 3, 2] }, 5)).reduce(
      (total, value) => total + value ** 2,
      0,
    );
    expect(xx + yy).toBeCloseTo(sum, 5);
  });

  test('rows that are there twice in a concatenation count with both of their columns', () => {
    const graph = graphOf(`graph g (ids: i32[1, 5])
  words = gather(table f32[30, 2] #1, ids)
  joined = concat(words, words) {axis: 2}
  front = linear(joined, w f32[1, 4] {1, 2, 10, 20})
return y: front`);
    expect(Array.from(tableGram(graph, tableOf(graph)) ?? [])).toEqual([101, 202, 202, 404]);
  });

  test('rows in another shape count where their channels stay together', () => {
    const graph = graphOf(`graph g (ids: i32[1, 5])
  words = gather(table f32[30, 2] #1, ids)
  tokens = reshape(words) {shape: [5, 2]}
  front = linear(tokens, w f32[1, 2] {1, 2})
return y: front`);
    expect(Array.from(tableGram(graph, tableOf(graph)) ?? [])).toEqual([1, 2, 2, 4]);
  });

  test.each([
    ['reads the rows', '  also = relu(words)\nreturn z: also,'],
    ['returns them', 'return z: words,'],
    [
      'mixes their channels',
      '  flat = reshape(words) {shape: [1, 10]}\n  also = linear(flat, v f32[1, 10] #6)\nreturn z: also,',
    ],
    [
      'joins them along tokens',
      '  twice = concat(words, words) {axis: 1}\n  also = linear(twice, v f32[1, 2] #6)\nreturn z: also,',
    ],
    ['multiplies with them', '  factors = mul(words, words)\nreturn z: factors,'],
  ])('is unknown where something else %s', (_, more) => {
    const graph = graphOf(trigram.replace('return', more));
    expect(tableGram(graph, tableOf(graph))).toBeUndefined();
  });

  test('what no output needs does not count as a reader', () => {
    const graph = graphOf(trigram);
    const table = tableOf(graph);
    graph.add('relu', [table]);
    expect(tableGram(graph, table)).toBeDefined();
  });
});

describe('roundForReaders', () => {
  const graph = graphOf(`graph g (ids: i32[1, 5])
  words = gather(table f32[30, 4] #1, ids)
  front = linear(words, w f32[2, 4] #5)
return y: front`);
  const node = <N>(name: string) => graph.nodes().find((each) => each.name === name) as N;
  const [words, front] = [node<Call<'gather'>>('words'), node<Call<'linear'>>('front')];
  const i4 = { dtype: 'i4' } as const;
  const stored = (rounded: { readonly tensor: Tensor }) => rounded.tensor.bytes();

  test('rounds a table for the linears that read it', () => {
    const gram = tableGram(graph, words) as Float64Array;
    const table = node<Constant>('table');
    const rounded = stored(roundForReaders(graph)(words, table, i4));
    expect(rounded).toEqual(stored(quantizeCompensated(table.tensor, i4, compensationOf(gram))));
    expect(rounded).not.toEqual(stored(quantizeWeight(table.tensor, i4)));
  });

  test('rounds what is no table as it is told, else to the nearest', () => {
    const weight = node<Constant>('w');
    const nearest = quantizeWeight(weight.tensor, i4);
    expect(stored(roundForReaders(graph)(front, weight, i4))).toEqual(stored(nearest));
    const zeros = quantizeWeight(randomTensor({ dtype: 'f32', shape: [2, 4] }, 8), i4);
    expect(roundForReaders(graph, () => zeros)(front, weight, i4)).toBe(zeros);
  });
});
