import { unaryOp } from './elementwise.ts';

/** max(x, 0). */
export const relu = unaryOp(
  'relu',
  { attrs: {}, stream: 'fixed', int8: 'calibrated', cost: { onnx: 8, tflite: 1 } },
  (x) => (x > 0 ? x : 0),
);
