import { describe, expect, test } from 'vitest';
import { encodeModel, importBytes, modelProto, type NodeSpec } from './model.ts';
import { agreesWithOnnxRuntime, int, scalar } from './operator-rows.ts';

const branch = (...nodes: NodeSpec[]) => ({ g: { nodes, outputs: ['r'], constants: { two: scalar(2) } } });
const twice: NodeSpec = { op: 'Mul', inputs: ['x', 'two'], outputs: ['r'] };
const less: NodeSpec = { op: 'Sub', inputs: ['x', 'two'], outputs: ['r'] };

/** `x` has four channels: the last axis is compared with `wanted`. */
const byShape = (wanted: number) =>
  ({
    constants: { last: int(2), wanted: int(wanted) },
    steps: [
      ['Shape', 'x', 's'],
      ['Gather', 's last', 'n'],
      ['Equal', 'n wanted', 'c'],
      ['If', 'c', 'y', { then_branch: branch(twice), else_branch: branch(less) }],
    ],
  }) as const;

agreesWithOnnxRuntime([
  { name: 'If, of which the shapes choose the first branch', ...byShape(4), ops: 'mul' },
  { name: 'If, of which the shapes choose the second branch', ...byShape(3), ops: 'sub' },
]);

describe('a choice', () => {
  const importing = (nodes: readonly NodeSpec[]) => {
    const inputs = { x: { dtype: 'f32', shape: [4] }, c: { dtype: 'bool', shape: [] } } as const;
    return importBytes(encodeModel(modelProto({ opset: 17, inputs, nodes, outputs: ['y'] })));
  };
  const attributes = { then_branch: branch(twice), else_branch: branch(less) };

  test('that the run makes stays foreign, and says why', () => {
    const graph = importing([{ op: 'If', inputs: ['c'], outputs: ['y'], attributes }]);
    expect(graph.outputs[0]?.node).toMatchObject({
      op: 'foreign',
      attrs: { op: 'If', problem: 'a choice that the run makes' },
    });
  });

  test('is read behind what only its branches read, wherever that stands', () => {
    const known: NodeSpec = { op: 'Constant', inputs: [], outputs: ['k'], attributes: { value: { t: int(1) } } };
    const yes: NodeSpec = { op: 'Cast', inputs: ['k'], outputs: ['yes'], attributes: { to: { i: 9 } } };
    const late: NodeSpec = { op: 'Relu', inputs: ['x'], outputs: ['late'] };
    const reads: NodeSpec = { op: 'Mul', inputs: ['late', 'two'], outputs: ['r'] };
    const chosen = { then_branch: branch(reads), else_branch: branch(less) };
    const graph = importing([known, yes, { op: 'If', inputs: ['yes'], outputs: ['y'], attributes: chosen }, late]);
    expect(graph.nodes().map(({ op }) => op)).toEqual(['input', 'relu', 'constant', 'mul']);
  });

  test('without the branch that is chosen is refused', () => {
    const known: NodeSpec = { op: 'Constant', inputs: [], outputs: ['k'], attributes: { value: { t: int(1) } } };
    const yes: NodeSpec = { op: 'Cast', inputs: ['k'], outputs: ['yes'], attributes: { to: { i: 9 } } };
    const half = { else_branch: branch(less) };
    expect(() => importing([known, yes, { op: 'If', inputs: ['yes'], outputs: ['y'], attributes: half }])).toThrow(
      'model.onnx: If_y: has no graph as its then_branch',
    );
  });
});
