import { ONNX_DTYPE_OF } from '../../formats/onnx-tensor.ts';
import { scalarOf } from '../../ir/match.ts';
import { isFloat } from '../../ir/op.ts';
import type { OpName } from '../../ir/ops/index.ts';
import { sizeOf } from '../../ir/shape.ts';
import { convertTensor, type DType, readF32, tensorOf } from '../../ir/tensor.ts';
import { type GraphImport, notExpressible, sameSizes } from './context.ts';
import { integerResult } from './integers.ts';
import { floatOf, inputOf, intOf, knownNumbers, knownShape, type Operation, type OperatorReader } from './operation.ts';
import { constantSize, numberOf, type Size } from './sizes.ts';
import { asIndex, asList, dtypeOf, isInteger, type NodeValue, uniformOf, type Value } from './values.ts';

type BinaryOp = 'add' | 'sub' | 'mul' | 'div' | 'minimum' | 'maximum' | 'and' | 'or';

/** Reads a binary operator: on values that are known before the run it is computed, others become a node. */
export function binary(op: BinaryOp): OperatorReader {
  return (operation) => combine(operation, op, inputOf(operation, 0), inputOf(operation, 1), operation.name);
}

/** Reads a binary operator over any number of inputs, from left to right. */
export function variadic(op: BinaryOp): OperatorReader {
  return (operation) => {
    const [first, ...rest] = operation.inputs.map((_, i) => inputOf(operation, i));
    if (first === undefined) notExpressible(`${operation.node.op} of nothing`);
    return rest.reduce(
      (a, b, i) => combine(operation, op, a, b, i === rest.length - 1 ? operation.name : `${operation.name}/${i}`),
      first,
    );
  };
}

function combine({ node, to }: Operation, op: BinaryOp, a: Value, b: Value, name: string): Value {
  return integerResult(node.op, a, b) ?? to.elementwise(op, [a, b], {}, name);
}

/** Reads And: where one side is true everywhere, the other is the answer, only larger. */
export const and: OperatorReader = (operation) => {
  const { node, to, name } = operation;
  const a = inputOf(operation, 0);
  const b = inputOf(operation, 1);
  const computed = integerResult(node.op, a, b);
  if (computed) return computed;
  for (const [grid, other] of [
    [asIndex(a), b],
    [asIndex(b), a],
  ] as const) {
    if (grid && uniformOf(grid) === 1) return expanded(to, other, to.joinShapes(grid.shape, knownShape(other)));
  }
  return to.elementwise('and', [a, b], {}, name);
};

/** A value repeated to a larger shape, without a node for it. */
export function expanded(to: GraphImport, value: Value, shape: NodeValue['shape']): NodeValue {
  return { kind: 'node', node: to.repeated(value).node, shape };
}

export function comparison(test: 'equal' | 'less' | 'lessOrEqual' | 'greater' | 'greaterOrEqual'): OperatorReader {
  return (operation) => {
    const a = inputOf(operation, 0);
    const b = inputOf(operation, 1);
    return (
      integerResult(operation.node.op, a, b) ?? operation.to.elementwise('compare', [a, b], { test }, operation.name)
    );
  };
}

export function unary(op: OpName): OperatorReader {
  return (operation) => operation.to.elementwise(op, [inputOf(operation, 0)], {}, operation.name);
}

/** Reads CumSum. The exclusive form, the sum of all that comes before an element, is the sum up to it less itself. */
export const cumulativeSum: OperatorReader = (operation) => {
  const x = inputOf(operation, 0);
  const [axis, ...others] = knownNumbers(inputOf(operation, 1));
  if (axis === undefined || others.length > 0 || intOf(operation, 'reverse', 0) !== 0)
    notExpressible('a sum from the end');
  const isExclusive = intOf(operation, 'exclusive', 0) !== 0;
  const { to, name } = operation;
  const sum = to.emit('cumulativeSum', [x], { axis }, isExclusive ? `${name}/inclusive` : name);
  return isExclusive ? to.elementwise('sub', [sum, x], {}, name) : sum;
};

/** Reads operators whose value goes on under another name. */
export const same: OperatorReader = (operation) => inputOf(operation, 0);

/**
 * Reads Dropout, which does nothing in inference. One that is switched on is read so as well: torch's dynamo exporter
 * writes it for a wrapper that was not switched to eval(), and no app wants random answers. Of a share of 0 nothing is
 * random.
 */
export const dropout: OperatorReader = (operation) => {
  const { to, inputs } = operation;
  const [, share, isOn] = inputs;
  if (isOn) {
    const grid = asIndex(isOn) ?? notExpressible('dropout that the run switches on');
    const dropsNothing = share !== undefined && scalarOf(to.node(share)) === 0;
    if (uniformOf(grid) !== 0 && !dropsNothing) to.notes.add(DROPOUT_NOTE);
  }
  return inputOf(operation, 0);
};

const DROPOUT_NOTE =
  'its dropout is switched on, so it gives random answers, as in training; read as switched off: export after model.eval()';

/** Reads the remainder of whole numbers that are known; its sign is the divisor's, with `fmod` the dividend's. */
export const remainder: OperatorReader = (operation) => {
  const op = intOf(operation, 'fmod', 0) === 0 ? 'Mod' : 'FMod';
  return (
    integerResult(op, inputOf(operation, 0), inputOf(operation, 1)) ?? notExpressible('a remainder of computed numbers')
  );
};

/** Reads -x as x times -1, also for whole numbers that are known. */
export const negate: OperatorReader = (operation) => negated(operation.to, inputOf(operation, 0), operation.name);

function negated(to: GraphImport, x: Value, name: string): Value {
  const minusOne = numberLike(x, -1);
  return integerResult('Mul', x, minusOne) ?? to.elementwise('mul', [x, minusOne], {}, name);
}

/** Reads |x|, the larger of x and -x. */
export const absolute: OperatorReader = (operation) => {
  const { to, name } = operation;
  const x = inputOf(operation, 0);
  return to.elementwise('maximum', [x, negated(to, x, `${name}/negated`)], {}, name);
};

/** Reads LeakyRelu: the larger of x and slope · x, the smaller where it is steeper below zero than above. */
export const leakyRelu: OperatorReader = (operation) => {
  const { to, name } = operation;
  const x = inputOf(operation, 0);
  const slope = floatOf(operation, 'alpha', 0.01);
  const below = to.elementwise('mul', [x, numberLike(x, slope)], {}, `${name}/below`);
  return to.elementwise(slope <= 1 ? 'maximum' : 'minimum', [x, below], {}, name);
};

/** Reads ⌊x⌋, which is -⌈-x⌉. */
export const floor: OperatorReader = (operation) => {
  const { to, name } = operation;
  const up = to.elementwise('ceil', [negated(to, inputOf(operation, 0), `${name}/negated`)], {}, `${name}/up`);
  return negated(to, up, name);
};

/** Reads the sign of whole numbers, which are -1, 0 or 1 where they are cut to that. */
export const sign: OperatorReader = (operation) => {
  const { to, name } = operation;
  const x = inputOf(operation, 0);
  if (!isInteger(dtypeOf(x))) notExpressible('the sign of floats');
  const above = to.elementwise('maximum', [x, numberLike(x, -1)], {}, `${name}/above`);
  return to.elementwise('minimum', [above, numberLike(x, 1)], {}, name);
};

/** Reads 1 / x; of a square root it has a name of its own. */
export const reciprocal: OperatorReader = (operation) => {
  const { to, name } = operation;
  const x = inputOf(operation, 0);
  if (x.kind === 'node' && x.node.op === 'sqrt') {
    return to.elementwise('rsqrt', [{ ...x, node: x.node.inputs[0] as NodeValue['node'] }], {}, name);
  }
  return to.elementwise('div', [numberLike(x, 1), x], {}, name);
};

/** Reads powers by one of the usual constants; x² and x³ are products, as they are computed. */
export const power: OperatorReader = (operation) => {
  const { to, name } = operation;
  const x = inputOf(operation, 0);
  const exponent = knownFloat(inputOf(operation, 1));
  const square = () => to.elementwise('mul', [x, x], {}, exponent === 2 ? name : `${name}/square`);
  switch (exponent) {
    case 0.5:
      return to.elementwise('sqrt', [x], {}, name);
    case -0.5:
      return to.elementwise('rsqrt', [x], {}, name);
    case 1:
      return x;
    case 2:
      return square();
    case 3:
      return to.elementwise('mul', [square(), x], {}, name);
    default:
      return notExpressible(
        exponent === null ? 'a power with a computed exponent' : `a power with exponent ${exponent}`,
      );
  }
};

export const clip: OperatorReader = (operation) => {
  const { to, name, inputs } = operation;
  const [, least, most] = inputs;
  let x = inputOf(operation, 0);
  if (least) x = to.elementwise('maximum', [x, least], {}, most ? `${name}/least` : name);
  return most ? to.elementwise('minimum', [x, most], {}, name) : x;
};

export const where: OperatorReader = (operation) => {
  const { to, name } = operation;
  const [condition, a, b] = [0, 1, 2].map((i) => inputOf(operation, i)) as [Value, Value, Value];
  const grid = asIndex(condition);
  const answer = grid && uniformOf(grid);
  if (grid && answer !== null) {
    const chosen = answer === 0 ? b : a;
    const shape = [grid.shape, knownShape(a), knownShape(b)].reduce((x, y) => to.joinShapes(x, y));
    return sameSizes(shape, knownShape(chosen)) ? chosen : expanded(to, chosen, shape);
  }
  return chosenNumbers(condition, a, b) ?? to.elementwise('where', [condition, a, b], {}, name);
};

/** Chooses element by element where all three are known and of one length. */
function chosenNumbers(condition: Value, a: Value, b: Value): Value | null {
  const [answers, x, y] = [asList(condition), asList(a), asList(b)];
  if (!answers || !x || !y) return null;
  const count = answers.elements.length;
  if (x.elements.length !== count || y.elements.length !== count) return null;
  const elements = answers.elements.map((answer, i) => (numberOf(answer) === 0 ? y : x).elements[i]);
  return { ...x, shape: answers.shape, elements: elements.filter((element) => element !== undefined) };
}

export const not: OperatorReader = (operation) => {
  const x = inputOf(operation, 0);
  return integerResult('Equal', x, numberLike(x, 0)) ?? operation.to.elementwise('not', [x], {}, operation.name);
};

export const cast: OperatorReader = (operation) => {
  const { to, name } = operation;
  const x = inputOf(operation, 0);
  const dtype = ONNX_DTYPE_OF.get(intOf(operation, 'to', 0));
  return castTo(to, x, dtype ?? notExpressible(`a cast to type ${intOf(operation, 'to', 0)}`), name);
};

export const castLike: OperatorReader = (operation) =>
  castTo(operation.to, inputOf(operation, 0), dtypeOf(inputOf(operation, 1)), operation.name);

/** Casts a value. Computed floats are f32 whatever the file calls them, so a cast between floats is none. */
function castTo(to: GraphImport, x: Value, dtype: DType, name: string): Value {
  const from = dtypeOf(x);
  if (from === dtype || (isFloat(from) && isFloat(dtype))) return x;
  const grid = x.kind === 'index' || x.kind === 'list' ? asIndex(x) : null;
  const number = grid && uniformOf(grid);
  if (grid && number !== null) return { ...grid, ...castNumber(number, dtype) };
  if ((x.kind === 'list' || x.kind === 'index') && isInteger(from) && isInteger(dtype)) {
    if (dtype !== 'bool') return { ...x, dtype };
    const zero = numberLike(x, 0);
    const isZero = integerResult('Equal', x, zero);
    const answer = isZero && integerResult('Equal', { ...isZero, dtype: 'i64' } as Value, zero);
    if (answer) return answer;
  }
  // Computed floats are f32 whatever the file calls them, but halves round.
  const to32 = isFloat(dtype) && dtype !== 'f16' ? 'f32' : dtype;
  if (x.kind === 'tensor') return { kind: 'tensor', tensor: convertTensor(x.tensor, to32), name: x.name };
  return to.elementwise('cast', [x], { to: dtype }, name);
}

/** A known number in another type: floats lose what integers cannot hold, and yes is 1. */
function castNumber(number: number, dtype: DType): { readonly dtype: DType; readonly offset: Size } {
  if (isFloat(dtype)) return { dtype: 'f32', offset: constantSize(Math.fround(number)) };
  return { dtype, offset: constantSize(dtype === 'bool' ? Number(number !== 0) : Math.trunc(number)) };
}

/** Constant of x's type. */
function numberLike(x: Value, value: number): Value {
  const dtype = dtypeOf(x);
  if (!isFloat(dtype)) return { kind: 'list', dtype, shape: [], elements: [constantSize(value)] };
  return { kind: 'tensor', tensor: tensorOf('f32', [], Float32Array.of(value)), name: String(value) };
}

/** Number that a constant of one element holds. */
function knownFloat(value: Value): number | null {
  if (value.kind === 'tensor' && !value.quant && sizeOf(value.tensor.shape) === 1)
    return readF32(value.tensor)[0] ?? null;
  const list = asList(value);
  const [only, ...rest] = list?.elements ?? [];
  return only && rest.length === 0 ? numberOf(only) : null;
}
