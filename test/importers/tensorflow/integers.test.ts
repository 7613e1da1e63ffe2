import { describe, expect, test } from 'vitest';
import type { TfNode } from '../../../src/formats/graphdef.ts';
import { graphText } from '../../../src/ir/text.ts';
import { type Attributes, floats, INT32, importNodes, integers, node, placeholder } from './graphs.ts';

/** The lines of the graph between its head and its return. */
function body(nodes: readonly TfNode[]): string[] {
  return graphText(importNodes(nodes))
    .split('\n')
    .slice(1, -1)
    .map((line) => line.trim());
}

/** 24 numbers in the shape that an op makes of known integers; null where it makes none before the run. */
function shapeBy(op: string, inputs: readonly (number | readonly number[])[], values: Attributes = {}): string | null {
  const constants = inputs.map((value, i) => integers(`i${i}`, value as number[]));
  const names = constants.map(({ name }) => name);
  const x = placeholder('x', [2, 3, 4]);
  const lines = body([x, ...constants, node('s', op, names, values), node('y', 'Reshape', ['x', 's'])]);
  return /^y = reshape\(x\) \{shape: (\[.*\])\}/.exec(lines.at(-1) ?? '')?.[1] ?? null;
}

describe('arithmetic on shapes is done before the run', () => {
  test.each([
    ['AddV2', [[3, 5], 1], {}, '[4, 6]'],
    [
      'Sub',
      [
        [7, 9],
        [1, 5],
      ],
      {},
      '[6, 4]',
    ],
    [
      'Mul',
      [
        [2, 3],
        [2, 2],
      ],
      {},
      '[4, 6]',
    ],
    ['FloorDiv', [[12, 8], 2], {}, '[6, 4]'],
    [
      'Maximum',
      [
        [2, 12],
        [2, 1],
      ],
      {},
      '[2, 12]',
    ],
    [
      'Minimum',
      [
        [2, 12],
        [9, 99],
      ],
      {},
      '[2, 12]',
    ],
    ['ConcatV2', [[2], [12], 0], {}, '[2, 12]'],
    ['ConcatV2', [[2], [12], -1], {}, '[2, 12]'],
    ['GatherV2', [[24, 2, 12], [1, -1], 0], {}, '[2, 12]'],
    ['Pack', [2, 12], { axis: 0 }, '[2, 12]'],
    ['ExpandDims', [24, 0], {}, '[24]'],
    ['Prod', [[2, 12], [0]], { keep_dims: true }, '[24]'],
    ['Range', [4, 7, 2], {}, '[4, 6]'],
    ['Range', [6, 3, -2], {}, '[6, 4]'],
    ['Reshape', [[2, 12], [-1]], {}, '[2, 12]'],
    ['StridedSlice', [[9, 2, 12], [1], [3], [1]], {}, '[2, 12]'],
    ['StridedSlice', [[9, 2, 12], [-2], [0], [1]], { end_mask: 1 }, '[2, 12]'],
    ['Cast', [[2, 12]], { DstT: INT32 }, '[2, 12]'],
  ] as const)('%s of %j %j', (op, inputs, values, expected) => {
    expect(shapeBy(op, inputs, values)).toBe(expected);
  });
});

test('a product of all sizes is a list of one where it keeps its axis, else a single number', () => {
  const nodes = (keep_dims: boolean, join: readonly TfNode[]) => [
    placeholder('x', [-1, -1, 4]),
    node('shape', 'Shape', ['x']),
    integers('first', [0, 1]),
    integers('zero', 0),
    integers('axes', [0]),
    integers('width', [4]),
    integers('four', 4),
    node('free', 'GatherV2', ['shape', 'first', 'zero']),
    node('tokens', 'Prod', ['free', 'axes'], { keep_dims }),
    ...join,
    node('y', 'Reshape', ['x', 'target']),
  ];
  const flat = ['y = reshape(x) {shape: [batch*sequence, 4]}  f32[batch*sequence, 4]'];
  expect(body(nodes(true, [node('target', 'ConcatV2', ['tokens', 'width', 'zero'])]))).toEqual(flat);
  expect(body(nodes(false, [node('target', 'Pack', ['tokens', 'four'], { axis: 0 })]))).toEqual(flat);
});

test('a range of up to 65,536 numbers is a constant, a longer one an op of the run', () => {
  const lines = (limit: number) =>
    body([
      integers('from', 0),
      integers('to', limit),
      integers('step', 1),
      node('r', 'Range', ['from', 'to', 'step']),
      floats('t', [2, 2]),
      integers('zero', 0),
      node('y', 'GatherV2', ['t', 'r', 'zero']),
    ]);
  expect(lines(65_536)[0]).toContain('gather(t');
  expect(lines(65_537)[0]).toContain('foreign(from');
});
