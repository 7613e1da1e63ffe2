import { shortestDecimal, tensorOf } from '../../ir/tensor.ts';
import { notExpressible } from './context.ts';
import {
  floatOf,
  inputOf,
  intOf,
  knownAxis,
  knownShape,
  numbersOf,
  type Operation,
  type OperatorReader,
  textOf,
} from './operation.ts';
import { reshaped } from './shapes.ts';
import { numberOf, type Size } from './sizes.ts';
import type { Value } from './values.ts';

/** Default epsilon of LayerNormalization-17. */
const EPSILON = 1e-5;

/** Reads LayerNormalization over the last axis; a bias that is left out is zeros. */
export const layerNormalization: OperatorReader = (operation) => {
  const { to, inputs, name } = operation;
  const x = inputOf(operation, 0);
  const shape = knownShape(x);
  if (knownAxis(intOf(operation, 'axis', -1), shape.length) !== shape.length - 1)
    notExpressible('a norm over several axes');
  const gamma = inputOf(operation, 1);
  const beta = inputs[2] ?? zerosLike(shape.at(-1) as Size, `${name}/beta`);
  return to.emit(
    'layerNorm',
    [x, gamma, beta],
    { epsilon: shortestDecimal(floatOf(operation, 'epsilon', EPSILON)) },
    name,
  );
};

function zerosLike(width: Size, name: string): Value {
  const size = numberOf(width) ?? notExpressible('a norm over an axis of unknown size');
  return { kind: 'tensor', tensor: tensorOf('f32', [size], new Float32Array(size)), name };
}

/** Reads Softmax, which before operator set 13 went over all axes from `axis` on, as if they were one. */
export const softmax: OperatorReader = (operation) => {
  const { to, opset, name } = operation;
  const x = inputOf(operation, 0);
  const rank = knownShape(x).length;
  const axis = knownAxis(intOf(operation, 'axis', opset < 13 ? 1 : -1), rank);
  if (opset < 13 && axis !== rank - 1) notExpressible('a softmax over several axes');
  return to.emit('softmax', [x], { axis: axis === rank - 1 ? -1 : axis }, name);
};

export const gelu: OperatorReader = (operation) => {
  const tanh = textOf(operation, 'approximate', 'none') === 'tanh';
  return operation.to.elementwise('gelu', [inputOf(operation, 0)], { tanh }, operation.name);
};

/** Reads ReduceMean, whose axes are an attribute before operator set 18; without any it is the mean of all. */
export const reduceMean: OperatorReader = (operation) => {
  const { to, name } = operation;
  let x = inputOf(operation, 0);
  const shape = knownShape(x);
  const axes = axesOf(operation, shape.length);
  axes.forEach((axis, i) => {
    const kept = axis === shape.length - 1 ? -1 : axis;
    x = to.emit('mean', [x], { axis: kept, keepDims: true }, i === axes.length - 1 ? name : `${name}/${i}`);
  });
  if (intOf(operation, 'keepdims', 1) !== 0) return x;
  return reshaped(
    to,
    x,
    shape.filter((_, axis) => !axes.includes(axis)),
    name,
  );
};

/** Axes of a reduction counted from the front: an attribute first and an input later; without any it is all of them. */
export function axesOf(operation: Operation, rank: number): number[] {
  const given = numbersOf(operation, 'axes', 1);
  if ((given === undefined || given.length === 0) && intOf(operation, 'noop_with_empty_axes', 0) !== 0) return [];
  const axes = given === undefined || given.length === 0 ? Array.from({ length: rank }, (_, axis) => axis) : given;
  return axes.map((axis) => knownAxis(axis, rank));
}
