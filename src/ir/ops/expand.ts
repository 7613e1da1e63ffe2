import { defineOp, invalid } from '../op.ts';
import { bindDim, broadcast, type Shape, sameShape, shapeText, sizeOf } from '../shape.ts';
import { broadcastIndices } from './elementwise.ts';
import { pickElements } from './strides.ts';

/** x repeated along axes of size 1, and along new leading axes, to `shape`. */
export const expand = defineOp({
  inputs: ['x'],
  attrs: { shape: [] as Shape },
  tokens: 'mixed',
  stream: 'fixed',
  moves: { keepsChannels: (x, { shape }) => x.length > 0 && x.at(-1) === shape.at(-1) },
  cost: { onnx: 0, tflite: 0 },
  infer({ x }, { shape }) {
    const joined = broadcast(x.shape, shape);
    if (!joined || !sameShape(joined, shape)) invalid(`expand of ${shapeText(x.shape)} to ${shapeText(shape)}`);
    return { dtype: x.dtype, shape };
  },
  evaluate({ x }, { shape }, bindings) {
    const sizes = shape.map((dim) => bindDim(dim, bindings) ?? invalid(`expand to an unbound ${dim}`));
    const indices = broadcastIndices(x.shape, sizes) ?? Int32Array.from({ length: sizeOf(sizes) }, (_, i) => i);
    return pickElements(x, sizes, indices);
  },
});
