import { ONNX_DTYPE_OF } from '../../formats/onnx-tensor.ts';
import type { Node } from '../../ir/graph.ts';
import { isFloat } from '../../ir/op.ts';
import { dequantized, roundToEven, storedRange } from '../../ir/quantized.ts';
import { sizeOf } from '../../ir/shape.ts';
import {
  convertTensor,
  type DType,
  type Quant,
  readF32,
  readIntegers,
  scalarTensor,
  type Tensor,
  tensorOf,
} from '../../ir/tensor.ts';
import { type GraphImport, notExpressible } from './context.ts';
import { binary } from './elementwise.ts';
import { floatOf, inputOf, intOf, knownAxis, type Operation, type OperatorReader } from './operation.ts';
import { product } from './products.ts';
import { turnedTensor } from './shapes.ts';
import { dtypeOf, type NodeValue, type TensorValue, type Value } from './values.ts';

/** Reads QuantizeLinear: values are stored as integers from there on, with scale and zero point on their type. */
export const quantizeLinear: OperatorReader = (operation) => {
  const { to, inputs, name } = operation;
  const zeroPoint = inputs[2];
  const stated = ONNX_DTYPE_OF.get(intOf(operation, 'output_dtype', 0));
  const dtype = zeroPoint ? dtypeOf(zeroPoint) : (stated ?? 'u8');
  return stored(to, inputOf(operation, 0), dtype, stepOf(inputOf(operation, 1), zeroPoint), name);
};

type PerTensor = Quant & { readonly per: 'tensor' };

/** Quantization by one scale and one zero point for a whole tensor. */
function stepOf(scale: Value, zeroPoint: Value | undefined): PerTensor {
  const scales = constantOf(scale);
  if (sizeOf(scales.shape) !== 1) notExpressible('values of the run that are quantized per channel');
  const [step = Number.NaN] = readF32(scales);
  if (!(step > 0 && Number.isFinite(step))) notExpressible(`a scale of ${step}, as quantizers find for a mask`);
  return {
    per: 'tensor',
    scale: step,
    zeroPoint: zeroPoint ? (readIntegers(constantOf(zeroPoint))[0] ?? 0) : 0,
  };
}

function constantOf(value: Value): Tensor {
  if (value.kind !== 'tensor' || value.quant) return notExpressible('a scale or zero point that is computed');
  return value.tensor;
}

function stored(to: GraphImport, x: Value, dtype: DType, quant: PerTensor, name: string): Value {
  if (x.kind === 'cut' || x.kind === 'padded') return { ...x, x: stored(to, x.x, dtype, quant, name) as NodeValue };
  if (x.kind === 'tensor') return { kind: 'tensor', tensor: storedTensor(x, dtype, quant), name: x.name, quant };
  const value = to.elementwise('quantize', [x], {}, name);
  if (value.kind !== 'node') return notExpressible('quantization of shape arithmetic');
  to.graph.setType(value.node, { dtype, shape: value.node.type.shape, quant });
  return value;
}

function storedTensor(x: TensorValue, dtype: DType, { scale, zeroPoint }: PerTensor): Tensor {
  const source = readF32(x.quant ? dequantized(x.tensor, x.quant) : x.tensor);
  const [least, most] = storedRange(dtype);
  const values = Float64Array.from(source, (value) =>
    Math.min(most, Math.max(least, roundToEven(Math.fround(value / scale)) + zeroPoint)),
  );
  return convertTensor(tensorOf('f64', x.tensor.shape, values), dtype);
}

export const dequantizeLinear: OperatorReader = (operation) => {
  const { to, name } = operation;
  const x = real(operation, 0);
  return x.kind === 'node' && x.node.type.quant ? to.elementwise('dequantize', [x], {}, name) : x;
};

/** Numbers that input `at` stands for by the scale and the zero point behind it. */
function real(operation: Operation, at: number): Value {
  return realInput(operation, inputOf(operation, at), inputOf(operation, at + 1), operation.inputs[at + 2]);
}

/** Numbers that an input stands for by its scale and its zero point. */
export function realInput(operation: Operation, x: Value, scale: Value, zeroPoint: Value | undefined): Value {
  const { to, name } = operation;
  if (x.kind === 'dynamic' && scale.kind === 'dynamic' && x.x === scale.x) return x.x;
  if (x.kind === 'cut' || x.kind === 'padded') return { ...x, x: realNode(to, x.x, scale, zeroPoint, name) };
  if (x.kind === 'node') return realNode(to, x, scale, zeroPoint, name);
  if (x.kind !== 'tensor') return notExpressible('dequantization of shape arithmetic');
  return x.quant ? x : quantizedConstant(operation, x, scale, zeroPoint);
}

/**
 * Real numbers of a node: one that is stored quantized already reads as them; other integers are looked up or computed.
 */
function realNode(to: GraphImport, x: NodeValue, scale: Value, zeroPoint: Value | undefined, name: string): NodeValue {
  const { quant, dtype } = x.node.type;
  if (isFloat(dtype)) return x;
  const step = stepOf(scale, zeroPoint);
  if (quant) return isStep(quant, step) ? x : notExpressible('a value that is read at another scale than it is stored');
  return { ...x, node: lookedUp(to, x.node, step) ?? computed(to, x.node, step, name) };
}

function isStep(quant: Quant, { scale, zeroPoint }: PerTensor): boolean {
  return quant.per === 'tensor' && quant.scale === scale && quant.zeroPoint === zeroPoint;
}

/** Ops that only move elements of their first input. */
const MOVES: ReadonlySet<string> = new Set(['gather', 'slice', 'reshape', 'transpose', 'expand']);

/** Takes elements of a constant of integers from the constant of real numbers; null where they come from elsewhere. */
function lookedUp(to: GraphImport, node: Node, quant: PerTensor): Node | null {
  if (node.op === 'constant') return to.constant({ kind: 'tensor', tensor: node.tensor, name: node.name, quant });
  const [source, ...rest] = node.inputs;
  if (node.op === 'input' || source === undefined || !MOVES.has(node.op)) return null;
  const moved = lookedUp(to, source, quant);
  return moved && to.graph.add(node.op, [moved, ...rest], node.attrs, node.name);
}

/** Computes scale · (x - zero point). */
function computed(to: GraphImport, x: Node, { scale, zeroPoint }: PerTensor, name: string): Node {
  const number = (value: number) => to.graph.constant(scalarTensor(value));
  const wide = to.graph.add('cast', [x], { to: 'f32' }, `${name}/wide`);
  const centred = to.graph.add('sub', [wide, number(zeroPoint)], {}, `${name}/centred`);
  return to.graph.add('mul', [centred, number(scale)], {}, name);
}

/** A constant of stored integers with what they stand for. */
export function quantizedConstant(
  operation: Operation,
  x: TensorValue,
  scale: Value,
  zeroPoint: Value | undefined,
): TensorValue {
  const scales = readF32(constantOf(scale));
  const zeroPoints = zeroPoint && Int32Array.from(readIntegers(constantOf(zeroPoint)));
  return { ...x, quant: quantOf(operation, x.tensor.shape, scales, zeroPoints) };
}

/** Quantization per tensor, per channel along `axis`, or in blocks along it (operator set 21). */
function quantOf(
  operation: Operation,
  shape: readonly number[],
  scales: Float32Array,
  zeroPoints: Int32Array | undefined,
): Quant {
  if (scales.length === 1) return { per: 'tensor', scale: scales[0] as number, zeroPoint: zeroPoints?.[0] ?? 0 };
  const axis = knownAxis(intOf(operation, 'axis', 1), shape.length);
  const size = intOf(operation, 'block_size', 0);
  const step = { axis, scales, ...(zeroPoints && { zeroPoints }) };
  if (size > 0) return { per: 'block', size, ...step };
  if (scales.length !== shape[axis]) notExpressible(`${scales.length} scales for an axis of ${shape[axis]}`);
  return { per: 'channel', ...step };
}

/** Reads DynamicQuantizeLinear, which rounds x to 256 steps of its own range; the stored numbers are real already. */
export const dynamicQuantizeLinear: OperatorReader = (operation) => {
  const { to, name } = operation;
  const x = to.emit('dynamicRound', [inputOf(operation, 0)], {}, name);
  return [
    { kind: 'dynamic', part: 'values', x },
    { kind: 'dynamic', part: 'scale', x },
    { kind: 'dynamic', part: 'zero point', x },
  ];
};

/** Reads the first step of a product of dynamically quantized values, or one with a constant; the scales follow it. */
export const matMulInteger: OperatorReader = (operation) => {
  const [, , zeroPointA, zeroPointB] = operation.inputs;
  const [a, b] = [inputOf(operation, 0), inputOf(operation, 1)];
  const left = dynamicValues(a, zeroPointA);
  const right = dynamicValues(b, zeroPointB);
  if (left && right) return { kind: 'integer product', x: left, factor: { x: right } };
  const isWeight = b.kind === 'tensor' && (zeroPointB === undefined || zeroPointB.kind === 'tensor');
  if (!left || !isWeight) return notExpressible('an integer product of values that are not quantized in the run');
  return { kind: 'integer product', x: left, factor: { weight: b, zeroPoint: zeroPointB as TensorValue | undefined } };
};

/** Finds the float input of a DynamicQuantizeLinear from its quantized values and zero point; null where the two are not of one such op. */
function dynamicValues(values: Value, zeroPoint: Value | undefined): Value | null {
  const fits = values.kind === 'dynamic' && zeroPoint?.kind === 'dynamic' && values.x === zeroPoint.x;
  return fits ? values.x : null;
}

const multiplyReal = binary('mul');

/** Reads Mul, by which an integer product also gets its scales: the input's times the weight's. */
export const multiply: OperatorReader = (operation) => {
  const a = inputOf(operation, 0);
  const b = inputOf(operation, 1);
  for (const [x, y] of [
    [a, b],
    [b, a],
  ] as const) {
    const isScale = x.kind === 'dynamic' && x.part === 'scale';
    if (isScale && y.kind === 'tensor') return { kind: 'scale product', of: [x.x, y] };
    if (isScale && y.kind === 'dynamic' && y.part === 'scale') return { kind: 'scale product', of: [x.x, y.x] };
    const result =
      x.kind === 'integer product' && y.kind === 'scale product' ? scaledProduct(operation, x, y.of) : null;
    if (result) return result;
  }
  return multiplyReal(operation);
};

/** An integer product with the scales of its factors; null where they are those of another product. */
function scaledProduct(
  operation: Operation,
  { x, factor }: Value & { readonly kind: 'integer product' },
  [a, b]: readonly [Value, Value],
): Value | null {
  const { to, name } = operation;
  if ('x' in factor) {
    const fits = (a === x && b === factor.x) || (a === factor.x && b === x);
    return fits ? product(to, x, factor.x, name) : null;
  }
  if (a !== x || b.kind !== 'tensor') return null;
  const { weight, zeroPoint } = factor;
  const zeroPoints = zeroPoint && Int32Array.from(readIntegers(zeroPoint.tensor));
  const quant = quantOf(operation, weight.tensor.shape, readF32(b.tensor), zeroPoints);
  return product(to, x, { ...weight, quant }, name);
}

/** Reads QLinearMatMul of a, scale, zero point, b, scale, zero point, and scale and zero point of the result. */
export const qLinearMatMul: OperatorReader = (operation) => {
  const { to, name } = operation;
  const result = product(to, real(operation, 0), real(operation, 3), `${name}/product`);
  return storedResult(operation, result, 6);
};

export function qLinearBinary(op: 'add' | 'mul'): OperatorReader {
  return (operation) => {
    const { to, name } = operation;
    const result = to.elementwise(op, [real(operation, 0), real(operation, 3)], {}, `${name}/${op}`);
    return storedResult(operation, result, 6);
  };
}

export const qLinearSigmoid: OperatorReader = (operation) => {
  const result = operation.to.elementwise('sigmoid', [real(operation, 0)], {}, `${operation.name}/sigmoid`);
  return storedResult(operation, result, 3);
};

export const qLinearSoftmax: OperatorReader = (operation) => {
  const axis = intOf(operation, 'axis', -1);
  const result = operation.to.emit('softmax', [real(operation, 0)], { axis }, `${operation.name}/softmax`);
  return storedResult(operation, result, 3);
};

/** Reads QLinearConcat: the result's scale and zero point come first, then three inputs for each part. */
export const qLinearConcat: OperatorReader = (operation) => {
  const { to, inputs, name } = operation;
  const parts = Array.from({ length: (inputs.length - 2) / 3 }, (_, i) => real(operation, 2 + 3 * i));
  return storedResult(operation, to.emit('concat', parts, { axis: intOf(operation, 'axis', 0) }, `${name}/concat`), 0);
};

/** Reads QGemm, a Gemm whose C has the scale of the product; without a scale of its own the result stays real. */
export const qGemm: OperatorReader = (operation) => {
  const { to, inputs, name } = operation;
  if (intOf(operation, 'transA', 0) !== 0 || floatOf(operation, 'alpha', 1) !== 1)
    notExpressible('a QGemm that turns or scales');
  const a = real(operation, 0);
  const turns = intOf(operation, 'transB', 0) !== 0;
  // Scales of a weight are one for each output, which its first axis holds where it is stored turned.
  const axis = { kind: 'int', value: turns ? 0 : 1 } as const;
  const stated = real({ ...operation, node: { ...operation.node, attributes: new Map([['axis', axis]]) } }, 3);
  const b = turns && stated.kind === 'tensor' ? turnedTensor(stated) : stated;
  let result = product(to, a, b, `${name}/product`);
  const c = inputs[6];
  if (c) result = to.elementwise('add', [result, biasOf(operation, c, b)], {}, inputs[7] ? `${name}/sum` : name);
  return inputs[7] ? storedResult(operation, result, 7) : result;
};

/** Bias of int32 at the scale of the input times that of the weight, per channel where the weight's is. */
function biasOf(operation: Operation, c: Value, b: Value): Value {
  const input = stepOf(inputOf(operation, 1), operation.inputs[2]);
  if (c.kind !== 'tensor' || b.kind !== 'tensor' || !b.quant || b.quant.per === 'block')
    return notExpressible('a computed C');
  if (b.quant.per === 'tensor')
    return { ...c, quant: { per: 'tensor', scale: input.scale * b.quant.scale, zeroPoint: 0 } };
  return { ...c, quant: { per: 'channel', axis: 0, scales: b.quant.scales.map((scale) => scale * input.scale) } };
}

/** Stores a result at the scale and zero point of inputs `at` and `at + 1`. */
function storedResult(operation: Operation, x: Value, at: number): Value {
  const zeroPoint = operation.inputs[at + 1];
  const dtype = zeroPoint ? dtypeOf(zeroPoint) : 'u8';
  return stored(operation.to, x, dtype, stepOf(inputOf(operation, at), zeroPoint), operation.name);
}
