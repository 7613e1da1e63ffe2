import { expect, test } from 'vitest';
import { roundingWarnings } from '../../../src/pipelines/verify/roundings.ts';
import type { Side } from '../../../src/pipelines/verify/sides.ts';
import { graphOf } from '../../core.ts';

const side = (path: string, format: string, made: string, integerBytes?: number) =>
  ({
    path,
    model: { format, integerBytes },
    graph: graphOf(`graph g (x: f32[1, 4])
  y = ${made}
return y: y`),
  }) as Side;

const dynamic = side('q.onnx', 'onnx', 'dynamicRound(x)', 9);

test('a dynamic ONNX file beside a TFLite file of integers is warned of, on either side', () => {
  const rows = side('q.tflite', 'tflite', 'relu(x)', 9);
  const warning = expect.stringContaining('q.onnx: rounds all activations of a run to one range, q.tflite each row');
  expect(roundingWarnings([dynamic, rows])).toEqual([warning]);
  expect(roundingWarnings([rows, dynamic])).toEqual([warning]);
});

test.each([
  ['a float TFLite file', side('f.tflite', 'tflite', 'relu(x)')],
  ['another ONNX file of integers', side('other.onnx', 'onnx', 'dynamicRound(x)', 9)],
  ['a TFLite file with activations of fixed ranges', side('i.tflite', 'tflite', 'quantize(x) i8[1, 4] q(0.1, 0)', 9)],
])('%s beside it is not', (_, other) => {
  expect(roundingWarnings([dynamic, other])).toEqual([]);
});
