import { unaryOp } from './elementwise.ts';

/** tanh(x). */
export const tanh = unaryOp(
  'tanh',
  {
    attrs: {},
    stream: 'fixed',
    int8: { i8: { scale: 1 / 128, zeroPoint: 0 }, i16: { scale: 1 / 32768, zeroPoint: 0 } },
    cost: { onnx: 23, tflite: 17 },
  },
  (x) => Math.tanh(x),
);
