import { MbertError } from '../../errors.ts';
import type { OnnxNode } from '../../formats/onnx.ts';
import { packNibbles } from '../../ir/elements.ts';
import type { Constant, Graph, Node } from '../../ir/graph.ts';
import { storedRange } from '../../ir/quantized.ts';
import { isStatic, type Shape, sizeOf } from '../../ir/shape.ts';
import {
  convertTensor,
  DTYPES,
  type DType,
  integerTensor,
  type Quant,
  type Tensor,
  type TensorType,
  tensorOf,
} from '../../ir/tensor.ts';
import { hasBlockedRows } from './blocked-rows.ts';
import type { OnnxModelOptions } from './options.ts';

type Spread = Exclude<Quant, { readonly per: 'tensor' }>;

/** Oldest opset that mbert writes; all of them have QuantizeLinear for 8 bits per tensor and per channel. */
const OLDEST_OPSET = 13;
/** Opset that brought 4 and 16 bits and blocks, with QuantizeLinear-21 (onnx.ai/onnx/operators). */
const WIDE_QUANTIZATION_OPSET = 21;
const WIDE_DTYPES: ReadonlySet<DType> = new Set(['i4', 'u4', 'i16', 'u16']);

/**
 * Oldest opset that can hold a graph's types: 21 where a value is stored in 4 or 16 bits or in blocks, else 13. Weights
 * of MatMulNBits are bytes, which every opset has.
 */
export function minimumOpset(graph: Graph, operators: OnnxModelOptions['operators'] = 'standard'): number {
  return graph.nodes().some((node) => isWide(node, operators)) ? WIDE_QUANTIZATION_OPSET : OLDEST_OPSET;
}

function isWide(node: Node, operators: OnnxModelOptions['operators']): boolean {
  const { dtype, quant } = node.type;
  if (quant === undefined || (quant.per !== 'block' && !WIDE_DTYPES.has(dtype))) return false;
  const isPackedWeight = hasBlockedRows(node) && [...node.users].every((user) => isWeightOf(user, node));
  return !(operators === 'onnxruntime' && isPackedWeight);
}

function isWeightOf(user: Node, weight: Node): boolean {
  return user.op === 'linear' && user.inputs.every((input, place) => (input === weight) === (place === 1));
}

/** Refuses an opset that is too old for the graph, naming the value that it cannot hold. */
export function refuseOldOpset(graph: Graph, { opset, operators }: OnnxModelOptions): void {
  if (opset >= minimumOpset(graph, operators)) return;
  const { name, type } = graph.nodes().find((node) => isWide(node, operators)) as Node;
  const how = type.quant?.per === 'block' ? `${type.dtype} in blocks` : type.dtype;
  throw new MbertError('USAGE', `opset ${opset} cannot hold ${name}, which is ${how}`, {
    hint: `use opset ${WIDE_QUANTIZATION_OPSET} or newer`,
  });
}

/** True for a weight that integer products take: 8 bits, with a scale for each column or one for all. */
export function hasIntegerWeight(weight: Node): weight is Constant {
  const { dtype, quant } = weight.type;
  if (weight.op !== 'constant' || !quant || (dtype !== 'i8' && dtype !== 'u8')) return false;
  return quant.per === 'tensor' || (quant.per === 'channel' && quant.axis === 0);
}

/** True for a constant whose integers stand for multiples of their scales. */
export function isSymmetric({ type: { quant } }: Constant): boolean {
  if (quant?.per === 'tensor') return quant.zeroPoint === 0;
  return quant?.zeroPoints?.every((zeroPoint) => zeroPoint === 0) ?? true;
}

/** True for a weight in 4 bits. */
export function isPackedWeight(weight: Node): weight is Constant {
  return weight.op === 'constant' && weight.type.quant !== undefined && DTYPES[weight.type.dtype] === 4;
}

/** Refuses a value that QuantizeLinear cannot make. */
export function refuseToQuantize({ name, type: { dtype, quant } }: Node): void {
  if (quant?.per === 'block' || dtype === 'i32') {
    throw new MbertError('UNSUPPORTED', `${name}: onnx cannot quantize to ${dtype} per ${quant?.per} at run time`);
  }
  const scales = quant?.per === 'channel' ? quant.scales : [quant?.scale ?? Number.NaN];
  if (scales.every((scale) => scale > 0 && Number.isFinite(scale))) return;
  throw new MbertError('INVALID_GRAPH', `${name}: quantization: a scale is not a positive number`);
}

/** Attributes of QuantizeLinear and DequantizeLinear; per tensor there are none. */
export function axisOfQuant({ quant }: TensorType): OnnxNode['attributes'] {
  if (quant === undefined || quant.per === 'tensor') return {};
  const axis = { int: quant.axis };
  return quant.per === 'block' ? { axis, block_size: { int: quant.size } } : { axis };
}

/** Scales as a tensor: a vector per channel; per block the shape of the value with blocks in place of the axis. */
export function scaleTensor(quant: Spread, { shape }: TensorType, name: string): Tensor {
  return tensorOf('f32', spreadShape(quant, shape, name), quant.scales);
}

/** Zero points in the value's own dtype; none for i32, where ONNX fixes them at 0, and for blocks without. */
export function zeroPointTensor({ dtype, shape, quant }: TensorType, name: string): Tensor | undefined {
  if (quant === undefined || dtype === 'i32' || (quant.per === 'block' && !quant.zeroPoints)) return undefined;
  if (quant.per === 'tensor') return integersOf(dtype, [quant.zeroPoint], [], name);
  const sizes = spreadShape(quant, shape, name);
  // Zeros are written out: a weight whose zero point is left out never becomes a QGemm (measured, ONNX Runtime 1.30).
  return integersOf(dtype, quant.zeroPoints ?? new Int32Array(sizeOf(sizes)), sizes, name);
}

function spreadShape(quant: Spread, shape: Shape, name: string): readonly number[] {
  if (quant.per === 'channel') return [quant.scales.length];
  if (!isStatic(shape)) throw new MbertError('UNSUPPORTED', `${name}: onnx has blocks only in values of fixed size`);
  return shape.map((size, axis) => (axis === quant.axis ? Math.ceil(size / quant.size) : size));
}

function integersOf(dtype: DType, values: ArrayLike<number>, shape: readonly number[], name: string): Tensor {
  const list = Array.from(values);
  const [least, most] = storedRange(dtype);
  if (list.some((value) => value < least || value > most)) {
    throw new MbertError('INVALID_GRAPH', `${name}: quantization: a zero point is outside ${least} to ${most}`);
  }
  if (DTYPES[dtype] === 4) return tensorOf(dtype, shape, packNibbles(Uint8Array.from(list, (value) => value & 15)));
  return convertTensor(integerTensor('i32', list, shape), dtype);
}
