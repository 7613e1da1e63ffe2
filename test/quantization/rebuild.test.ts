import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Call, Constant, Graph, Node } from '../../src/ir/graph.ts';
import { type Quant, readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import type { Plan, ValueClass } from '../../src/quantization/plan.ts';
import { weightOptionsOf } from '../../src/quantization/plan-numbers.ts';
import { quantOf } from '../../src/quantization/qparams.ts';
import { rebuild } from '../../src/quantization/rebuild.ts';
import { isFront, isNarrow, type Settings } from '../../src/quantization/settings.ts';
import { SWITCHES, switchedGraph } from '../../src/quantization/switched-graph.ts';
import { graphOf, randomTensor } from '../core.ts';

const int8: Settings = { scheme: 'int8', granularity: 'channel', rounding: 'nearest', range: 'minmax' };
const valuesOf = (...members: Node[]): ValueClass => ({ dtype: 'u8', members, symmetric: false, method: 'minmax' });

function nodeOf(graph: Graph, name: string): Call {
  return graph.nodes().find((node) => node.name === name) as Call;
}

/** Linears that read copies of what they read, each in u8 within ±1. */
function planOf(graph: Graph): { readonly plan: Plan; readonly quants: Map<ValueClass, Quant & { per: 'tensor' }> } {
  const linears = graph.nodes().filter((node) => node.op === 'linear');
  const copies = new Map(linears.map((node) => [node.inputs[0] as Node, valuesOf(node.inputs[0] as Node)]));
  return {
    plan: {
      graph,
      settings: new Map(linears.map((node) => [node, int8])),
      integer: new Set(linears),
      stored: new Map(),
      copies,
      storedFor: new Map(),
    },
    quants: new Map([...copies.values()].map((values) => [values, quantOf({ least: -1, most: 1 }, 'u8')])),
  };
}

describe('the scales of a weight', () => {
  const graph = graphOf(`graph g (x: f32[2, 2])
  y = linear(x, w f32[2, 2] {1, 0.5, 0.25, 1}, b f32[2] {-1e8, 1})
return y: y`);
  const { plan, quants } = planOf(graph);

  test('grow until an int32 bias uses half of its range at most', () => {
    const made = rebuild(plan, { quants });
    const { quant } = (nodeOf(made, 'y').inputs[1] as Constant).type;
    const [first, second] = quant?.per === 'channel' ? quant.scales : [];
    const scale = quants.values().next().value?.scale as number;
    expect(1e8 / (scale * (first as number))).toBeCloseTo(2 ** 30, -2);
    expect(second).toBe(Math.fround(1 / 127));
  });

  test('do not where the bias is added in float', () => {
    const options = weightOptionsOf(
      { ...plan, integer: new Set() },
      quants,
      nodeOf(graph, 'y'),
      nodeOf(graph, 'y').inputs[1] as Constant,
    );
    expect(options).toEqual({ dtype: 'i8', granularity: 'channel' });
  });
});

describe('blocks of 32', () => {
  const graph = graphOf(`graph g (x: f32[2, 48])
  y = linear(x, w f32[32, 48] #1)
  z = linear(y, v f32[16, 32] #2)
return z: z`);
  const settings: Settings = { ...int8, scheme: 'w4', granularity: 'block' };
  const plan = (scheme: Settings['scheme']): Plan => ({
    ...planOf(graph).plan,
    integer: new Set(),
    settings: new Map(graph.nodes().flatMap((node) => (node.op === 'linear' ? [[node, { ...settings, scheme }]] : []))),
  });
  const optionsOf = (name: string, scheme: Settings['scheme'] = 'w4') =>
    weightOptionsOf(plan(scheme), new Map(), nodeOf(graph, name), nodeOf(graph, name).inputs[1] as Constant);

  test('are for rows of whole blocks; other weights have a scale per channel', () => {
    expect(optionsOf('z')).toEqual({ dtype: 'i4', granularity: 'block', blockSize: 32 });
    expect(optionsOf('y')).toEqual({ dtype: 'i4', granularity: 'channel' });
  });

  test('a linear that stays float has no options at all', () => {
    expect(optionsOf('z', 'float')).toBeUndefined();
  });
});

test('a weight that several nodes share is stored once', () => {
  const graph = graphOf(`graph g (x: f32[2, 4])
  y = linear(x, w f32[4, 4] #1)
  z = linear(y, w f32[4, 4] #1)
return z: z`);
  const { plan, quants } = planOf(graph);
  const made = rebuild(plan, { quants });
  verifyGraph(made, 'rebuild');
  expect(nodeOf(made, 'z').inputs[1]).toBe(nodeOf(made, 'y').inputs[1]);
});

describe('a switched graph', () => {
  const graph = graphOf(`graph g (x: f32[5, 16])
  a = linear(x, wa f32[16, 16] #1, ba f32[16] #2)
  t = tanh(a)
  b = linear(t, wb f32[16, 16] #3)
  u = tanh(b)
return u: u, a: a`);
  const { plan, quants } = planOf(graph);
  const x = randomTensor({ dtype: 'f32', shape: [5, 16] }, 4);
  const groupOf = (node: Node) => (node.name === 'a' ? 0 : 1);
  const valuesOf = (made: Graph, name: string, switches?: readonly number[]): readonly number[] => {
    const feeds = new Map<string, Tensor>([['x', x]]);
    if (switches) feeds.set(SWITCHES, tensorOf('f32', [switches.length], Float32Array.from(switches)));
    return [...readF32(evaluate(made, feeds).get(name) as Tensor)];
  };
  const switched = switchedGraph(plan, { quants, groups: 2, groupOf });
  const worst = (found: readonly number[], expected: readonly number[]) =>
    found.reduce((most, value, i) => Math.max(most, Math.abs(value - (expected[i] as number))), 0);

  test('computes what the integers would with all switches on', () => {
    const written = rebuild(plan, { quants });
    for (const name of ['a', 'u'])
      expect(worst(valuesOf(switched, name, [1, 1]), valuesOf(written, name))).toBeLessThan(1e-5);
  });

  test('computes with rounded weights and values as they are with all of them off', () => {
    const weightsOnly = rebuild({ ...plan, integer: new Set(), copies: new Map() }, { quants: new Map() });
    for (const name of ['a', 'u'])
      expect(worst(valuesOf(switched, name, [0, 0]), valuesOf(weightsOnly, name))).toBeLessThan(1e-6);
  });

  test('rules weights as well where that is asked for, but those of switch 0', () => {
    const packed: Settings = { ...int8, scheme: 'w4' };
    const ofWeights: Plan = {
      ...plan,
      settings: new Map([...plan.settings.keys()].map((node) => [node, packed])),
      integer: new Set(),
      copies: new Map(),
    };
    const place = (node: Node) => (node.name === 'a' ? 1 : node.name === 'b' ? 2 : 0);
    const options = { quants: new Map(), groups: 3, switchesWeights: true };
    const blended = switchedGraph(ofWeights, { ...options, groupOf: place });
    const rounded = rebuild(ofWeights, { quants: new Map() });
    const differ = (name: string, on: readonly number[], from: Graph) =>
      worst(valuesOf(blended, name, on), valuesOf(from, name));
    expect(differ('u', [0, 0, 0], graph)).toBeLessThan(1e-5);
    expect(differ('u', [0, 1, 1], rounded)).toBeLessThan(1e-5);
    expect(differ('a', [0, 1, 0], rounded)).toBeLessThan(1e-5);
    expect(differ('a', [0, 0, 1], graph)).toBeLessThan(1e-5);
    expect(differ('u', [0, 0, 1], graph)).toBeGreaterThan(1e-3);
    const fixed = switchedGraph(ofWeights, { ...options, groupOf: () => 0 });
    expect(worst(valuesOf(fixed, 'u', [0, 0, 0]), valuesOf(rounded, 'u'))).toBeLessThan(1e-5);
  });

  test('rounds what one switch rules and nothing else', () => {
    expect(valuesOf(switched, 'a', [0, 1])).toEqual(valuesOf(switched, 'a', [0, 0]));
    expect(valuesOf(switched, 'a', [1, 0])).toEqual(valuesOf(switched, 'a', [1, 1]));
    expect(worst(valuesOf(switched, 'a', [1, 0]), valuesOf(switched, 'a', [0, 0]))).toBeGreaterThan(1e-4);
    expect(worst(valuesOf(switched, 'u', [0, 1]), valuesOf(switched, 'u', [0, 0]))).toBeGreaterThan(1e-4);
  });
});

describe('what is too small or too early for integers', () => {
  const graph = graphOf(`graph g (ids: i32[1, 8], x: f32[1, 8, 16])
  small = gather(types f32[15, 16] #1, ids)
  large = gather(words f32[16, 16] #2, ids)
  moved = shift(large) {axis: 1, offset: 1}
  front = linear(moved, wf f32[16, 16] #3)
  sum = add(small, large)
  later = linear(sum, wl f32[15, 16] #4)
  own = linear(x, wo f32[16, 16] #5)
  few = linear(later, wx f32[16, 15] #6)
return a: front, b: few, c: own`);
  const that = (fact: (node: Call) => boolean) =>
    graph
      .nodes()
      .filter((node): node is Call => node.op !== 'input' && node.op !== 'constant' && fact(node))
      .map(({ name }) => name);

  test('narrow are tables and heads of less than 16 rows, and what reads less than 16 channels', () => {
    expect(that(isNarrow)).toEqual(['small', 'later', 'few']);
  });

  test('the front reads embeddings with nothing but moves between', () => {
    expect(that(isFront)).toEqual(['front']);
  });
});
