import { describe, expect, test } from 'vitest';
import { MbertError } from '../../../src/errors.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { graphText } from '../../../src/ir/text.ts';
import { floats, importNodes, node, type Options, placeholder, tfFunction } from './graphs.ts';

const X = placeholder('x', [2]);
const call = (name: string, f: string, inputs: readonly string[]) =>
  node(name, 'StatefulPartitionedCall', inputs, { f });

/** Adds its arguments and doubles the sum. */
const double = tfFunction(
  'double',
  ['a', 'b'],
  [node('sum', 'AddV2', ['a', 'b', '^guard']), node('guard', 'Assert'), node('twice', 'AddV2', ['sum:z:0', 'sum:z:0'])],
  { first: 'sum:z:0', second: 'twice:z:0' },
);

test('a function called twice is there twice, under names of its own', () => {
  const nodes = [X, call('f', 'double', ['x', 'x']), call('g', 'double', ['f:1', 'x']), node('y', 'Identity', ['g'])];
  expect(graphText(importNodes(nodes, { functions: [double] }))).toMatchInlineSnapshot(`
    "graph model (x: f32[2])
      sum = add(x, x)  f32[2]
      twice = add(sum, sum)  f32[2]
      g/sum = add(twice, x)  f32[2]
    return y: g/sum"
  `);
});

test('a function may call another', () => {
  const outer = tfFunction('outer', ['p'], [node('inner', 'PartitionedCall', ['p', 'p'], { f: 'double' })], {
    out: 'inner:output:1',
  });
  const graph = importNodes([X, call('y', 'outer', ['x'])], { functions: [double, outer] });
  expect(graph.outputs[0]?.node.name).toBe('twice');
});

test('identities lead on, each output to its own input', () => {
  const nodes = [
    X,
    floats('c', [2]),
    node('pair', 'IdentityN', ['x', 'c']),
    node('stop', 'StopGradient', ['pair:1']),
    node('y', 'Mul', ['pair', 'stop']),
  ];
  expect(graphText(importNodes(nodes)).split('\n')[1]).toBe('  y = mul(x, c f32[2] {0, 1})  f32[2]');
});

test('outputs are what nothing reads, inputs the placeholders, unless a signature says otherwise', () => {
  const nodes = [
    placeholder('a', [2]),
    placeholder('unused', [3]),
    node('b', 'Relu', ['a']),
    node('c', 'Tanh', ['b']),
    node('end', 'NoOp', ['^c']),
  ];
  const plain = importNodes(nodes);
  expect(plain.inputs.map(({ name }) => name)).toEqual(['a', 'unused']);
  expect(plain.outputs.map(({ name }) => name)).toEqual(['c']);
  const signed = importNodes(nodes, {
    inputs: [{ name: 'in', value: 'a:0' }],
    outputs: [{ name: 'out', value: 'b:0' }],
  });
  expect(graphText(signed)).toBe('graph model (in: f32[2])\n  b = relu(in)  f32[2]\nreturn out: b');
});

test('a placeholder that the signature does not list becomes an input', () => {
  const nodes = [X, placeholder('rate', []), node('y', 'Mul', ['x', 'rate'])];
  const graph = importNodes(nodes, { inputs: [{ name: 'x', value: 'x' }] });
  expect(graph.inputs.map(({ name }) => name)).toEqual(['x', 'rate']);
});

describe('refuses', () => {
  const refused: readonly (readonly [what: string, code: string, problem: string, build: () => Graph])[] = [
    [
      'a name that no node has',
      'MALFORMED',
      'graph.pb: nowhere: no node has this name',
      () => importNodes([X, node('y', 'Relu', ['nowhere'])]),
    ],
    ['two nodes of one name', 'MALFORMED', 'graph.pb: x: two nodes have this name', () => importNodes([X, X])],
    ['a graph without results', 'MALFORMED', 'graph.pb: has no outputs', () => importNodes([X])],
    [
      'a loop of TensorFlow 1',
      'UNSUPPORTED',
      'graph.pb: b: takes part in a cycle',
      () => importNodes([node('a', 'Relu', ['b']), node('b', 'Relu', ['a']), node('y', 'Relu', ['b'])]),
    ],
    [
      'identities in a circle',
      'MALFORMED',
      'graph.pb: b: leads to itself',
      () => importNodes([node('a', 'Identity', ['b']), node('b', 'Identity', ['a']), node('y', 'Relu', ['b'])]),
    ],
    [
      'a function that calls itself',
      'MALFORMED',
      'calls are nested deeper than 64',
      () => importCall([tfFunction('f', ['p'], [call('g', 'f', ['p'])], { out: 'g:output:0' })]),
    ],
    ['a function that is not there', 'MALFORMED', 'graph.pb: y/: there is no function f', () => importCall([])],
    [
      'too many arguments',
      'MALFORMED',
      'graph.pb: y/: gives 1 values to f, which takes 2',
      () => importCall([{ ...double, name: 'f' }]),
    ],
    [
      'a function without that output',
      'MALFORMED',
      'graph.pb: y/: has no output 0',
      () => importCall([tfFunction('f', ['p'], [], {})]),
    ],
    [
      'an input of texts',
      'UNSUPPORTED',
      'graph.pb: input x: takes no numbers',
      () => importNodes([placeholder('x', [2], 7), node('y', 'Relu', ['x'])]),
    ],
  ];
  const importCall = (functions: Options['functions']) =>
    importNodes([X, call('y', 'f', ['x']), node('z', 'Relu', ['y'])], functions === undefined ? {} : { functions });

  test.each(refused)('%s', (_, code, problem, build) => {
    const error = (() => {
      try {
        build();
      } catch (cause) {
        return cause;
      }
      return undefined;
    })();
    expect(error).toBeInstanceOf(MbertError);
    expect((error as MbertError).code).toBe(code);
    expect((error as MbertError).message).toContain(problem);
  });
});

test('a long chain, read all along, takes no quadratic time', () => {
  const count = 20_000;
  const chain = Array.from({ length: count }, (_, i) => node(`i${i}`, 'Identity', [i === 0 ? 'x' : `i${i - 1}`]));
  const readers = Array.from({ length: count }, (_, i) =>
    node(`r${i}`, 'AddV2', [i === 0 ? 'x' : `r${i - 1}`, `i${i}`]),
  );
  const graph = importNodes([X, ...chain, ...readers]);
  expect(graph.nodes().length).toBe(count + 1);
});
