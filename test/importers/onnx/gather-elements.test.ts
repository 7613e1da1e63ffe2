import { expect, test } from 'vitest';
import { integerTensor } from '../../../src/ir/tensor.ts';
import { encodeModel, importBytes, modelProto } from './model.ts';
import { agreesWithOnnxRuntime, int } from './operator-rows.ts';

const LAST = { axis: { i: -1 } };

agreesWithOnnxRuntime([
  {
    name: 'GatherElements by one table for all rows',
    constants: { at: integerTensor('i64', [3, 0, 1, 1, 2, 3, 0, 0], [1, 2, 4]) },
    inputs: { x: ['f32', ['batch', 2, 4]] },
    steps: [
      ['Shape', 'x', 's'],
      ['Expand', 'at s', 'e'],
      ['GatherElements', 'x e', 'y', LAST],
    ],
    ops: 'reshape gather',
  },
  {
    name: 'GatherElements from the end',
    constants: { at: integerTensor('i64', [-1, 0, -4, 1, 2, -1, 0, -2], [1, 2, 4]) },
    inputs: { x: ['f32', ['batch', 2, 4]] },
    steps: [
      ['Shape', 'x', 's'],
      ['Expand', 'at s', 'e'],
      ['GatherElements', 'x e', 'y', LAST],
    ],
    ops: 'reshape gather',
  },
  {
    name: 'GatherElements of fewer elements, by indices of each row',
    constants: { at: integerTensor('i64', [3, 0, 1, 1, 2, 3], [3, 1, 2]) },
    inputs: { x: ['f32', [3, 1, 4]] },
    steps: [['GatherElements', 'x at', 'y', LAST]],
    ops: 'reshape gather',
  },
  {
    name: 'GatherElements by indices that the run computes',
    constants: { least: int(0), most: int(3), zero: int(0) },
    inputs: { x: ['f32', ['sequence', 4]], at: ['i64', ['sequence', 2]] },
    steps: [
      ['Clip', 'at least most', 'c'],
      ['GatherElements', 'x c', 'y', LAST],
    ],
    ops: 'reshape maximum minimum range reshape mul add gather',
  },
]);

test('GatherElements along an axis in front stays foreign, and says why', () => {
  const nodes = [{ op: 'GatherElements', inputs: ['x', 'at'], outputs: ['y'], attributes: { axis: { i: 0 } } }];
  const inputs = { x: { dtype: 'f32', shape: [3, 4] }, at: { dtype: 'i64', shape: [3, 4] } } as const;
  const graph = importBytes(encodeModel(modelProto({ opset: 17, inputs, nodes, outputs: ['y'] })));
  expect(graph.outputs[0]?.node).toMatchObject({
    op: 'foreign',
    attrs: { problem: 'GatherElements along another axis' },
  });
});
