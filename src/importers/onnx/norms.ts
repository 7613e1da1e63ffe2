import { scalarTensor, shortestDecimal, tensorOf } from '../../ir/tensor.ts';
import { type GraphImport, notExpressible } from './context.ts';
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
  const { to, inputs, name, node } = operation;
  const x = inputOf(operation, 0);
  const shape = knownShape(x);
  if (knownAxis(intOf(operation, 'axis', -1), shape.length) !== shape.length - 1)
    notExpressible('a norm over several axes');
  const gamma = inputOf(operation, 1);
  const beta = inputs[2] ?? zerosLike(shape.at(-1) as Size, `${name}/beta`);
  const epsilon = shortestDecimal(floatOf(operation, 'epsilon', EPSILON));
  const norm = to.emit('layerNorm', [x, gamma, beta], { epsilon }, name);
  const [, mean, deviation] = node.outputs;
  return mean || deviation ? [norm, ...moments(to, x, epsilon, name)] : norm;
};

/** Mean and inverse deviation, the second and third output of a norm. */
function moments(to: GraphImport, x: Value, epsilon: number, name: string): readonly [Value, Value] {
  const mean = to.emit('mean', [x], {}, `${name}/mean`);
  const centred = to.elementwise('sub', [x, mean], {}, `${name}/centred`);
  const squares = to.elementwise('mul', [centred, centred], {}, `${name}/squares`);
  const variance = to.emit('mean', [squares], {}, `${name}/variance`);
  const least: Value = { kind: 'tensor', tensor: scalarTensor(epsilon), name: `${name}/epsilon` };
  const guarded = to.elementwise('add', [variance, least], {}, `${name}/guarded`);
  return [mean, to.elementwise('rsqrt', [guarded], {}, `${name}/inverse`)];
}

function zerosLike(width: Size, name: string): Value {
  const size = numberOf(width) ?? notExpressible('a norm over an axis of unknown size');
  return { kind: 'tensor', tensor: tensorOf('f32', [size], new Float32Array(size)), name };
}

/** Reads Softmax, which before operator set 13 went over all axes from `axis` on, as if they were one. */
export const softmax: OperatorReader = (operation) =>
  operation.to.emit('softmax', [inputOf(operation, 0)], { axis: softmaxAxis(operation) }, operation.name);

/** Axis of a softmax, -1 for the last one. Before operator set 13 all axes from it on were one. */
function softmaxAxis(operation: Operation): number {
  const { opset } = operation;
  const rank = knownShape(inputOf(operation, 0)).length;
  const axis = knownAxis(intOf(operation, 'axis', opset < 13 ? 1 : -1), rank);
  if (opset < 13 && axis !== rank - 1) notExpressible('a softmax over several axes');
  return axis === rank - 1 ? -1 : axis;
}

/**
 * Reads LogSoftmax, x - m - log Σ e^(x - m) with the largest m. That sum is 1 / softmax at the largest, so no share that is
 * 0 in f32 meets the logarithm.
 */
export const logSoftmax: OperatorReader = (operation) => {
  const { to, name } = operation;
  const x = inputOf(operation, 0);
  const axis = softmaxAxis(operation);
  const largest = (of: Value, part: string) => to.emit('max', [of], { axis, keepDims: true }, `${name}/${part}`);
  const shares = to.emit('softmax', [x], { axis }, `${name}/shares`);
  const below = to.elementwise('sub', [x, largest(x, 'largest')], {}, `${name}/below`);
  const log = to.elementwise('log', [largest(shares, 'share')], {}, `${name}/log`);
  return to.elementwise('add', [below, log], {}, name);
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

/** Reads GlobalAveragePool, the mean over all axes behind [batch, channels]; tf2onnx writes norms so. */
export const globalAveragePool: OperatorReader = (operation) => {
  const { to, name } = operation;
  let x = inputOf(operation, 0);
  const rank = knownShape(x).length;
  for (let axis = 2; axis < rank; axis++)
    x = to.emit('mean', [x], { axis: axis === rank - 1 ? -1 : axis, keepDims: true }, name);
  return x;
};

/** Axes of a reduction counted from the front: an attribute first and an input later; without any it is all of them. */
export function axesOf(operation: Operation, rank: number): number[] {
  const given = numbersOf(operation, 'axes', 1);
  if ((given === undefined || given.length === 0) && intOf(operation, 'noop_with_empty_axes', 0) !== 0) return [];
  const axes = given === undefined || given.length === 0 ? Array.from({ length: rank }, (_, axis) => axis) : given;
  return axes.map((axis) => knownAxis(axis, rank));
}
