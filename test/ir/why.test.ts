import { describe, expect, test } from 'vitest';
import { any, either, match, op, type Pattern, printedAs, scalar, weight, where, why } from '../../src/ir/match.ts';
import { missText } from '../../src/ir/miss.ts';
import { raisePasses } from '../../src/passes/raise/raise.ts';
import { graphOf } from '../core.ts';
import { SAMPLE_GRAPHS } from '../passes/sample-graphs.ts';

const GRAPH = graphOf(`graph g (x: f32[2, 3], y: f32[2, 3])
  m = mul(x, gamma f32[3] #1)
  norm = add(m, beta f32[3] #2)
  both = add(norm, m)
  l = linear(both, w f32[3, 3] #3)
  biased = linear(l, w f32[3, 3] #3, b f32[3] #4)
  half = mul(quarter f32[] {0.25}, biased)
  squared = mul(half, half)
  product = mul(squared, y)
  last = mean(product) {keepDims: false}
return z: last`);

const at = (name: string) => {
  const node = GRAPH.nodes().find((each) => each.name === name);
  if (node === undefined) throw new Error(name);
  return node;
};

const scaled = op('mul', [any('x'), weight('gamma')]);
const norm = op('add', [scaled, weight('beta')]);

function reason(pattern: Pattern<unknown>, name: string): string | null {
  const miss = why(pattern, at(name));
  return miss && missText(at(name), miss);
}

describe('why', () => {
  test.each<[string, Pattern<unknown>, string, string | null]>([
    ['nothing where the pattern fits', norm, 'norm', null],
    ['another op', norm, 'm', 'is a mul (m), the pattern has an add'],
    ['an input in place of an op', op('erf', [scaled]), 'x', 'is an input of the model (x), the pattern has an erf'],
    ['a value in place of a constant', norm, 'both', 'first input is an add (norm), the pattern has a constant (beta)'],
    [
      'a number in place of a vector',
      where(scaled, 'whose gamma is a vector', (_, { gamma }) => gamma?.type.shape.length === 1),
      'half',
      'is a mul (half), the pattern has one whose gamma is a vector',
    ],
    [
      'another number',
      op('mul', [scalar(0.5), any('x')]),
      'half',
      'first input is the number 0.25 (quarter), the pattern has the number 0.5',
    ],
    [
      'a number of more digits than are told',
      op('mul', [scalar(Math.SQRT1_2), any('x')]),
      'half',
      'first input is the number 0.25 (quarter), the pattern has the number 0.707107',
    ],
    [
      'another node under one name',
      op('mul', [any('x'), any('x')]),
      'product',
      'second input is an input of the model (y), the pattern has squared again (x)',
    ],
    [
      'too many inputs',
      op('linear', [any('x'), weight('w')]),
      'biased',
      'is a linear (biased), the pattern has one with 2 inputs, not 3',
    ],
    [
      'another attribute',
      op('mean', [any('x')], { keepDims: true }),
      'last',
      'is a mean (last), the pattern has one with keepDims true, not false',
    ],
    [
      'the alternative that came furthest',
      either(op('add', [op('erf', [any('x')]), weight('b')]), op('add', [scaled, op('relu', [any('x')])])),
      'norm',
      'second input is a constant f32[3] (beta), the pattern has a relu',
    ],
    [
      'the order of inputs that came furthest',
      op('add', [weight('beta'), op('mul', [any('x'), op('relu', [any('x')])])]),
      'norm',
      'second input of m is a constant f32[3] (gamma), the pattern has a relu',
    ],
  ])('tells %s', (_, pattern, name, text) => {
    expect(reason(pattern, name)).toBe(text);
    expect(match(pattern, at(name)) === null).toBe(text !== null);
  });

  test('finds no reason exactly where a rule matches', () => {
    const rules = raisePasses.flatMap(({ pattern }) => pattern ?? []);
    expect(rules.length).toBeGreaterThan(4);
    for (const text of Object.values(SAMPLE_GRAPHS)) {
      for (const node of graphOf(text).nodes()) {
        for (const rule of rules) expect(why(rule, node) === null).toBe(match(rule, node) !== null);
      }
    }
  });

  test('counts what had fitted before', () => {
    expect(why(norm, at('norm'))).toBeNull();
    expect(why(norm, at('m'))?.fitted).toBe(0);
    expect(why(op('add', [scaled, op('relu', [any('y')])]), at('norm'))?.fitted).toBe(4);
  });

  test('stands by a pattern of its own making that tells nothing', () => {
    const mute: Pattern<unknown> = { text: 'a poem', size: 1, *fit() {} };
    expect(reason(mute, 'm')).toBe('is a mul (m), the pattern has a poem');
  });
});

test.each([
  [norm, 'add(mul(x, constant gamma), constant beta)'],
  [op('linear', [any('x'), weight('w')], { activation: 'none' }), 'linear(x, constant w) {activation: none}'],
  [either(op('relu', [any('x')]), scalar(Math.SQRT2)), '(relu(x) | 1.41421)'],
  [where(weight('b'), 'of one axis', () => true), 'constant b of one axis'],
  [op('sqrt', [printedAs('variance', norm)]), 'sqrt(variance)'],
])('a pattern prints as %#: %s', (pattern, text) => {
  expect(pattern.text).toBe(text);
});

test('a condition can send the search to the other order of inputs', () => {
  const first = where(any('first'), 'that is a norm', (node) => node.name === 'm');
  const found = match(op('add', [first, any('second')]), at('both'));
  expect(found?.second.name).toBe('norm');
});
