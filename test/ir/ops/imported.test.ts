import { describe, expect, test } from 'vitest';
import { evaluate } from '../../../src/ir/evaluate.ts';
import { Graph, type Node } from '../../../src/ir/graph.ts';
import type { Attrs } from '../../../src/ir/op.ts';
import type { OpName } from '../../../src/ir/ops/index.ts';
import { convertTensor, type DType, readF32, shortestDecimal, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';

/** [dtype, shape, numbers] */
type Operand = readonly [DType, readonly number[], readonly number[]];

function apply(op: OpName, operands: readonly Operand[], attrs: Attrs = {}): Tensor {
  const graph = new Graph();
  const feeds = new Map<string, Tensor>();
  const inputs = operands.map(([dtype, shape, numbers], i): Node => {
    feeds.set(`x${i}`, convertTensor(tensorOf('f64', shape, Float64Array.from(numbers)), dtype));
    return graph.input(`x${i}`, { dtype, shape });
  });
  graph.output('y', graph.add(op, inputs, attrs as never) as Node);
  return evaluate(graph, feeds).get('y') as Tensor;
}

const NaN_ = Number.NaN;

const ROWS: readonly (readonly [OpName, readonly Operand[], Attrs, Operand])[] = [
  [
    'and',
    [
      ['bool', [2, 1], [1, 0]],
      ['bool', [2], [1, 0]],
    ],
    {},
    ['bool', [2, 2], [1, 0, 0, 0]],
  ],
  [
    'or',
    [
      ['bool', [2, 1], [1, 0]],
      ['bool', [2], [1, 0]],
    ],
    {},
    ['bool', [2, 2], [1, 1, 1, 0]],
  ],
  ['not', [['bool', [2], [1, 0]]], {}, ['bool', [2], [0, 1]]],
  ['isNan', [['f32', [3], [1, NaN_, Number.POSITIVE_INFINITY]]], {}, ['bool', [3], [0, 1, 0]]],
  [
    'compare',
    [
      ['i64', [3], [1, 2, 3]],
      ['i64', [], [2]],
    ],
    { test: 'less' },
    ['bool', [3], [1, 0, 0]],
  ],
  [
    'compare',
    [
      ['f32', [3], [1, 2, 3]],
      ['f32', [], [2]],
    ],
    { test: 'greaterOrEqual' },
    ['bool', [3], [0, 1, 1]],
  ],
  [
    'minimum',
    [
      ['f32', [2], [-1, 4]],
      ['f32', [], [2]],
    ],
    {},
    ['f32', [2], [-1, 2]],
  ],
  [
    'maximum',
    [
      ['i64', [2], [-1, 4]],
      ['i64', [], [2]],
    ],
    {},
    ['i64', [2], [2, 4]],
  ],
  [
    'where',
    [
      ['bool', [2, 1], [1, 0]],
      ['f32', [2], [1, 2]],
      ['f32', [], [9]],
    ],
    {},
    ['f32', [2, 2], [1, 2, 9, 9]],
  ],
  [
    'where',
    [
      ['bool', [], [0]],
      ['i64', [1], [1]],
      ['i64', [1], [2]],
    ],
    {},
    ['i64', [1], [2]],
  ],
  ['expand', [['i64', [2, 1], [1, 2]]], { shape: [2, 2, 3] }, ['i64', [2, 2, 3], [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2]]],
  ['cast', [['f32', [3], [0, -0.5, 2]]], { to: 'bool' }, ['bool', [3], [0, 1, 1]]],
  ['cast', [['f32', [2], [-3.7, 5.2]]], { to: 'i8' }, ['i8', [2], [-3, 5]]],
  ['cast', [['f32', [2], [NaN_, 5.2]]], { to: 'i64' }, ['i64', [2], [0, 5]]],
  // 0 to 2.55 in 255 steps of 0.01; halves go to the even step.
  ['dynamicRound', [['f32', [3], [0.014, 1.006, 2.55]]], {}, ['f32', [3], [0.01, 1.01, 2.55]]],
  // 0 is always one of the steps, and a range without extent has steps of 1.
  ['dynamicRound', [['f32', [2], [-1, -0.25]]], {}, ['f32', [2], [-1, -0.2509804]]],
  ['dynamicRound', [['f32', [2], [0, 0]]], {}, ['f32', [2], [0, 0]]],
];

test.each(ROWS)('%s of %j with %j', (op, operands, attrs, [dtype, shape, numbers]) => {
  const result = apply(op, operands, attrs);
  expect([result.dtype, result.shape]).toEqual([dtype, shape]);
  const found = readF32(result);
  numbers.forEach((number, i) => {
    expect(found[i]).toBeCloseTo(number, 6);
  });
});

const f32: Operand = ['f32', [2], [1, 2]];
const i64: Operand = ['i64', [2], [1, 2]];

describe('refuses', () => {
  test.each<[OpName, readonly Operand[], Attrs, string]>([
    ['not', [f32], {}, 'not of f32, takes bool'],
    ['isNan', [i64], {}, 'isNan of i64, takes floats'],
    ['compare', [f32, i64], {}, 'compare of f32 and i64'],
    ['where', [f32, f32, f32], {}, 'where of f32, f32 and f32'],
    ['where', [['bool', [3], [1, 1, 1]], f32, f32], {}, 'where cannot broadcast [3], [2], [2]'],
    ['expand', [f32], { shape: [3] }, 'expand of [2] to [3]'],
    ['expand', [f32], { shape: [1] }, 'expand of [2] to [1]'],
    ['dynamicRound', [i64], {}, 'dynamicRound of i64, takes floats'],
    ['foreign', [f32], {}, 'foreign cannot be evaluated'],
    ['pick', [f32], {}, 'pick cannot be evaluated'],
  ])('%s of %j with %j', (op, operands, attrs, message) => {
    expect(() => apply(op, operands, attrs)).toThrow(message);
  });
});

test.each([
  [1e-5, 1e-5],
  [1e-12, 1e-12],
  [0.1, 0.1],
  [1 / 3, 0.33333334],
  [16777217, 16777216],
])('%d as f32 is written %d', (value, short) => {
  expect(shortestDecimal(Math.fround(value))).toBe(short);
});
