import { unaryOp } from './elementwise.ts';
import { erfOf } from './erf.ts';

const TANH_SCALE = Math.sqrt(2 / Math.PI);

/** x Φ(x); `tanh` is the approximation 0.5 x (1 + tanh(sqrt(2/π) (x + 0.044715 x³))) of google BERT and "gelu_new". */
export const gelu = unaryOp(
  'gelu',
  { attrs: { tanh: false as boolean }, stream: 'fixed', int8: 'calibrated', cost: { onnx: 38, tflite: 20 } },
  (x, { tanh }) =>
    tanh ? 0.5 * x * (1 + Math.tanh(TANH_SCALE * (x + 0.044715 * x ** 3))) : 0.5 * x * (1 + erfOf(x * Math.SQRT1_2)),
);
