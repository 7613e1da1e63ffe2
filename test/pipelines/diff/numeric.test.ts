import { expect, test } from 'vitest';
import type { Graph } from '../../../src/ir/graph.ts';
import { compareOutputs } from '../../../src/pipelines/diff/numeric.ts';
import type { DiffSide } from '../../../src/pipelines/diff/sides.ts';
import { graphOf } from '../../core.ts';

/** Two labels of each word, lower by `less`; as logits or as their sigmoids. */
function labels(less: number, isProbability = false): Graph {
  return graphOf(`graph g (input_ids: i64[1, sequence])
  words = gather(table f32[100, 2] #1, input_ids)
  first = slice(words) {axis: 1, end: 1}
  rows = reshape(first) {shape: [1, 2]}
  lower = sub(rows, less f32[] {${less}})
  ${isProbability ? 'y = sigmoid(lower)' : 'y = add(lower, none f32[] {0})'}
return labels: y`);
}

const sideOf = (graph: Graph, logitsKind?: DiffSide['logitsKind']): DiffSide => ({
  ...{ path: 'model', format: 'onnx', graph, reference: graph, fileBytes: undefined, warnings: [], logitsKind },
  ...{ meaning: new Map(), facts: new Map(), close: () => undefined },
});

async function compared(a: DiffSide, b: DiffSide) {
  const { outputs } = await compareOutputs(a, b, 'reference', {});
  return outputs[0]?.difference;
}

test('labels of which any number applies agree by their decisions, whichever model says what they are', async () => {
  const lower = labels(0.25);
  const argmax = await compared(sideOf(labels(0)), sideOf(lower));
  expect(argmax).toMatchObject({ choices: 'largest', agreement: 1 });
  const decided = await compared(sideOf(labels(0)), sideOf(lower, 'multi-label'));
  expect(decided?.choices).toBe('decisions');
  expect(decided?.agreement).toBeGreaterThan(0);
  expect(decided?.agreement).toBeLessThan(1);
  expect(await compared(sideOf(labels(0), 'multi-label'), sideOf(lower))).toEqual(decided);
});

test('a probability is a decision at a half, beside logits at 0', async () => {
  const same = await compared(sideOf(labels(0), 'multi-label'), sideOf(labels(0, true)));
  expect(same).toMatchObject({ choices: 'decisions', agreement: 1 });
  expect(same?.maxAbsError).toBeGreaterThan(0.1);
});
