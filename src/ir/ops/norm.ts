import { invalid, isFloat } from '../op.ts';
import { sameShape, shapeText } from '../shape.ts';
import type { TensorType } from '../tensor.ts';

/** Shape rule of layerNorm and noNorm: x [..., hidden], gamma and beta [hidden]. */
export function inferNorm({ x, gamma, beta }: { x: TensorType; gamma: TensorType; beta: TensorType }): TensorType {
  const hidden = x.shape.at(-1);
  if (!isFloat(x.dtype) || hidden === undefined) invalid(`norm of ${x.dtype}${shapeText(x.shape)}, takes floats`);
  if (!sameShape(gamma.shape, [hidden]) || !sameShape(beta.shape, [hidden])) {
    invalid(`norm of ${shapeText(x.shape)} with gamma ${shapeText(gamma.shape)} and beta ${shapeText(beta.shape)}`);
  }
  return { dtype: 'f32', shape: x.shape };
}
