import type { QuantizationParameters } from '../../formats/tflite/generated/model.ts';
import { storedRange } from '../../ir/quantized.ts';
import { DTYPES, type DType, type Quant, readF32, type Tensor } from '../../ir/tensor.ts';

/** Finds a tensor of the file: the scales of blockwise weights lie in one of their own. */
type TensorAt = (index: number) => Tensor;

/** Quantization of a tensor, undefined where it has none, or what is wrong with it. */
export function quantOf(
  parameters: QuantizationParameters | undefined,
  dtype: DType,
  shape: readonly number[],
  tensorAt: TensorAt,
): Quant | undefined | string {
  if (parameters === undefined) return undefined;
  const { details } = parameters;
  if (details?.kind === 'CustomQuantization') return 'custom quantization is not supported';
  if (details !== undefined) return blockQuant(details.value, shape, tensorAt);
  const scales = parameters.scale;
  if (scales === undefined || scales.length === 0) return undefined;
  const zeroPoints = parameters.zeroPoint ?? [];
  if (zeroPoints.length > 0 && zeroPoints.length !== scales.length) {
    return `${scales.length} scales do not go with ${zeroPoints.length} zero points`;
  }
  if (!areScales(scales) || !zeroPoints.every((value) => isZeroPoint(value, dtype)))
    return 'a scale or zero point is out of range';
  if (scales.length === 1) return { per: 'tensor', scale: scales[0] as number, zeroPoint: zeroPoints[0] ?? 0 };
  const axis = parameters.quantizedDimension;
  if (shape[axis] !== scales.length) return `${scales.length} scales do not go with axis ${axis} of [${shape}]`;
  return { per: 'channel', axis, scales, ...nonZero(zeroPoints) };
}

/** Quantization in blocks, which only weights [out, in] have, along `in`. */
function blockQuant(
  {
    scales: scalesAt,
    zeroPoints: zeroPointsAt,
    blockSize: size,
  }: { scales: number; zeroPoints: number; blockSize: number },
  shape: readonly number[],
  tensorAt: TensorAt,
): Quant | string {
  const [out, width] = shape;
  if (shape.length !== 2 || out === undefined || width === undefined || size < 1 || width % size !== 0) {
    return `blocks of ${size} do not go with [${shape}]`;
  }
  const scales = Float32Array.from(readF32(tensorAt(scalesAt)));
  if (scales.length !== (out * width) / size) return `${scales.length} scales do not go with blocks of ${size}`;
  // The row of the padding token is often zeros, and its scale 0.
  if (!scales.every((scale) => scale >= 0 && Number.isFinite(scale))) return 'a scale is out of range';
  // 0 and -1 stand for symmetric weights: tensor 0 is an input of the graph.
  const zeroPoints = zeroPointsAt > 0 ? Array.from(readF32(tensorAt(zeroPointsAt))) : [];
  if (zeroPoints.length > 0 && zeroPoints.length !== scales.length) return 'scales and zero points differ in number';
  return { per: 'block', axis: 1, size, scales, ...nonZero(zeroPoints) };
}

function nonZero(zeroPoints: readonly number[]): { zeroPoints?: Int32Array } {
  return zeroPoints.some((zeroPoint) => zeroPoint !== 0) ? { zeroPoints: Int32Array.from(zeroPoints) } : {};
}

function areScales(scales: Float32Array): boolean {
  return scales.every((scale) => scale > 0 && Number.isFinite(scale));
}

/** A zero point is one of the integers that the tensor stores; 64-bit ones, which are sums, have none but 0. */
function isZeroPoint(value: number, dtype: DType): boolean {
  if (DTYPES[dtype] === 64 || dtype === 'u32') return value === 0;
  const [least, most] = storedRange(dtype);
  return Number.isInteger(value) && value >= least && value <= most;
}
