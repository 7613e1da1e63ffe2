import { describe, expect, test } from 'vitest';
import type { Call, Node } from '../../src/ir/graph.ts';
import type { NodeStatistics } from '../../src/ir/statistics.ts';
import type { Plan, ValueClass } from '../../src/quantization/plan.ts';
import { isTangible, outstandingSites, type Site, sitesOf, sitesToKeep } from '../../src/quantization/sensitivity.ts';
import { graphOf } from '../core.ts';

const graph = graphOf(`graph g (x: f32[2, 4])
  a = linear(x, wa f32[8, 4] #1)
  b = linear(a, wb f32[4, 8] #2)
  c = linear(b, wc f32[4, 4] #3)
return c: c`);
const [a, b] = ['a', 'b'].map((name) => graph.nodes().find((node) => node.name === name)) as [Call, Call];

describe('a site', () => {
  const valuesOf = (...members: Node[]): ValueClass => ({ dtype: 'u8', members, symmetric: false, method: 'minmax' });
  const seen = (min: number, max: number, rms: number): NodeStatistics => ({ rows: 1, min, max, mean: 0, rms });
  const plan: Plan = {
    graph,
    settings: new Map(),
    integer: new Set([a, b]),
    stored: new Map([
      [a, valuesOf(a)],
      [b, valuesOf(b)],
    ]),
    copies: new Map([[graph.inputs[0] as Node, valuesOf(graph.inputs[0] as Node)]]),
    storedFor: new Map(),
  };
  const statistics = new Map([
    ['x', seen(-6, 3, 2)],
    ['a', seen(-1, 20, 2)],
    ['b', seen(0, 0, 0)],
  ]);

  test('is a linear on integers; its peak is the largest magnitude over rms of what it reads and writes', () => {
    expect(sitesOf(plan, statistics)).toEqual([
      { node: a, peak: 10, floatBytes: 128 },
      { node: b, peak: 10, floatBytes: 128 },
    ]);
  });

  test('does not answer for what is stored for its reader', () => {
    expect(sitesOf({ ...plan, storedFor: new Map([[a, b]]) }, statistics).map(({ peak }) => peak)).toEqual([3, 10]);
  });

  test('that reads and writes floats stands out by nothing', () => {
    expect(sitesOf({ ...plan, stored: new Map(), copies: new Map() }, statistics).map(({ peak }) => peak)).toEqual([
      1, 1,
    ]);
  });
});

test('sites stand out from 12 times the rms on, sixteen of them at most, the most outstanding first', () => {
  const sites = Array.from({ length: 30 }, (_, i): Site => ({ node: a, peak: i, floatBytes: 0 }));
  expect(outstandingSites(sites.slice(0, 15)).map(({ peak }) => peak)).toEqual([14, 13, 12]);
  expect(outstandingSites(sites).map(({ peak }) => peak)).toEqual([
    29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14,
  ]);
});

describe('sites to keep', () => {
  const kept = (noises: readonly number[], rest: number) =>
    sitesToKeep(
      noises.map((noise) => ({ node: a, peak: 0, floatBytes: 0, noise })),
      rest,
    ).map(({ noise }) => noise);

  test('noise is tangible above a seventh of the rest', () => {
    expect([0.99, 1, 1.01].map((noise) => isTangible(noise, 7))).toEqual([false, false, true]);
  });

  test('are those whose own noise is more than a seventh of what all others make', () => {
    expect(kept([10, 1, 80], 9)).toEqual([80, 10]);
    expect(kept([1, 1, 1], 10)).toEqual([]);
    expect(kept([], 1)).toEqual([]);
  });

  test('are counted one after the other: what is kept is no longer among the rest', () => {
    // Of 100 + 10 + 1 and a rest of 7.5, 10 is tangible only beside 1 + 7.5, and 1 beside 7.5 is not.
    expect(kept([1, 10, 100], 7.5)).toEqual([100, 10]);
  });
});
