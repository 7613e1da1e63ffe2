import { describe, expect, test } from 'vitest';
import type { Node } from '../../src/ir/graph.ts';
import { any, either, match, op, type Pattern, scalar, scalarOf, weight } from '../../src/ir/match.ts';
import { graphOf } from '../core.ts';

/** What a pattern captures at the graph's output, by name; null where it does not fit. */
function found(pattern: Pattern<unknown>, lines: string): Record<string, string> | null {
  const graph = graphOf(`graph g (x: f32[2], z: f32[2])\n${lines}\nreturn y: y`);
  const captures = match(pattern, graph.outputs[0]?.node as Node) as Record<string, Node> | null;
  return captures && Object.fromEntries(Object.entries(captures).map(([name, node]) => [name, node.name]));
}

const half = 'half f32[] {0.5}';

describe('any', () => {
  test('fits every node, and captures it', () => {
    expect(found(op('sub', [any('a'), any('b')]), `y = sub(x, ${half})`)).toEqual({ a: 'x', b: 'half' });
  });

  test('of one name is one node', () => {
    const same = op('sub', [any('a'), any('a')]);
    expect(found(same, 'y = sub(x, x)')).toEqual({ a: 'x' });
    expect(found(same, 'y = sub(x, z)')).toBeNull();
  });

  test('holds through a whole pattern', () => {
    const square = op('mul', [any('x'), op('relu', [any('x')])]);
    expect(found(square, 'r = relu(x)\n y = mul(x, r)')).toEqual({ x: 'x' });
    expect(found(square, 'r = relu(x)\n y = mul(z, r)')).toBeNull();
  });
});

describe('weight', () => {
  test('fits constants of any value', () => {
    expect(found(op('sub', [any('a'), weight('w')]), 'y = sub(x, w f32[2] {1, 2})')).toEqual({ a: 'x', w: 'w' });
    expect(found(op('sub', [any('a'), weight('w')]), 'y = sub(x, z)')).toBeNull();
  });
});

describe('scalar', () => {
  test.each([
    [Math.SQRT2, 'c f32[] {1.4142135}', true],
    [Math.SQRT2, 'c f16[] {1.4142135}', true],
    [Math.SQRT2, 'c f32[1, 1] {1.4142135}', true],
    [Math.SQRT2, 'c f32[] {1.5}', false],
    [Math.SQRT2, 'c f32[] {-1.4142135}', false],
    [Math.SQRT2, 'c f32[2] {1.4142135, 1.4142135}', false],
    [-10000, 'c f32[] {-10001}', true],
    [-10000, 'c f32[] {10000}', false],
    [0, 'c f32[] {0}', true],
    [0, 'c f32[] {1e-30}', false],
    [1, 'c f32[] {NaN}', false],
  ])('%d and %s: %s', (value, constant, fits) => {
    const lines = `y = ${constant.includes('[2]') || constant.includes('[1, 1]') ? 'mul' : 'sub'}(x, ${constant})`;
    const name = lines.includes('mul') ? 'mul' : 'sub';
    expect(found(op(name, [any('x'), scalar(value)]), lines) !== null).toBe(fits);
  });

  test('takes what f16 rounds, and no more', () => {
    const near = (factor: number) => found(op('sub', [any('x'), scalar(1)]), `y = sub(x, c f32[] {${factor}})`);
    expect([1 + 2 ** -11, 1 + 2 ** -10, 1 - 2 ** -10].map((factor) => near(factor) !== null)).toEqual([
      true,
      true,
      true,
    ]);
    expect([1 + 2 ** -9.9, 1 - 2 ** -9.9].map(near)).toEqual([null, null]);
  });

  test('has no value where a node is computed or holds more than one number', () => {
    const graph = graphOf(`graph g (x: f32[2])\n a = mul(x, c f32[1] {7})\n y = mul(a, d f32[2] {7, 7})\nreturn y: y`);
    const values = graph.nodes().map((node) => [node.name, scalarOf(node)]);
    expect(values).toEqual([
      ['x', null],
      ['c', 7],
      ['a', null],
      ['d', null],
      ['y', null],
    ]);
  });
});

describe('op', () => {
  test('fits either order of an op that commutes', () => {
    const pattern = op('mul', [any('a'), scalar(0.5)]);
    expect(found(pattern, `y = mul(x, ${half})`)).toEqual({ a: 'x' });
    expect(found(pattern, `y = mul(${half}, x)`)).toEqual({ a: 'x' });
  });

  test('fits one order of an op that does not', () => {
    const pattern = op('sub', [any('a'), scalar(0.5)]);
    expect(found(pattern, `y = sub(x, ${half})`)).toEqual({ a: 'x' });
    expect(found(pattern, `y = sub(${half}, x)`)).toBeNull();
  });

  test('fits no other op, and no other number of inputs', () => {
    expect(found(op('add', [any('a'), any('b')]), 'y = sub(x, z)')).toBeNull();
    const linear = 'y = linear(x, w f32[2, 2] {1, 2, 3, 4})';
    expect(found(op('linear', [any('x'), weight('w')]), linear)).toEqual({ x: 'x', w: 'w' });
    expect(found(op('linear', [any('x'), weight('w'), weight('b')]), linear)).toBeNull();
  });

  test('asks for the attributes that are given, and for no others', () => {
    const gelu = (attrs: { readonly tanh?: boolean }) => op('gelu', [any('x')], attrs);
    expect(found(gelu({ tanh: true }), 'y = gelu(x) {tanh: true}')).toEqual({ x: 'x' });
    expect(found(gelu({ tanh: true }), 'y = gelu(x)')).toBeNull();
    expect(found(gelu({}), 'y = gelu(x) {tanh: true}')).toEqual({ x: 'x' });
  });

  test('tries every order of nested operands until all captures agree', () => {
    // Only with the inner sum turned is `b` the operand of both.
    const pattern = op('mul', [op('add', [any('a'), any('b')]), op('relu', [any('b')])]);
    for (const sum of ['add(x, z)', 'add(z, x)'])
      expect(found(pattern, `s = ${sum}\n r = relu(x)\n y = mul(r, s)`)).toEqual({ a: 'z', b: 'x' });
  });
});

describe('either', () => {
  test('takes the first pattern that fits', () => {
    const pattern = either(op('relu', [any('first')]), op('relu', [any('second')]), op('tanh', [any('third')]));
    expect(found(pattern, 'y = relu(x)')).toEqual({ first: 'x' });
    expect(found(pattern, 'y = tanh(x)')).toEqual({ third: 'x' });
    expect(found(pattern, 'y = sqrt(x)')).toBeNull();
  });

  test('goes on to the next where what stands around does not agree', () => {
    const inner = either(op('relu', [any('a')]), any('a'));
    const pattern = op('sub', [inner, any('a')]);
    expect(found(pattern, 'r = relu(x)\n y = sub(r, r)')).toEqual({ a: 'r' });
    expect(found(pattern, 'r = relu(x)\n y = sub(r, x)')).toEqual({ a: 'x' });
  });
});
