import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { openRuns } from '../../src/calibration/token-runs.ts';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph, Node } from '../../src/ir/graph.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import type { TextMatrix, TextRuns } from '../../src/ir/text-runs.ts';
import { buildModel } from '../../src/models/index.ts';
import { feedsOf, type TokenRow } from '../../src/samples/feeds.ts';
import { openCheckpoint } from '../models/corpus.ts';

const checkpoint = await openCheckpoint('mini-qa');
afterAll(() => checkpoint.close());

const PAD = 0;
const rowOf = (...inputIds: number[]): TokenRow => ({
  inputIds,
  tokenTypeIds: inputIds.map((_, i) => (i > 3 ? 1 : 0)),
});
/** Two of a length, in different orders; the fifth chooses regularization. */
const ROWS = [
  rowOf(2, 17, 5, 99, 3),
  rowOf(2, 44, 12, 13, 9, 3),
  rowOf(2, 60, 61, 8, 3),
  rowOf(2, 17, 60, 61, 62, 88, 7, 6, 5, 3),
  rowOf(2, 21, 22, 3),
  rowOf(2, 30, 31, 33, 9, 3),
];
const FITTED_FIRST = [0, 2, 1, 5, 3, 4];

interface Shape {
  readonly batch: number | 'batch';
  readonly sequenceLength: number | 'sequence';
}

function graphOf({ batch, sequenceLength }: Shape): Graph {
  return buildModel(checkpoint, { task: 'qa', batch, sequenceLength, choices: 'choices', indexType: 'i64' }).graph;
}

async function open(graph: Graph): Promise<TextRuns> {
  const runs = await openRuns(graph, ROWS, { pad: PAD, threads: 1 });
  onTestFinished(() => runs.close());
  return runs;
}

/** Values with a row for each token, inputs of linears and norms among them. */
function tokenValues(graph: Graph): Node[] {
  const lead = String(graph.inputs[0]?.type.shape);
  return graph
    .nodes()
    .filter(({ op, type }) => op !== 'input' && type.dtype === 'f32' && String(type.shape.slice(0, -1)) === lead);
}

/** Of each sequence by itself in the reference evaluator, `fed` tokens of it: values by name. */
function referenceOf(graph: Graph, fed: number | undefined): ReadonlyMap<string, Tensor>[] {
  return ROWS.map((row) => {
    const feeds = feedsOf([row], { dtype: 'i64', shape: [1, fed ?? row.inputIds.length], pad: PAD });
    return evaluate(graph, feeds, tokenValues(graph));
  });
}

function expectRows(
  { values, columns, sequence }: TextMatrix,
  name: string,
  expected: readonly ReadonlyMap<string, Tensor>[],
): void {
  for (const [place, row] of ROWS.entries()) {
    const wanted = readF32(expected[place]?.get(name) as Tensor).subarray(0, row.inputIds.length * columns);
    const start = sequence.indexOf(place) * columns;
    const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const off = wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - (values[start + i] as number))), 0);
    expect(off, `${name} of sequence ${place}`).toBeLessThan(1e-4 * largest + 1e-6);
  }
}

describe.each([
  ['of any batch and length', { batch: 'batch', sequenceLength: 'sequence' }, undefined],
  ['of a fixed batch and length', { batch: 2, sequenceLength: 12 }, 12],
] as const)('a graph %s', (_, shape, fed) => {
  // One sequence at a time, whatever the batch.
  const reference = referenceOf(graphOf({ ...shape, batch: 1 }), fed);

  test('gives each sequence what it has alone, computed at once or from one value to the next', async () => {
    const graph = graphOf(shape);
    const runs = await open(graph);
    const wanted = tokenValues(graph);
    const atOnce = await runs.compute(graph, wanted, new Map());
    const known: Map<Node, NonNullable<ReturnType<typeof atOnce.get>>> = new Map();
    for (const [i, node] of wanted.entries()) {
      const found = (await runs.compute(graph, [node], known)).get(node);
      if (found === undefined) throw new Error(`${node.name} was not computed`);
      // Parts of different sizes begin at different places.
      if (i % 3 !== 0) known.set(node, found);
      expectRows(runs.matrixOf(found), node.name, reference);
      expectRows(runs.matrixOf(atOnce.get(node) as typeof found), node.name, reference);
    }
    expect(wanted.length).toBeGreaterThan(20);
  });

  test('rows that are fitted to come first, each sequence together', async () => {
    const graph = graphOf(shape);
    const runs = await open(graph);
    const [node] = tokenValues(graph) as [Node];
    const found = await runs.compute(graph, [node], new Map());
    const { sequence, fitted, rows } = runs.matrixOf(found.get(node) as never);
    const order = FITTED_FIRST.flatMap((place) => ROWS[place]?.inputIds.map(() => place));
    expect([...sequence]).toEqual(order);
    expect([rows, fitted]).toEqual([order.length, order.length - 4]);
  });
});

test('products take means off and leave the values as they are', async () => {
  const runs = await open(graphOf({ batch: 'batch', sequenceLength: 'sequence' }));
  const a = { values: Float32Array.of(1, 2, 3, 4, 5, 6), rows: 3, columns: 2, mean: Float32Array.of(3, 4) };
  const b = { values: Float32Array.of(1, 0, 2), rows: 3, columns: 1 };
  expect([...(await runs.product(a, b))]).toEqual([2, 2]);
  expect([...(await runs.rowsTimes(a, { values: Float32Array.of(1, 10), rows: 1, columns: 2 }))]).toEqual([-22, 0, 22]);
  expect([...a.values]).toEqual([1, 2, 3, 4, 5, 6]);
});
