import { describe, expect, test } from 'vitest';
import { lowerings } from '../../src/exporters/onnx/lowerings.ts';
import { onnxModel } from '../../src/exporters/onnx/model.ts';
import { onnx } from '../../src/exporters/onnx.ts';
import { refused } from '../../src/exporters/refusal.ts';
import { graphOf } from '../core.ts';
import { undecided } from '../undecided.ts';
import { graphs } from './onnx-graphs.ts';
import { expectAgreement } from './onnx-lab.ts';

const OPSETS = [13, 17, 18, 20, 21, 23];

describe.each(OPSETS)('opset %i', (opset) => {
  test.each(graphs)('%s computes what the reference does: %s', async (_, text) => {
    await expectAgreement(graphOf(text), { batch: 3, sequence: 5 }, { opset });
  });
});

test('every op with a lowering has a graph here', () => {
  expect([...new Set(graphs.map(([op]) => op))].sort()).toEqual(Object.keys(lowerings).sort());
});

test('every op has a lowering or is refused', () => {
  expect(undecided('the lowerings to ONNX', lowerings, refused)).toEqual([]);
});

test('what another format has is refused by the name that it has there', () => {
  const graph = graphOf('graph g (a: f32[2]) b = foreign(a) {op: Einsum} y = pick(b) {outputShape: [2]} return out: y');
  expect(() => onnxModel(graph, onnx.defaults)).toThrow(
    expect.objectContaining({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/^b: .*Einsum/),
      hint: 'convert the checkpoint that the model was exported from',
    }),
  );
});

test.each(['shift', 'reshape', 'slice', 'conv1d'])('%s works on a single token', async (name) => {
  for (const [op, text] of graphs) {
    if (op === name && text.includes('sequence')) await expectAgreement(graphOf(text), { batch: 1, sequence: 1 });
  }
});

test.each([
  [12, 'USAGE'],
  [24, 'USAGE'],
  [17.5, 'USAGE'],
])('refuses opset %d', (opset, code) => {
  const graph = graphOf('graph g (a: f32[2]) y = relu(a) return out: y');
  expect(() => onnxModel(graph, { ...onnx.defaults, opset })).toThrow(expect.objectContaining({ code }));
});
