import { expect, test } from 'vitest';
import type { Graph, Node } from '../../src/ir/graph.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import { graphOf } from '../core.ts';

const TEXT = `graph g (x: f32[2])
  q = quantize(x)  i8[2] q(0.5, 0)
  y = add(q, c f32[2] {1, 2})
return y: y`;

function nodeNamed(graph: Graph, name: string): Node {
  return graph.nodes().find((node) => node.name === name) as Node;
}

test('a graph from text is a valid one', () => {
  expect(() => verifyGraph(graphOf(TEXT), 'text')).not.toThrow();
});

test.each<[problem: string, broken: () => Graph]>([
  [
    'c: another node has this name',
    () => {
      const [a, b] = [graphOf(TEXT), graphOf(TEXT)];
      return a.withOutputs([a, b].map((graph, i) => ({ name: `c${i}`, node: nodeNamed(graph, 'c') })));
    },
  ],
  [
    'late: its input y does not know it',
    () => {
      const graph = graphOf(TEXT);
      const late = graph.add('relu', [nodeNamed(graph, 'y')], {}, 'late');
      graph.prune();
      graph.output('late', late);
      return graph;
    },
  ],
  [
    'other: is an input of another graph',
    () => {
      const graph = graphOf(TEXT);
      graph.output('other', graphOf(TEXT.replaceAll(/\bx\b/g, 'other')).inputs[0] as Node);
      return graph;
    },
  ],
  [
    'c: holds f32[2], its type is f32[1, 2]',
    () => {
      const graph = graphOf(TEXT);
      graph.setType(nodeNamed(graph, 'c'), { dtype: 'f32', shape: [1, 2] });
      return graph;
    },
  ],
  [
    'c: holds f32[2], its type is i32[2]',
    () => {
      const graph = graphOf(TEXT);
      graph.setType(nodeNamed(graph, 'c'), { dtype: 'i32', shape: [2] });
      return graph;
    },
  ],
  [
    'y: is f32[3], its inputs make f32[2]',
    () => {
      const graph = graphOf(TEXT);
      graph.setType(nodeNamed(graph, 'y'), { dtype: 'f32', shape: [3] });
      return graph;
    },
  ],
  [
    'y: is i32[2], its inputs make f32[2]',
    () => {
      const graph = graphOf(TEXT);
      graph.setType(nodeNamed(graph, 'y'), { dtype: 'i32', shape: [2] });
      return graph;
    },
  ],
  [
    'q: is i8[1, 2], its inputs make f32[2]',
    () => {
      const graph = graphOf(TEXT);
      const q = nodeNamed(graph, 'q');
      graph.setType(q, { ...q.type, shape: [1, 2] });
      return graph;
    },
  ],
  [
    'y: add cannot broadcast [2] with [3]',
    () => {
      const graph = graphOf('graph g (a: f32[2], b: f32[2])\n y = add(a, b)\nreturn y: y');
      graph.setType(graph.inputs[1] as Node, { dtype: 'f32', shape: [3] });
      return graph;
    },
  ],
])('refuses a graph in which %s', (problem, broken) => {
  expect(() => verifyGraph(broken(), 'some-pass')).toThrow(
    expect.objectContaining({ code: 'INVALID_GRAPH', message: `some-pass: ${problem}` }),
  );
});
