import { describe, expect, test } from 'vitest';
import type { Call, Graph } from '../../src/ir/graph.ts';
import { dequantized } from '../../src/ir/quantized.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { compensationOf, quantizeCompensated } from '../../src/quantization/compensation.ts';
import { tableGram } from '../../src/quantization/rounding.ts';
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

  test('is unknown where something else reads the rows', () => {
    const graph = graphOf(trigram.replace('return', '  also = relu(words)\nreturn z: also,'));
    expect(tableGram(graph, tableOf(graph))).toBeUndefined();
  });
});
