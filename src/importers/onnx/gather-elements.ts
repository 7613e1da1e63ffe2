import type { Node } from '../../ir/graph.ts';
import { isFloat } from '../../ir/op.ts';
import { sizeOf } from '../../ir/shape.ts';
import { convertTensor, readIntegers, tensorOf } from '../../ir/tensor.ts';
import { type GraphImport, notExpressible } from './context.ts';
import { inputOf, intOf, knownAxis, knownShape, type OperatorReader } from './operation.ts';
import { reshaped } from './shapes.ts';
import { constantSize, multiplySizes, numberOf, ONE, type Size, sizeOfDim, totalOf, ZERO } from './sizes.ts';
import { dtypeOf, type IndexValue, type NodeValue, nodeValue, type Value } from './values.ts';

/**
 * Reads GatherElements along the last axis, y[n, i, j] = x[n, i, at[n, i, j]]: rows laid end to end are looked up at
 * i · width + at. Axes in front along which the indices repeat themselves stay axes, so that one table of places serves
 * them all: DeBERTa's heads read theirs at the same distances.
 */
export const gatherElements: OperatorReader = (operation) => {
  const { to, name } = operation;
  const [x, indices] = [inputOf(operation, 0), inputOf(operation, 1)];
  const [sizes, shape] = [knownShape(x), knownShape(indices)];
  const last = sizes.length - 1;
  if (knownAxis(intOf(operation, 'axis', 0), sizes.length) !== last)
    notExpressible('GatherElements along another axis');
  if (shape.length !== sizes.length) notExpressible('GatherElements of another rank');
  for (let axis = 0; axis < last; axis++) to.equate(sizes[axis] as Size, shape[axis] as Size);

  const small = onceOnly(to, to.repeated(indices), name);
  const lead = repeatedAxes(small, last);
  const width = sizes[last] as Size;
  const starts = rowStarts(sizes.slice(lead, last), width, dtypeOf(indices));
  const places = fromFront(to, withoutAxes(to, small, lead, name), width, name);
  const at = to.elementwise('add', [places, starts], {}, `${name}/places`);
  const total = totalOf(sizes.slice(lead)) ?? notExpressible('the size of a large shape');
  const flat = reshaped(to, x, [...sizes.slice(0, lead), total], `${name}/flat`);
  return to.emit('gather', [flat, at], { axis: lead }, name);
};

/** Takes constant indices once that are stored for each leading place again, as exporters of fixed shapes do. */
function onceOnly(to: GraphImport, value: NodeValue, name: string): NodeValue {
  const { node, shape } = value;
  if (node.op !== 'constant' || isFloat(node.tensor.dtype) || node.tensor.shape.length < 3) return value;
  const numbers = readIntegers(node.tensor);
  const table = node.tensor.shape.slice(-2);
  const size = sizeOf(table);
  if (!numbers.every((number, i) => number === numbers[i % size])) return value;
  const once = [...node.tensor.shape.slice(0, -2).map(() => 1), ...table];
  const tensor = convertTensor(tensorOf('f64', once, Float64Array.from(numbers.slice(0, size))), node.tensor.dtype);
  return { kind: 'node', node: to.node({ kind: 'tensor', tensor, name: `${name}/once` }), shape };
}

/** Number of leading axes along which a value only repeats itself; the axis of rows is none of them. */
function repeatedAxes({ node, shape }: NodeValue, last: number): number {
  const missing = shape.length - node.type.shape.length;
  let axis = 0;
  while (axis < last - 1 && (axis < missing || node.type.shape[axis - missing] === 1)) axis++;
  return axis;
}

/** Takes leading axes off, along which a value repeats itself. */
function withoutAxes(to: GraphImport, { node, shape }: NodeValue, lead: number, name: string): NodeValue {
  const kept = shape.slice(lead);
  const own = node.type.shape.slice(Math.max(0, node.type.shape.length - kept.length));
  return {
    kind: 'node',
    node: to.node(reshaped(to, nodeValue(node), own.map(sizeOfDim), `${name}/shared`)),
    shape: kept,
  };
}

/** Counts indices from the front: -1 is the last place, which would be of another row. */
function fromFront(to: GraphImport, at: NodeValue, width: Size, name: string): Value {
  if (isNotNegative(at.node)) return at;
  const number = (size: Size): Value => ({ kind: 'list', dtype: dtypeOf(at), shape: [], elements: [size] });
  const isBehind = to.elementwise('compare', [at, number(ZERO)], { test: 'less' }, `${name}/is_behind`);
  const fromBehind = to.elementwise('add', [at, number(width)], {}, `${name}/from_behind`);
  return to.elementwise('where', [isBehind, fromBehind, at], {}, `${name}/from_front`);
}

/** True for whole numbers of which none is below 0, as far as the nodes show that. */
function isNotNegative(node: Node): boolean {
  switch (node.op) {
    case 'constant':
      return !isFloat(node.tensor.dtype) && readIntegers(node.tensor).every((number) => number >= 0);
    case 'maximum':
      return node.inputs.some(isNotNegative);
    case 'minimum':
      return node.inputs.every(isNotNegative);
    case 'reshape':
    case 'transpose':
      return isNotNegative(node.inputs[0] as Node);
    default:
      return false;
  }
}

/** Places at which rows begin that are laid end to end: 0, width, 2 · width, … along the rows' axes. */
function rowStarts(rows: readonly Size[], width: Size, dtype: IndexValue['dtype']): IndexValue {
  const strides = rows.map((_, axis) => {
    const step = totalOf(rows.slice(axis + 1)) ?? ONE;
    const stride = multiplySizes(step, width);
    if (stride === null || numberOf(stride) === null)
      notExpressible('GatherElements by indices that differ along open axes');
    return stride;
  });
  return { kind: 'index', dtype, shape: [...rows, constantSize(1)], offset: ZERO, strides: [...strides, ZERO] };
}
