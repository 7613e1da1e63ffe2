import { defineOp, invalid } from '../op.ts';
import { bindDim, product, type Shape, shapeText } from '../shape.ts';

/**
 * Rearrangement of the elements into another shape of numbers and symbols: `[batch, sequence, 4, 32]`,
 * `[batch*sequence, 128]`.
 */
export const reshape = defineOp({
  inputs: ['x'],
  attrs: { shape: [] as Shape },
  tokens: 'mixed',
  stream: 'moved',
  moves: { keepsChannels: (x, { shape }) => x.length > 0 && x.at(-1) === shape.at(-1) },
  cost: { onnx: 0, tflite: 0 },
  infer({ x }, { shape }) {
    if (product(x.shape) !== product(shape)) invalid(`reshape of ${shapeText(x.shape)} to ${shapeText(shape)}`);
    return { ...x, shape };
  },
  evaluate({ x }, { shape }, bindings) {
    return { ...x, shape: shape.map((dim) => bindDim(dim, bindings) ?? invalid(`reshape to an unbound ${dim}`)) };
  },
});
