import { expect, test } from 'vitest';
import { diffGraphs } from '../../src/diff/diff-graphs.ts';
import { Graph, type Node } from '../../src/ir/graph.ts';
import type { OpName } from '../../src/ir/ops/index.ts';
import { random, randomTensor } from '../core.ts';

const LAYERS = 700;

/** Layers of twelve nodes in a chain; with `names` every node and weight has a name from that seed. */
function deepGraph({ names, dropped, weights = 0 }: { names?: number; dropped?: number; weights?: number }): Graph {
  const next = random(names ?? 0);
  const graph = new Graph('deep');
  const called = (name: string) => (names === undefined ? name : `v${Math.floor(next() * 2 ** 40).toString(36)}`);
  let x: Node = graph.input('x', { dtype: 'f32', shape: ['rows', 4] });
  for (let layer = 0; layer < LAYERS; layer++) {
    if (layer === dropped) continue;
    const start = x;
    const weight = (n: number) =>
      graph.constant(
        randomTensor({ dtype: 'f32', shape: [4, 4] }, weights + 8 * layer + n),
        called(`layer.${layer}.w${n}`),
      );
    const add = (op: OpName, name: string, ...inputs: Node[]) =>
      graph.add(op, inputs, op === 'matmul' ? { transposeB: name === 'scores' } : {}, called(`l${layer}.${name}`));
    const [query, key, value] = ['query', 'key', 'value'].map((name, n) => add('linear', name, start, weight(n)));
    const scores = add('matmul', 'scores', query as Node, key as Node);
    const mixed = add('matmul', 'mixed', add('softmax', 'shares', scores), value as Node);
    const sum = add('add', 'sum', add('linear', 'output', mixed, weight(3)), start);
    const up = add('gelu', 'active', add('linear', 'up', sum, weight(4)));
    x = add('add', 'out', add('linear', 'down', up, weight(5)), sum);
  }
  graph.output('y', x);
  return graph;
}

const graph = deepGraph({});

test('thousands of nodes under other names are the same', () => {
  const { differences, paired, renamed } = diffGraphs(graph, deepGraph({ names: 7 }));
  expect(differences).toEqual([]);
  expect({ paired, renamed }).toEqual({ paired: 12 * LAYERS + 1, renamed: 12 * LAYERS });
});

test('one layer less is one difference, whatever the others are called', () => {
  const { differences } = diffGraphs(graph, deepGraph({ names: 7, dropped: 500 }));
  expect(differences).toHaveLength(1);
  expect(differences[0]).toMatchObject({ change: 'removed', a: { length: 12 }, b: [] });
});

test('other weights as well: names tell which layer it was, and without names it is one layer still', () => {
  const named = diffGraphs(graph, deepGraph({ dropped: 500, weights: 1e6 })).differences;
  const nameless = diffGraphs(graph, deepGraph({ names: 7, dropped: 500, weights: 1e6 })).differences;
  for (const differences of [named, nameless]) {
    const structure = differences.filter(({ kind }) => kind === 'structure');
    expect(structure).toHaveLength(1);
    expect(structure[0]).toMatchObject({ change: 'removed', a: { length: 12 }, b: [] });
    expect(differences).toHaveLength(1 + 6 * (LAYERS - 1));
  }
  expect(named[0]).toMatchObject({ a: expect.arrayContaining([{ name: 'l500.query', op: 'linear' }]) });
});
