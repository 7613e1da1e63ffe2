import { agreesWithOnnxRuntime, IDS, ints, scalar } from './operator-rows.ts';

const LAST = { axes: { ints: [-1] } };
const DROPPED = { keepdims: { i: 0 } };

agreesWithOnnxRuntime([
  { name: 'ReduceSum', opset: 13, steps: [['ReduceSum', 'x a', 'y']], constants: { a: ints(2) }, ops: 'sum' },
  {
    name: 'ReduceSum over an axis of unknown size',
    steps: [['ReduceSum', 'x a', 'y', DROPPED]],
    constants: { a: ints(1) },
    ops: 'sum',
  },
  { name: 'ReduceSum of opset 11', opset: 11, steps: [['ReduceSum', 'x', 'y', LAST]], ops: 'sum' },
  { name: 'ReduceSum of all', steps: [['ReduceSum', 'x', 'y', DROPPED]], ops: 'sum sum sum' },
  {
    name: 'ReduceSum of integers',
    inputs: IDS,
    steps: [
      ['ReduceSum', 'x a', 's', DROPPED],
      ['Cast', 's', 'y', { to: { i: 1 } }],
    ],
    constants: { a: ints(1) },
    ops: 'sum cast',
  },
  {
    name: 'ReduceSum of what is repeated along another axis',
    inputs: { x: ['f32', ['batch', 'sequence']] },
    steps: [
      ['Unsqueeze', 'x last', 'u'],
      ['Expand', 'u s', 'e'],
      ['ReduceSum', 'e a', 'r', DROPPED],
      ['Add', 'r one', 'y'],
    ],
    constants: { last: ints(2), s: ints(1, 1, 4), a: ints(1), one: scalar(1) },
    ops: 'reshape sum add expand',
  },
  {
    name: 'ReduceSum of what is repeated along its axis',
    inputs: { x: ['f32', ['batch', 'sequence']] },
    steps: [
      ['Unsqueeze', 'x last', 'u'],
      ['Expand', 'u s', 'e'],
      ['ReduceSum', 'e a', 'y', DROPPED],
    ],
    constants: { last: ints(2), s: ints(1, 1, 4), a: ints(2) },
    ops: 'reshape expand sum',
  },
  { name: 'ReduceMax of opset 13', opset: 13, steps: [['ReduceMax', 'x', 'y', LAST]], ops: 'max' },
  {
    name: 'ReduceMax of opset 18',
    opset: 18,
    steps: [['ReduceMax', 'x a', 'y', DROPPED]],
    constants: { a: ints(1) },
    ops: 'max',
  },
  { name: 'ReduceL2', steps: [['ReduceL2', 'x', 'y', LAST]], ops: 'mul sum sqrt' },
  {
    name: 'ReduceL2 of opset 18',
    opset: 18,
    steps: [['ReduceL2', 'x a', 'y', DROPPED]],
    constants: { a: ints(1) },
    ops: 'mul sum sqrt',
  },
  { name: 'LpNormalization', steps: [['LpNormalization', 'x', 'y']], ops: 'normalize' },
  {
    name: 'LpNormalization of zeros',
    steps: [
      ['Mul', 'x zero', 'z'],
      ['LpNormalization', 'z', 'y', { axis: { i: 2 } }],
    ],
    constants: { zero: scalar(0) },
    ops: 'mul normalize',
  },
  {
    name: 'Log',
    steps: [
      ['Mul', 'x x', 'q'],
      ['Add', 'q one', 'p'],
      ['Log', 'p', 'y'],
    ],
    constants: { one: scalar(1) },
    ops: 'mul add log',
  },
  {
    name: 'the largest of a shape',
    steps: [
      ['Shape', 'x', 's'],
      ['Slice', 's from to', 'w'],
      ['ReduceMax', 'w', 'm', DROPPED],
      ['Cast', 'm', 'f', { to: { i: 1 } }],
      ['Mul', 'x f', 'y'],
    ],
    constants: { from: ints(2), to: ints(3) },
    ops: 'mul',
  },
]);
