import { expect, test } from 'vitest';
import type { Call, Constant, Graph } from '../../../src/ir/graph.ts';
import type { NodeStatistics, StatisticsRequest } from '../../../src/ir/statistics.ts';
import { readF32 } from '../../../src/ir/tensor.ts';
import { CompensatedWeights } from '../../../src/pipelines/quantize/compensated-weights.ts';
import { compensationOf, largestFirst, quantizeByGram } from '../../../src/quantization/compensation.ts';
import { weightsOnly } from '../../../src/quantization/forms/weights-only.ts';
import type { Settings } from '../../../src/quantization/settings.ts';
import { graphOf, randomTensor } from '../../core.ts';

const request = {
  scheme: 'w4',
  granularity: 'channel',
  rounding: 'gptq',
  range: 'minmax',
  integerOutputs: false,
} as const;

function planOf(graph: Graph) {
  const settings = new Map<Call, Settings>();
  for (const node of graph.nodes()) if (node.op === 'linear') settings.set(node, request);
  return weightsOnly.plan(graph, settings, request);
}

function identity(size: number): Float64Array {
  const products = new Float64Array(size * size);
  for (let i = 0; i < size; i++) products[i * size + i] = 1;
  return products;
}

/** Σ x xᵀ of few rows, so that some directions are hardly in it. */
function gramOfFew(size: number): Float64Array {
  const rows = readF32(randomTensor({ dtype: 'f32', shape: [size + 8, size] }, 5));
  const products = new Float64Array(size * size);
  for (let row = 0; row < rows.length; row += size) {
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        const product = (rows[row + i] as number) * (rows[row + j] as number);
        products[i * size + j] = (products[i * size + j] as number) + product;
      }
    }
  }
  return products;
}

/** Answers with the identity, and writes down what it was asked. */
function collector(productsOf: (size: number) => Float64Array = identity) {
  const asked: string[][] = [];
  const collect = async (_: Graph, requests: readonly StatisticsRequest[]) => {
    asked.push(requests.map(({ node }) => node.name));
    return new Map(
      requests.map(({ node }): [string, NodeStatistics] => {
        const size = node.type.shape.at(-1) as number;
        const gram = { size, rows: 1, products: productsOf(size), sums: new Float64Array(size) };
        return [node.name, { rows: 1, min: 0, max: 1, mean: 0, rms: 1, gram }];
      }),
    );
  };
  return { asked, collect };
}

const FFN = `graph g (x: f32[4, 32])
  a = relu(x)
  q = linear(a, q.w f32[32, 32] #1)
  k = linear(a, k.w f32[32, 32] #2)
  up = linear(q, up.w f32[64, 32] #3)
  down = linear(up, down.w f32[32, 64] #4)
  sum = add(down, k)
return y: sum`;

test('linears of one input share its Gram matrix, and nothing is asked for twice', async () => {
  const { asked, collect } = collector();
  const weights = new CompensatedWeights(collect);
  const plan = planOf(graphOf(FFN));
  await weights.prepare(plan, new Map());
  await weights.prepare(plan, new Map());
  expect(asked).toEqual([['a', 'q', 'up']]);
});

test('matrices that do not fit at once come one group after the other', async () => {
  const { asked, collect } = collector();
  // Two of 32 columns, or one of 64.
  const weights = new CompensatedWeights(collect, { groupBytes: 2 * 8 * 32 * 32 });
  await weights.prepare(planOf(graphOf(FFN)), new Map());
  expect(asked).toEqual([['a', 'q'], ['up']]);
});

test('a linear that reads too many values is left to plain rounding, and named', async () => {
  const { asked, collect } = collector();
  const weights = new CompensatedWeights(collect, { maxWidth: 32 });
  const plan = planOf(graphOf(FFN));
  await weights.prepare(plan, new Map());
  expect(asked).toEqual([['a', 'q']]);
  expect([...weights.tooWide]).toEqual(['down']);
  const named = (name: string) => plan.graph.nodes().find((node) => node.name === name) as Call;
  expect(weights.get(named('down'), { dtype: 'i4', granularity: 'channel' })).toBeUndefined();
  expect(weights.get(named('up'), { dtype: 'i4', granularity: 'channel' })).toBeDefined();
});

test('weights of 4 bits and of 8 that read one value are damped each as is right for its bits', async () => {
  const { collect } = collector(gramOfFew);
  const weights = new CompensatedWeights(collect);
  const graph = graphOf(FFN);
  const settings = new Map([...planOf(graph).settings].map(([node, each]) => [node, { ...each }]));
  const [q, k] = ['q', 'k'].map((name) => graph.nodes().find((node) => node.name === name)) as [Call, Call];
  settings.set(k, { ...request, scheme: 'dynamic' });
  await weights.prepare(weightsOnly.plan(graph, settings, request), new Map());
  const gram = gramOfFew(32);
  for (const [node, dtype, damping] of [
    [q, 'i4', 0.05],
    [k, 'i8', 0.01],
  ] as const) {
    const options = { dtype, granularity: 'channel' } as const;
    const { tensor } = node.inputs[1] as Constant;
    const by = (share: number) =>
      quantizeByGram(tensor, options, compensationOf(gram, largestFirst(gram), share)).tensor.bytes();
    expect(weights.get(node, options)?.tensor.bytes()).toEqual(by(damping));
    expect(by(0.05)).not.toEqual(by(0.01));
  }
});
