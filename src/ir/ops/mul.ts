import { binaryOp } from './elementwise.ts';

/** a * b, broadcasting. */
export const mul = binaryOp(
  'mul',
  { commutative: true, stream: 'affine', int8: 'calibrated', cost: { onnx: 15, tflite: 4 } },
  (a, b) => a * b,
);
