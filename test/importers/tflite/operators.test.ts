import { expect, test } from 'vitest';
import { graphText } from '../../../src/ir/text.ts';
import { importBytes, modelOf, type OperatorRow, type TensorRow } from './models.ts';

type Tensors = { readonly [name: string]: TensorRow };

const f = (shape: readonly number[], values?: readonly number[]): TensorRow => ({
  shape,
  ...(values && { data: Float32Array.from(values) }),
});
const i = (values: readonly number[], shape = [values.length]): TensorRow => ({ shape, data: Int32Array.from(values) });

/** The lines of the graph of one operator y = op(inputs) between its head and its return. */
async function body(
  tensors: Tensors,
  operator: Omit<OperatorRow, 'outputs'> & { readonly outputs?: readonly string[] },
): Promise<string[]> {
  const { graph } = await importBytes(modelOf(tensors, [{ outputs: ['y'], ...operator }]));
  return graphText(graph)
    .split('\n')
    .slice(1, -1)
    .map((line) => line.trim());
}

const X = { x: f([1, 2, 2]), y: f([1, 2, 2]) };
const W = { w: f([2, 2], [1, 2, 3, 4]), b: f([2], [5, 6]) };
const linear = (value: object) => ({ kind: 'FullyConnectedOptions', value }) as const;

type Row = readonly [what: string, tensors: Tensors, operator: Omit<OperatorRow, 'outputs'>, ...lines: string[]];

const rows: readonly Row[] = [
  [
    'FULLY_CONNECTED that keeps its axes',
    { ...X, ...W },
    { op: 'FULLY_CONNECTED', inputs: ['x', 'w', 'b'], options: linear({ keepNumDims: true }) },
    'y = linear(x, w f32[2, 2] {1, 2, 3, 4}, b f32[2] {5, 6})  f32[1, 2, 2]',
  ],
  [
    'FULLY_CONNECTED that does not, without a bias',
    { ...X, ...W, y: f([2, 2]) },
    { op: 'FULLY_CONNECTED', inputs: ['x', 'w', ''], options: linear({}) },
    'y/rows = reshape(x) {shape: [2, 2]}  f32[2, 2]',
    'y = linear(y/rows, w f32[2, 2] {1, 2, 3, 4})  f32[2, 2]',
  ],
  [
    'FULLY_CONNECTED with a fused relu',
    { ...X, ...W },
    {
      op: 'FULLY_CONNECTED',
      inputs: ['x', 'w', 'b'],
      options: linear({ keepNumDims: true, fusedActivationFunction: 'RELU' }),
    },
    'y/before = linear(x, w f32[2, 2] {1, 2, 3, 4}, b f32[2] {5, 6})  f32[1, 2, 2]',
    'y = relu(y/before)  f32[1, 2, 2]',
  ],
  [
    'CUMSUM',
    { x: f([2, 2]), y: f([2, 2]), axis: i([1], []) },
    { op: 'CUMSUM', inputs: ['x', 'axis'], options: { kind: 'CumsumOptions', value: {} } },
    'y = cumulativeSum(x) {axis: 1}  f32[2, 2]',
  ],
  [
    'CUMSUM of what comes before',
    { x: f([2, 2]), y: f([2, 2]), axis: i([0], []) },
    { op: 'CUMSUM', inputs: ['x', 'axis'], options: { kind: 'CumsumOptions', value: { exclusive: true } } },
    'y/inclusive = cumulativeSum(x) {axis: 0}  f32[2, 2]',
    'y = sub(y/inclusive, x)  f32[2, 2]',
  ],
  [
    'ADD with a fused relu6',
    X,
    { op: 'ADD', inputs: ['x', 'x'], options: { kind: 'AddOptions', value: { fusedActivationFunction: 'RELU6' } } },
    'y/before = add(x, x)  f32[1, 2, 2]',
    'y/at_least = maximum(y/before, y/least f32[] {0})  f32[1, 2, 2]',
    'y = minimum(y/at_least, y/most f32[] {6})  f32[1, 2, 2]',
  ],
  [
    'BATCH_MATMUL with adjY',
    X,
    { op: 'BATCH_MATMUL', inputs: ['x', 'x'], options: { kind: 'BatchMatMulOptions', value: { adjY: true } } },
    'y = matmul(x, x) {transposeB: true}  f32[1, 2, 2]',
  ],
  [
    'SOFTMAX with beta',
    X,
    { op: 'SOFTMAX', inputs: ['x'], options: { kind: 'SoftmaxOptions', value: { beta: 0.5 } } },
    'y/scaled = mul(x, y/beta f32[] {0.5})  f32[1, 2, 2]',
    'y = softmax(y/scaled)  f32[1, 2, 2]',
  ],
  [
    'CONV_2D of one row',
    { x: f([1, 1, 4, 2]), w: f([1, 1, 3, 2], [1, 2, 3, 4, 5, 6]), b: f([1], [7]), y: f([1, 1, 4, 1]) },
    {
      op: 'CONV_2D',
      inputs: ['x', 'w', 'b'],
      options: { kind: 'Conv2DOptions', value: { strideW: 1, strideH: 1, padding: 'SAME' } },
    },
    'y/tokens = reshape(x) {shape: [1, 4, 2]}  f32[1, 4, 2]',
    'y/convolved = conv1d(y/tokens, w f32[1, 3, 2] #24ae2dfe, b f32[1] {7})  f32[1, 4, 1]',
    'y = reshape(y/convolved) {shape: [1, 1, 4, 1]}  f32[1, 1, 4, 1]',
  ],
  [
    'CONV_2D of one pixel',
    { x: f([1, 3, 4, 2]), w: f([1, 1, 1, 2], [1, 2]), b: f([1], [7]), y: f([1, 3, 4, 1]) },
    {
      op: 'CONV_2D',
      inputs: ['x', 'w', 'b'],
      options: { kind: 'Conv2DOptions', value: { strideW: 1, strideH: 1, padding: 'VALID' } },
    },
    'y = linear(x, w f32[1, 2] {1, 2}, b f32[1] {7})  f32[1, 3, 4, 1]',
  ],
  [
    'CONV_2D that strides',
    { x: f([1, 1, 4, 2]), w: f([1, 1, 3, 2], [1, 2, 3, 4, 5, 6]), b: f([1], [7]), y: f([1, 1, 2, 1]) },
    {
      op: 'CONV_2D',
      inputs: ['x', 'w', 'b'],
      options: { kind: 'Conv2DOptions', value: { strideW: 2, strideH: 1, padding: 'SAME' } },
    },
    'y = foreign(x, w f32[1, 1, 3, 2] #24ae2dfe, b f32[1] {7}) {op: CONV_2D, outputShape: [1, 1, 2, 1], padding: SAME, strideW: 2, strideH: 1, fusedActivationFunction: NONE, dilationWFactor: 1, dilationHFactor: 1, quantizedBiasType: FLOAT32}  f32[1, 1, 2, 1]',
  ],
  [
    'EMBEDDING_LOOKUP',
    { x: { type: 'INT32', shape: [3] }, w: f([2, 2], [1, 2, 3, 4]), y: f([3, 2]) },
    { op: 'EMBEDDING_LOOKUP', inputs: ['x', 'w'] },
    'y = gather(w f32[2, 2] {1, 2, 3, 4}, x)  f32[3, 2]',
  ],
  [
    'RESHAPE by its options',
    { ...X, y: f([4]) },
    { op: 'RESHAPE', inputs: ['x'], options: { kind: 'ReshapeOptions', value: { newShape: [-1] } } },
    'y = reshape(x) {shape: [4]}  f32[4]',
  ],
  [
    'STRIDED_SLICE',
    { ...X, b: i([0, 1, 0]), e: i([0, 0, 0]), s: i([1, 1, 1]), y: f([1, 1, 2]) },
    {
      op: 'STRIDED_SLICE',
      inputs: ['x', 'b', 'e', 's'],
      options: { kind: 'StridedSliceOptions', value: { beginMask: 5, endMask: 7 } },
    },
    'y = slice(x) {axis: 1, start: 1, end: 2}  f32[1, 1, 2]',
  ],
  [
    'MEAN',
    { ...X, a: i([2]), y: f([1, 2, 1]) },
    { op: 'MEAN', inputs: ['x', 'a'], options: { kind: 'ReducerOptions', value: { keepDims: true } } },
    'y = mean(x) {axis: 2}  f32[1, 2, 1]',
  ],
  [
    'GELU',
    X,
    { op: 'GELU', inputs: ['x'], options: { kind: 'GeluOptions', value: { approximate: true } } },
    'y = gelu(x) {tanh: true}  f32[1, 2, 2]',
  ],
  ['an erf of TensorFlow', X, { op: 'CUSTOM FlexErf', inputs: ['x'] }, 'y = erf(x)  f32[1, 2, 2]'],
  [
    'an operator of somebody else',
    X,
    { op: 'CUSTOM Mine', inputs: ['x'] },
    'y = foreign(x) {op: CUSTOM:Mine, outputShape: [1, 2, 2]}  f32[1, 2, 2]',
  ],
  [
    'an operator that mbert has no word for',
    X,
    { op: 'ROUND', inputs: ['x'] },
    'y = foreign(x) {op: ROUND, outputShape: [1, 2, 2]}  f32[1, 2, 2]',
  ],
];

test.each(rows.map((row) => ({ what: row[0], row })))('$what', async ({ row }) => {
  const [, tensors, operator, ...lines] = row;
  expect(await body(tensors, operator)).toEqual(lines);
});

test('shapes of the run become symbols by their axis', async () => {
  const tensors = {
    x: { ...f([1, 1, 2]), signature: [-1, -1, 2] },
    shape: i([0, 0, 0]),
    n: { type: 'INT32', shape: [3] },
    y: { ...f([1, 2]), signature: [-1, 2] },
    two: i([2], []),
    flat: { type: 'INT32', shape: [2] },
    minus: i([-1], []),
  } as const;
  const { graph } = await importBytes(
    modelOf(tensors, [
      { op: 'SHAPE', inputs: ['x'], outputs: ['n'] },
      {
        op: 'PACK',
        inputs: ['minus', 'two'],
        outputs: ['flat'],
        options: { kind: 'PackOptions', value: { valuesCount: 2 } },
      },
      { op: 'RESHAPE', inputs: ['x', 'flat'], outputs: ['y'] },
    ]),
  );
  expect(graphText(graph)).toMatchInlineSnapshot(`
    "graph model (x: f32[batch, sequence, 2])
      y = reshape(x) {shape: [batch*sequence, 2]}  f32[batch*sequence, 2]
    return y: y"
  `);
});
