import { describe, expect, test } from 'vitest';
import type { TfNode } from '../../../src/formats/graphdef.ts';
import { graphText } from '../../../src/ir/text.ts';
import { FLOAT, floats, INT32, importNodes, integers, node, placeholder } from './graphs.ts';

const X = placeholder('x', [2, 3, 4]);

/** The lines of the graph between its head and its return. */
function body(nodes: readonly TfNode[]): string[] {
  return graphText(importNodes(nodes))
    .split('\n')
    .slice(1, -1)
    .map((line) => line.trim());
}

/** Parts of tf.strided_slice by masks, as x[…] writes them. */
const slices: readonly (readonly [what: string, begin: number[], end: number[], masks: object, ...lines: string[]])[] =
  [
    [
      'x[:, 1:]',
      [0, 1],
      [0, 0],
      { begin_mask: 1, end_mask: 3 },
      'y = slice(x) {axis: 1, start: 1, end: 3}  f32[2, 2, 4]',
    ],
    ['x[:, :-1]', [0, 0], [0, -1], { begin_mask: 3, end_mask: 1 }, 'y = slice(x) {axis: 1, end: 2}  f32[2, 2, 4]'],
    [
      'x[1]',
      [1],
      [2],
      { shrink_axis_mask: 1 },
      'y/axis_0 = slice(x) {start: 1, end: 2}  f32[1, 3, 4]',
      'y = reshape(y/axis_0) {shape: [3, 4]}  f32[3, 4]',
    ],
    [
      'x[..., -1]',
      [0, -1],
      [0, 0],
      { ellipsis_mask: 1, shrink_axis_mask: 2 },
      'y/axis_2 = slice(x) {axis: 2, start: 3, end: 4}  f32[2, 3, 1]',
      'y = reshape(y/axis_2) {shape: [2, 3]}  f32[2, 3]',
    ],
    [
      'x[:, newaxis]',
      [0, 0],
      [0, 0],
      { begin_mask: 1, end_mask: 1, new_axis_mask: 2 },
      'y = reshape(x) {shape: [2, 1, 3, 4]}  f32[2, 1, 3, 4]',
    ],
  ];

describe('StridedSlice', () => {
  test.each(slices.map(([what, begin, end, masks, ...lines]) => ({ what, begin, end, masks, lines })))(
    '$what',
    ({ begin, end, masks, lines }) => {
      const ones = begin.map(() => 1);
      const nodes = [
        X,
        integers('b', begin),
        integers('e', end),
        integers('s', ones),
        node('y', 'StridedSlice', ['x', 'b', 'e', 's'], { ...masks }),
      ];
      expect(body(nodes)).toEqual(lines);
    },
  );

  test('with a stride is carried as it is', () => {
    const nodes = [
      X,
      integers('b', [0]),
      integers('e', [3]),
      integers('s', [2]),
      node('y', 'StridedSlice', ['x', 'b', 'e', 's'], { T: FLOAT, begin_mask: 0 }),
    ];
    expect(body(nodes)).toEqual([
      'y = foreign(x, b i32[1] {0}, e i32[1] {3}, s i32[1] {2}) {op: StridedSlice, T: 1, begin_mask: 0}  f32[?]',
    ]);
  });
});

const axis = integers('axis', -1);
const rows: readonly (readonly [what: string, nodes: readonly TfNode[], ...lines: string[]])[] = [
  [
    'AddN',
    [X, node('y', 'AddN', ['x', 'x', 'x'])],
    'y/sum_0 = add(x, x)  f32[2, 3, 4]',
    'y = add(y/sum_0, x)  f32[2, 3, 4]',
  ],
  [
    'SquaredDifference',
    [X, node('y', 'SquaredDifference', ['x', 'x'])],
    'y/difference = sub(x, x)  f32[2, 3, 4]',
    'y = mul(y/difference, y/difference)  f32[2, 3, 4]',
  ],
  [
    'Pow 3',
    [X, floats('three', [], [3]), node('y', 'Pow', ['x', 'three'])],
    'y/square = mul(x, x)  f32[2, 3, 4]',
    'y = mul(y/square, x)  f32[2, 3, 4]',
  ],
  [
    'Mean over two axes',
    [X, integers('axes', [0, 2]), node('y', 'Mean', ['x', 'axes'], { keep_dims: false })],
    'y/axis_2 = mean(x) {axis: 2, keepDims: false}  f32[2, 3]',
    'y = mean(y/axis_2) {axis: 0, keepDims: false}  f32[3]',
  ],
  [
    'ExpandDims',
    [X, axis, node('y', 'ExpandDims', ['x', 'axis'])],
    'y = reshape(x) {shape: [2, 3, 4, 1]}  f32[2, 3, 4, 1]',
  ],
  [
    'Squeeze',
    [placeholder('x', [2, 1, 4]), node('y', 'Squeeze', ['x'], { squeeze_dims: [1] })],
    'y = reshape(x) {shape: [2, 4]}  f32[2, 4]',
  ],
  [
    'Transpose',
    [X, integers('p', [0, 2, 1]), node('y', 'Transpose', ['x', 'p'])],
    'y = transpose(x) {permutation: [0, 2, 1]}  f32[2, 4, 3]',
  ],
  ['ConcatV2', [X, axis, node('y', 'ConcatV2', ['x', 'x', 'axis'])], 'y = concat(x, x)  f32[2, 3, 8]'],
  ['Cast', [X, node('y', 'Cast', ['x'], { DstT: INT32 })], 'y = cast(x) {to: i32}  i32[2, 3, 4]'],
  [
    'Fill',
    [X, integers('d', [2, 2]), floats('one', [], [1]), node('f', 'Fill', ['d', 'one']), node('y', 'Identity', ['f'])],
    'f = expand(one f32[] {1}) {shape: [2, 2]}  f32[2, 2]',
  ],
  [
    'MatMul by a constant',
    [placeholder('x', [3, 2]), floats('w', [2, 2]), node('y', 'MatMul', ['x', 'w'])],
    'y = linear(x, w f32[2, 2] {0, 2, 1, 3})  f32[3, 2]',
  ],
  [
    'MatMul by the rows of a constant',
    [placeholder('x', [3, 2]), floats('w', [2, 2]), node('y', 'MatMul', ['x', 'w'], { transpose_b: true })],
    'y = linear(x, w f32[2, 2] {0, 1, 2, 3})  f32[3, 2]',
  ],
  [
    'MatMul of a one-hot row',
    [
      placeholder('x', [2], INT32),
      integers('d', 2),
      floats('on', [], [1]),
      floats('off', [], [0]),
      node('h', 'OneHot', ['x', 'd', 'on', 'off'], { axis: -1 }),
      floats('w', [2, 2]),
      node('y', 'MatMul', ['h', 'w']),
    ],
    'y = gather(w f32[2, 2] {0, 1, 2, 3}, x)  f32[2, 2]',
  ],
  [
    'BatchMatMulV2 with adj_x',
    [X, node('y', 'BatchMatMulV2', ['x', 'x'], { adj_x: true })],
    'y/turned_0 = transpose(x) {permutation: [0, 2, 1]}  f32[2, 4, 3]',
    'y = matmul(y/turned_0, x)  f32[2, 4, 4]',
  ],
  [
    '_FusedMatMul with relu',
    [
      placeholder('x', [2, 3]),
      floats('w', [3, 1]),
      floats('b', [1]),
      node('y', '_FusedMatMul', ['x', 'w', 'b'], { fused_ops: ['BiasAdd', 'Relu'] }),
    ],
    'y/product = linear(x, w f32[1, 3] {0, 1, 2})  f32[2, 1]',
    'y/sum = add(y/product, b f32[1] {0})  f32[2, 1]',
    'y = relu(y/sum)  f32[2, 1]',
  ],
  [
    'GatherV2',
    [placeholder('x', [2], INT32), floats('t', [2, 2]), integers('zero', 0), node('y', 'GatherV2', ['t', 'x', 'zero'])],
    'y = gather(t f32[2, 2] {0, 1, 2, 3}, x)  f32[2, 2]',
  ],
  [
    'Split and Unpack',
    [
      X,
      axis,
      node('s', 'Split', ['axis', 'x'], { num_split: 2 }),
      node('u', 'Unpack', ['s:1'], { num: 2, axis: 0 }),
      node('y', 'Sub', ['u:1', 'u']),
    ],
    's/1 = slice(x) {axis: 2, start: 2, end: 4}  f32[2, 3, 2]',
    'u/slice_1 = slice(s/1) {start: 1, end: 2}  f32[1, 3, 2]',
    'u/1 = reshape(u/slice_1) {shape: [3, 2]}  f32[3, 2]',
    'u/slice_0 = slice(s/1) {end: 1}  f32[1, 3, 2]',
    'u/0 = reshape(u/slice_0) {shape: [3, 2]}  f32[3, 2]',
    'y = sub(u/1, u/0)  f32[3, 2]',
  ],
  [
    'FakeQuantWithMinMaxVars',
    [
      X,
      floats('a', [], [-1]),
      floats('b', [], [1.55]),
      node('y', 'FakeQuantWithMinMaxVars', ['x', 'a', 'b'], { num_bits: 8 }),
    ],
    'y = quantize(x)  u8[2, 3, 4] q(0.009999999813005036, 100)',
  ],
  [
    'an op with two values that mbert does not know',
    [X, node('t', 'TopKV2', ['x'], { T: FLOAT, sorted: true }), node('y', 'Add', ['t:1', 't'])],
    't = foreign(x) {op: TopKV2, T: 1, sorted: true}  f32[?]',
    't:1 = pick(t) {index: 1}  f32[?]',
    't:0 = pick(t)  f32[?]',
    'y = foreign(t:1, t:0) {op: Add}  f32[?]',
  ],
];

test.each(rows.map(([what, nodes, ...lines]) => ({ what, nodes, lines })))('$what', ({ nodes, lines }) => {
  expect(body(nodes)).toEqual(lines);
});

test.each([
  ['Split', { num_split: -2 }],
  ['Split', { num_split: 2 ** 31 - 1 }],
])('%s into %j parts is carried as it is', (op, values) => {
  expect(body([X, axis, node('y', op, ['axis', 'x'], values)])[0]).toContain(`foreign(axis i32[] {-1}, x) {op: ${op}`);
});

test('Unpack of an open axis into billions of parts is carried as it is', () => {
  const nodes = [placeholder('x', [-1, 4]), node('y', 'Unpack', ['x'], { num: 2 ** 31 - 1, axis: 0 })];
  expect(body(nodes)[0]).toContain('foreign(x) {op: Unpack');
});

test('shapes that are known only at run time are worked out, with symbols', () => {
  const ids = placeholder('ids', [-1, -1], INT32);
  const zero = integers('0', [0]);
  const one = integers('1', [1]);
  const nodes = [
    ids,
    zero,
    one,
    floats('table', [9, 4]),
    integers('axis', 0),
    node('words', 'GatherV2', ['table', 'ids', 'axis']),
    node('shape', 'Shape', ['words']),
    node('free', 'GatherV2', ['shape', 'both', 'axis']),
    integers('both', [0, 1]),
    node('tokens', 'Prod', ['free', '0']),
    integers('width', 4),
    node('flat_shape', 'Pack', ['tokens', 'width']),
    node('flat', 'Reshape', ['words', 'flat_shape']),
    node('length', 'StridedSlice', ['shape', '1', '2', '1'], { shrink_axis_mask: 1 }),
    integers('2', [2]),
    integers('start', 0),
    integers('delta', 1),
    node('positions', 'Range', ['start', 'length', 'delta']),
    node('row', 'ExpandDims', ['positions', 'axis']),
    node('places', 'GatherV2', ['table', 'row', 'axis']),
    node('sum', 'AddV2', ['words', 'places']),
    node('y', 'Reshape', ['sum', 'flat_shape']),
  ];
  const graph = importNodes(nodes, { outputs: ['flat', 'y'].map((name) => ({ name, value: name })) });
  expect(graphText(graph)).toMatchInlineSnapshot(`
    "graph model (ids: i32[batch, sequence])
      words = gather(table f32[9, 4] #b91fb62c, ids)  f32[batch, sequence, 4]
      flat = reshape(words) {shape: [batch*sequence, 4]}  f32[batch*sequence, 4]
      places/rows = slice(table f32[9, 4] #b91fb62c) {end: sequence}  f32[sequence, 4]
      places = reshape(places/rows) {shape: [1, sequence, 4]}  f32[1, sequence, 4]
      sum = add(words, places)  f32[batch, sequence, 4]
      y = reshape(sum) {shape: [batch*sequence, 4]}  f32[batch*sequence, 4]
    return flat: flat, y: y"
  `);
});

test('a part of an open axis that is padded back is a shift', () => {
  const nodes = [
    placeholder('x', [-1, -1, 4]),
    integers('b', [0, 1]),
    integers('e', [0, 0]),
    integers('s', [1, 1]),
    node('next', 'StridedSlice', ['x', 'b', 'e', 's'], { begin_mask: 1, end_mask: 3 }),
    node('p', 'Const', [], {
      value: { dtype: 'i32', shape: [3, 2], bytes: () => new Uint8Array(Int32Array.of(0, 0, 0, 1, 0, 0).buffer) },
    }),
    node('y', 'Pad', ['next', 'p']),
  ];
  expect(body(nodes)).toEqual(['y = shift(x) {offset: 1}  f32[batch, sequence, 4]']);
});
