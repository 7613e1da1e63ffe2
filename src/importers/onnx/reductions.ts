import { type GraphImport, notExpressible, sameSizes } from './context.ts';
import { axesOf } from './norms.ts';
import { inputOf, intOf, knownAxis, knownShape, type Operation, type OperatorReader } from './operation.ts';
import { ONE, sameSize, sizeOfDim } from './sizes.ts';
import { nodeValue, type Value } from './values.ts';

/** Reads ReduceSum or ReduceMax over any axes. */
export function reduction(op: 'max' | 'sum'): OperatorReader {
  return (operation) => reduced(operation, op, inputOf(operation, 0), operation.name);
}

/** Reads ReduceSumSquare, Σ x², over any axes. */
export const reduceSumSquare: OperatorReader = (operation) => squaresOf(operation, operation.name);

/** Reads ReduceL2, √Σ x², over any axes. */
export const reduceL2: OperatorReader = (operation) =>
  operation.to.elementwise('sqrt', [squaresOf(operation, `${operation.name}/sum`)], {}, operation.name);

function squaresOf(operation: Operation, name: string): Value {
  const x = inputOf(operation, 0);
  const squares = operation.to.elementwise('mul', [x, x], {}, `${operation.name}/squares`);
  return reduced(operation, 'sum', squares, name);
}

/** Reads LpNormalization by the Euclidean norm; of zeros ONNX Runtime makes zeros, and so does the epsilon. */
export const lpNormalization: OperatorReader = (operation) => {
  const x = inputOf(operation, 0);
  const rank = knownShape(x).length;
  if (intOf(operation, 'p', 2) !== 2) notExpressible('a norm other than the Euclidean one');
  if (knownAxis(intOf(operation, 'axis', -1), rank) !== rank - 1)
    notExpressible('a norm along another axis than the last');
  return operation.to.emit('normalize', [x], {}, operation.name);
};

/** Reduces one axis after the other, from the last: the earlier ones keep their places. */
function reduced(operation: Operation, op: 'max' | 'sum', x: Value, name: string): Value {
  const axes = axesOf(operation, knownShape(x).length).sort((a, b) => b - a);
  const keepDims = intOf(operation, 'keepdims', 1) !== 0;
  return axes.reduce((value, axis, i) => {
    const part = i === axes.length - 1 ? name : `${name}/${i}`;
    return alongAxis(operation.to, op, value, { axis, keepDims, name: part });
  }, x);
}

interface Reduction {
  readonly axis: number;
  readonly keepDims: boolean;
  readonly name: string;
}

/** Reduces one axis; where a value is repeated along others, as a mask is for every channel, it stays so. */
function alongAxis(to: GraphImport, op: 'max' | 'sum', x: Value, { axis, keepDims, name }: Reduction): Value {
  const sizes = knownShape(x);
  const attrs = { axis: axis === sizes.length - 1 ? -1 : axis, keepDims };
  const { node } = to.repeated(x);
  const own = node.type.shape.map(sizeOfDim);
  const isWhole = own.length === sizes.length && sameSize(own[axis] ?? ONE, sizes[axis] ?? ONE);
  if (!isWhole) return to.emit(op, [x], attrs, name);
  const result = to.emit(op, [nodeValue(node)], attrs, name);
  const shape = keepDims ? sizes.with(axis, ONE) : sizes.toSpliced(axis, 1);
  return sameSizes(knownShape(result), shape) ? result : nodeValue(to.node(result), shape);
}
