import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import { runPasses } from '../../src/ir/pass.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { shiftDistances } from '../../src/passes/shift-distances.ts';
import { graphOf, randomTensor } from '../core.ts';

/** Three tokens of two heads, and tables of four rows. */
const scored = (product: string, places: string) => `graph g (x: f32[2, 3, 5])
  scores = ${product}
  flat = reshape(scores) {shape: [2, 12]}
  y = gather(flat, places i32[3, 3] {${places}}) {axis: 1}
return y: y`;

const ONE_FOR_EACH = 'matmul(x, table f32[2, 4, 5] #1) {transposeB: true}';
const UPRIGHT = 'matmul(x, table f32[1, 5, 4] #1)';
const BY_DISTANCE = '2, 1, 0, 7, 6, 5, 11, 11, 10';
const BY_THE_OTHER_DISTANCE = '1, 2, 3, 4, 5, 6, 8, 8, 9';

async function opsOf(text: string) {
  const feeds = new Map<string, Tensor>([['x', randomTensor({ dtype: 'f32', shape: [2, 3, 5] }, 3)]]);
  const values = (graph: ReturnType<typeof graphOf>) => [...readF32(evaluate(graph, feeds).get('y') as Tensor)];
  const graph = graphOf(text);
  const before = values(graph);
  await runPasses(graph, [shiftDistances]);
  values(graph).forEach((value, i) => {
    expect(value).toBeCloseTo(before[i] as number, 6);
  });
  return graph.nodes().flatMap(({ op }) => (op === 'input' || op === 'constant' ? [] : [op]));
}

const SHIFTED = ['matmul', 'reshape', 'slice', 'reshape', 'slice'];
const LEFT = ['matmul', 'reshape', 'gather'];

describe('scores that are looked up by distance', () => {
  test.each([
    ['of a table for each head', ONE_FOR_EACH, BY_DISTANCE],
    ['of a table that lies upright', UPRIGHT, BY_DISTANCE],
    ['that grow along the row', ONE_FOR_EACH, BY_THE_OTHER_DISTANCE],
  ])('%s are shifted', async (_, product, places) => {
    expect(await opsOf(scored(product, places))).toEqual(SHIFTED);
  });

  test.each([
    ['where one place is of another distance', '2, 1, 0, 7, 6, 5, 11, 11, 9'],
    ['where a place lies in the row before', '2, 1, 0, 3, 6, 5, 11, 11, 10'],
  ])('%s stay a look-up', async (_, places) => {
    expect(await opsOf(scored(ONE_FOR_EACH, places))).toEqual(LEFT);
  });

  test('that something else reads stay a look-up', async () => {
    const text = scored(ONE_FOR_EACH, BY_DISTANCE).replace('return y: y', 'return y: y, all: scores');
    expect(await opsOf(text)).toEqual(LEFT);
  });
});
