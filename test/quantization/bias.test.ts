import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Call, Graph } from '../../src/ir/graph.ts';
import { readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import type { FormRequest } from '../../src/quantization/forms/form.ts';
import { weightsOnly } from '../../src/quantization/forms/weights-only.ts';
import { rebuild } from '../../src/quantization/rebuild.ts';
import type { Settings } from '../../src/quantization/settings.ts';
import { SWITCHES, switchedGraph } from '../../src/quantization/switched-graph.ts';
import { graphOf, randomTensor } from '../core.ts';

const ROWS = 50;
const CHANNELS = 64;

/** Values whose channels have means of their own. */
const x = tensorOf(
  'f32',
  [ROWS, CHANNELS],
  readF32(randomTensor({ dtype: 'f32', shape: [ROWS, CHANNELS] }, 1)).map((value, i) => value + Math.sin(i % CHANNELS)),
);

/** Of each column. */
function meansOf(tensor: Tensor): Float64Array {
  const width = tensor.shape[1] as number;
  const means = new Float64Array(width);
  readF32(tensor).forEach((value, i) => {
    means[i % width] = (means[i % width] as number) + value / (tensor.shape[0] as number);
  });
  return means;
}

function quantizedBy(graph: Graph, scheme: 'w4' | 'dynamic') {
  const request: FormRequest = {
    scheme,
    granularity: 'channel',
    rounding: 'nearest',
    range: 'minmax',
    integerOutputs: false,
  };
  const settings = new Map<Call, Settings>();
  for (const node of graph.nodes()) {
    if (node.op === 'linear') settings.set(node, { ...request, scheme });
  }
  return weightsOnly.plan(graph, settings, request);
}

const outputOf = (graph: Graph, more: readonly (readonly [string, Tensor])[] = []) =>
  evaluate(graph, new Map([['x', x], ...more])).get('y') as Tensor;

describe.each([
  ['a linear with a bias', 'linear(x, w f32[20, 64] #1, b f32[20] #2)'],
  ['a linear without one', 'linear(x, w f32[20, 64] #1)'],
])('%s', (_, linear) => {
  const graph = graphOf(`graph g (x: f32[${ROWS}, ${CHANNELS}]) v = ${linear} return y: v`);

  test.each(['w4', 'dynamic'] as const)('has outputs of the right mean once it is corrected, %s', (scheme) => {
    const plan = quantizedBy(graph, scheme);
    const expected = meansOf(outputOf(graph));
    const worst = (made: Graph) => {
      const found = meansOf(outputOf(made));
      return Math.max(...expected.map((mean, i) => Math.abs(mean - (found[i] as number))));
    };
    const plain = rebuild(plan, { quants: new Map() });
    const corrected = rebuild(plan, { quants: new Map(), meanOf: () => meansOf(x) });
    verifyGraph(corrected, 'corrected');
    expect(worst(plain)).toBeGreaterThan(1e-3);
    expect(worst(corrected)).toBeLessThan(1e-5);
  });

  test('is tried as it will be written', () => {
    const plan = quantizedBy(graph, 'w4');
    const options = { quants: new Map(), meanOf: () => meansOf(x) };
    const switched = switchedGraph(plan, { ...options, groups: 1, groupOf: () => 0 });
    const tried = outputOf(switched, [[SWITCHES, tensorOf('f32', [1], Float32Array.of(1))]]);
    expect(readF32(tried)).toEqual(readF32(outputOf(rebuild(plan, options))));
  });
});
