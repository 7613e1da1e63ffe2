import { computedType, defineOp, invalid } from '../op.ts';
import { broadcast, type Shape, shapeText, sizeOf } from '../shape.ts';
import { broadcastIndices, numbersOf, resultTensor } from './elementwise.ts';

function shapeOf(condition: Shape, a: Shape, b: Shape): Shape | null {
  const values = broadcast(a, b);
  return values && broadcast(condition, values);
}

/** a where the condition holds, b elsewhere; all three broadcast. condition is bool, a and b have one dtype. */
export const where = defineOp({
  inputs: ['condition', 'a', 'b'],
  attrs: {},
  tokens: 'elementwise',
  stream: 'fixed',
  infer({ condition, a, b }) {
    const shape = shapeOf(condition.shape, a.shape, b.shape);
    const dtype = computedType(a.dtype);
    if (condition.dtype !== 'bool' || dtype !== computedType(b.dtype)) {
      invalid(`where of ${condition.dtype}, ${a.dtype} and ${b.dtype}`);
    }
    if (!shape) invalid(`where cannot broadcast ${[condition, a, b].map((type) => shapeText(type.shape)).join(', ')}`);
    return { dtype, shape };
  },
  evaluate({ condition, a, b }) {
    const shape = shapeOf(condition.shape, a.shape, b.shape) as readonly number[];
    const holds = condition.bytes();
    const x = numbersOf(a);
    const y = numbersOf(b);
    const at = [condition, a, b].map((tensor) => broadcastIndices(tensor.shape, shape));
    const [conditionAt, xAt, yAt] = at;
    const values = new Float64Array(sizeOf(shape));
    for (let i = 0; i < values.length; i++) {
      const chosen = holds[conditionAt ? (conditionAt[i] as number) : i] !== 0;
      values[i] = (chosen ? x[xAt ? (xAt[i] as number) : i] : y[yAt ? (yAt[i] as number) : i]) as number;
    }
    return resultTensor(computedType(a.dtype), shape, values);
  },
});
