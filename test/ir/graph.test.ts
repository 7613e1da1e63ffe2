import { describe, expect, test } from 'vitest';
import { Graph, type Node } from '../../src/ir/graph.ts';
import { type Tensor, type TensorType, tensorOf } from '../../src/ir/tensor.ts';
import { graphText } from '../../src/ir/text.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import { graphOf } from '../core.ts';
import { fc } from '../fast-check.ts';

const PAIR: TensorType = { dtype: 'f32', shape: [2] };
const pair = (...values: number[]): Tensor => tensorOf('f32', [2], Float32Array.from(values));

function nodeNamed(graph: Graph, name: string): Node {
  const found = graph.nodes().find((node) => node.name === name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}

const usersOf = (node: Node) => [...node.users].map(({ name }) => name);

/** x, then relu, then tanh. */
const chain = () => graphOf('graph g (x: f32[2])\n a = relu(x)\n y = tanh(a)\nreturn y: y');

describe('add', () => {
  test('infers the type and fills in what attributes are left out', () => {
    const graph = new Graph();
    const x = graph.input('x', { dtype: 'f32', shape: ['batch', 4] });
    const node = graph.add('softmax', [x]);
    expect([node.type, node.attrs]).toEqual([{ dtype: 'f32', shape: ['batch', 4] }, { axis: -1 }]);
    expect(usersOf(x)).toEqual(['softmax_0']);
  });

  test('counts names by op where none is given', () => {
    const graph = new Graph();
    const x = graph.input('x', PAIR);
    const names = [graph.add('relu', [x]), graph.add('tanh', [x]), graph.add('relu', [x]), graph.constant(pair(1, 2))];
    expect(names.map(({ name }) => name)).toEqual(['relu_0', 'tanh_0', 'relu_1', 'const_0']);
  });

  test('counts past names that are taken', () => {
    const graph = new Graph();
    const x = graph.input('relu_0', PAIR);
    expect(graph.add('relu', [x]).name).toBe('relu_1');
  });

  test('gives a name to the last that asks for it: the one before gets a suffix', () => {
    const graph = new Graph();
    const x = graph.input('x', PAIR);
    const first = graph.add('relu', [x], {}, 'y');
    const second = graph.add('tanh', [first], {}, 'y');
    expect([first.name, second.name]).toEqual(['y_0', 'y']);
  });

  test('keeps a list of its own of what it reads', () => {
    const graph = new Graph();
    const [x, z] = [graph.input('x', PAIR), graph.input('z', PAIR)];
    const inputs = [x, x];
    const sum = graph.add('add', inputs);
    inputs[1] = z;
    expect(sum.inputs).toEqual([x, x]);
  });

  test.each([
    ['y', 'y: add cannot broadcast [2] with [3]'],
    [undefined, 'add cannot broadcast [2] with [3]'],
  ])('says which node does not fit, where it has a name: %s', (name, message) => {
    const graph = new Graph();
    const inputs = [graph.input('a', PAIR), graph.input('b', { dtype: 'f32', shape: [3] })];
    expect(() => graph.add('add', inputs, {}, name)).toThrow(
      expect.objectContaining({ code: 'INVALID_GRAPH', message }),
    );
  });

  test.each([
    [0, 'y: y lacks its input x'],
    [2, 'y: y has 2 inputs, takes 1'],
  ])('refuses %d inputs of an op that takes one', (count, message) => {
    const graph = new Graph();
    const x = graph.input('x', PAIR);
    expect(() => graph.add('relu', new Array<Node>(count).fill(x), {}, 'y')).toThrow(message);
  });
});

describe('nodes', () => {
  test('are those that outputs reach, inputs before users, in the order of the outputs', () => {
    const graph = graphOf(`graph g (x: f32[2], unused: f32[2])
  a = relu(x)
  dead = tanh(a)
  b = add(a, a)
  c = mul(b, x)
return first: c, second: a`);
    expect(graph.nodes().map(({ name }) => name)).toEqual(['x', 'a', 'b', 'c']);
  });

  test('may be a chain of any length', () => {
    const graph = new Graph();
    let node: Node = graph.input('x', PAIR);
    for (let i = 0; i < 50_000; i++) node = graph.add('relu', [node]);
    graph.output('y', node);
    expect(graph.nodes().length).toBe(50_001);
  });
});

describe('replace', () => {
  test('redirects all that read the old node, and the outputs that it was', () => {
    const graph = graphOf(`graph g (x: f32[2])
  a = relu(x)
  b = tanh(a)
  c = add(a, a)
return a: a, b: b, c: c`);
    const a = nodeNamed(graph, 'a');
    expect(graph.replace(a, () => graph.add('sqrt', a.inputs, {}, 'a'))).toBe(true);
    expect(graphText(graph)).toMatchInlineSnapshot(`
      "graph g (x: f32[2])
        a = sqrt(x)  f32[2]
        b = tanh(a)  f32[2]
        c = add(a, a)  f32[2]
      return a: a, b: b, c: c"
    `);
    expect(usersOf(nodeNamed(graph, 'a'))).toEqual(['b', 'c']);
  });

  test('puts a node behind another: what it makes may read the old node', () => {
    const graph = chain();
    const a = nodeNamed(graph, 'a');
    graph.replace(a, () => graph.add('sqrt', [a], {}, 'behind'));
    expect(graphText(graph)).toMatchInlineSnapshot(`
      "graph g (x: f32[2])
        a = relu(x)  f32[2]
        behind = sqrt(a)  f32[2]
        y = tanh(behind)  f32[2]
      return y: y"
    `);
    expect(usersOf(a)).toEqual(['behind']);
  });

  test('puts a node behind an input, which stays one', () => {
    const graph = chain();
    const [x] = graph.inputs as [Node];
    graph.replace(x, () => graph.add('sqrt', [x]));
    expect(graph.inputs).toEqual([x]);
    expect(usersOf(x)).toEqual(['sqrt_0']);
  });

  test('changes nothing where nothing is made, or the node itself', () => {
    const graph = chain();
    const before = graphText(graph);
    const a = nodeNamed(graph, 'a');
    expect(graph.replace(a, () => null)).toBe(false);
    expect(graph.replace(a, () => a)).toBe(false);
    expect(graphText(graph)).toBe(before);
  });

  test('forgets what only the old node read, so that its name is free again', () => {
    const graph = graphOf('graph g (x: f32[2])\n a = relu(x)\n b = tanh(a)\n y = sqrt(b)\nreturn y: y');
    const [x] = graph.inputs as [Node];
    const [a, b] = [nodeNamed(graph, 'a'), nodeNamed(graph, 'b')];
    graph.replace(b, () => x);
    expect(usersOf(x)).toEqual(['y']);
    expect([graph.add('relu', [x], {}, 'a').name, graph.add('relu', [x], {}, 'b').name]).toEqual(['a', 'b']);
    // Nobody has asked those that have gone for their names.
    expect([a.name, b.name]).toEqual(['a', 'b']);
  });

  test('of a node that has gone already leaves its name to who has it now', () => {
    const graph = chain();
    const [x] = graph.inputs as [Node];
    const a = nodeNamed(graph, 'a');
    graph.replace(a, () => x);
    graph.output('a', graph.add('relu', [x], {}, 'a'));
    graph.replace(a, () => graph.add('sqrt', [x]));
    graph.output('again', graph.add('tanh', [x], {}, 'a'));
    verifyGraph(graph, 'replace');
    expect(graph.outputs.map(({ node }) => node.name)).toEqual(['y', 'a_0', 'a']);
  });

  test('leaves what others read, and what is an output', () => {
    const graph = graphOf('graph g (x: f32[2])\n a = relu(x)\n b = tanh(a)\n y = add(a, b)\nreturn y: y, b: b');
    const y = nodeNamed(graph, 'y');
    graph.replace(y, () => graph.add('sub', y.inputs, {}, 'y'));
    const [a, b] = [nodeNamed(graph, 'a'), nodeNamed(graph, 'b')];
    expect([usersOf(a), usersOf(b)]).toEqual([['b', 'y'], ['y']]);
  });
});

test('prune forgets nodes that nothing came to use', () => {
  const graph = chain();
  const [x] = graph.inputs as [Node];
  const a = nodeNamed(graph, 'a');
  const left = graph.add('sqrt', [a], {}, 'left');
  graph.add('sqrt', [x], {}, 'alone');
  expect([usersOf(x), usersOf(a)]).toEqual([
    ['a', 'alone'],
    ['y', 'left'],
  ]);
  graph.prune();
  expect([usersOf(x), usersOf(a)]).toEqual([['a'], ['y']]);
  // The name is free: nobody asks the one that has gone for it.
  expect([graph.add('relu', [x], {}, 'left').name, left.name]).toEqual(['left', 'left']);
  expect(graph.inputs.length).toBe(1);
});

test('an input that nothing reads can be taken away, and no other', () => {
  const graph = new Graph();
  const [read, unread] = [graph.input('read', PAIR), graph.input('unread', PAIR)];
  graph.output('x', graph.add('relu', [read], {}, 'x'));
  graph.removeInput(unread);
  expect(graph.inputs).toEqual([read]);
  expect(() => graph.removeInput(read)).toThrow('input read is read by x');
  expect(() => graph.removeInput(unread)).toThrow('there is no input unread');
  expect(graph.input('unread', PAIR).name).toBe('unread');
});

describe('outputs', () => {
  const outputsOf = (graph: Graph) => graph.outputs.map(({ name, node }) => `${name}: ${node.name}`);
  const two = () => graphOf('graph g (x: f32[2])\n a = relu(x)\n b = tanh(a)\nreturn first: a, second: b');

  test('have one name each', () => {
    const graph = two();
    expect(() => graph.output('first', nodeNamed(graph, 'b'))).toThrow(
      expect.objectContaining({ code: 'INVALID_GRAPH', message: 'output first exists already' }),
    );
    graph.output('third', nodeNamed(graph, 'b'));
    expect(outputsOf(graph)).toEqual(['first: a', 'second: b', 'third: b']);
  });

  test('keep their names whatever becomes of their nodes', () => {
    const graph = two();
    const a = nodeNamed(graph, 'a');
    graph.replace(a, () => graph.add('sqrt', [a], {}, 'second'));
    expect(outputsOf(graph)).toEqual(['first: second', 'second: b']);
  });

  test('are told from other nodes, in a view as well', () => {
    const graph = two();
    const [a, b] = [nodeNamed(graph, 'a'), nodeNamed(graph, 'b')];
    expect([graph.isOutput(a), graph.isOutput(b), graph.isOutput(nodeNamed(graph, 'x'))]).toEqual([true, true, false]);
    const view = graph.withOutputs([{ name: 'only', node: b }]);
    expect([view.isOutput(a), view.isOutput(b)]).toEqual([false, true]);
  });

  test('come in any order', () => {
    const graph = two();
    graph.orderOutputs(['second', 'first']);
    expect(outputsOf(graph)).toEqual(['second: b', 'first: a']);
  });

  test('may give way to another node under another name, in their place', () => {
    const graph = two();
    graph.replaceOutput('first', 'new', nodeNamed(graph, 'b'));
    expect(outputsOf(graph)).toEqual(['new: b', 'second: b']);
    expect(() => graph.replaceOutput('first', 'again', nodeNamed(graph, 'b'))).toThrow('there is no output first');
  });

  test('of a view are its own, over the same nodes', () => {
    const graph = two();
    const a = nodeNamed(graph, 'a');
    const view = graph.withOutputs([{ name: 'only', node: a }]);
    expect([view.nodes().length, view.inputs, view.name]).toEqual([2, graph.inputs, 'g']);
    expect(nodeNamed(view, 'a')).toBe(a);
    expect(outputsOf(graph)).toEqual(['first: a', 'second: b']);
  });
});

test('whatever is added, replaced and pruned, the graph is a valid one and names and readers are right', () => {
  const place = fc.nat(1000);
  const step = fc.record({ how: fc.constantFrom('add', 'name', 'behind', 'by', 'null', 'prune'), a: place, b: place });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const graph = chain();
      for (const { how, a, b } of steps) {
        const nodes = graph.nodes();
        const [x, y] = [nodes[a % nodes.length] as Node, nodes[b % nodes.length] as Node];
        if (how === 'add') graph.output(`o${graph.outputs.length}`, graph.add('add', [x, y]));
        if (how === 'name') graph.output(`o${graph.outputs.length}`, graph.add('relu', [x], {}, y.name));
        if (how === 'behind') graph.replace(x, () => graph.add('relu', [x]));
        if (how === 'by') graph.replace(x, () => (x.op === 'input' ? null : (x.inputs[0] as Node)));
        if (how === 'null') graph.replace(x, () => (graph.add('tanh', [y]) ? null : y));
        if (how === 'prune') graph.prune();
        verifyGraph(graph, how);
      }
      graph.prune();
      const live = graph.nodes();
      for (const node of live) {
        const readers = live.filter(({ inputs }) => inputs.includes(node)).map(({ name }) => name);
        expect(usersOf(node).sort()).toEqual(readers.sort());
      }
    }),
    { numRuns: 300, seed: 1 },
  );
});
