import { expect, test } from 'vitest';
import { refused } from '../../src/exporters/refusal.ts';
import { lowerings } from '../../src/exporters/tflite/lowerings.ts';
import { graphOf } from '../core.ts';
import { undecided } from '../undecided.ts';
import { bytesOf } from './tflite-lab.ts';

test('every op has a lowering or is refused', () => {
  expect(undecided('the lowerings to TFLite', lowerings, refused)).toEqual([]);
});

test.each([
  ['Einsum', 'convert the checkpoint that the model was exported from'],
  [
    'com.microsoft::MatMulBnb4',
    'write 4-bit weights as MatMulNBits (int4), or convert the float model and quantize with mbert',
  ],
  ['com.microsoft::Rope', "convert the model as it was before ONNX Runtime's optimizer or quantizer"],
  ['Loop', 'export without control flow'],
])('refuses %s by name, with the way out', async (op, hint) => {
  const graph = graphOf(
    `graph g (x: f32[2]) z = foreign(x) {op: "${op}"} y = pick(z) {outputShape: [2]} return out: y`,
  );
  await expect(bytesOf(graph)).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: `z: tflite has no lowering for ${op}`,
    hint,
  });
});
