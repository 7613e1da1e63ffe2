import { MbertError } from '../../errors.ts';
import type { QuantizationParameters } from '../../formats/tflite/generated/model.ts';
import type { Draft } from '../../formats/tflite/table.ts';
import { axisOf, shapeText, sizeOf } from '../../ir/shape.ts';
import { convertTensor, type Quant, readF32, type Tensor, type TensorType, tensorOf } from '../../ir/tensor.ts';

/** Least scale: below f32's normal numbers XNNPACK refuses the tensor. */
const MIN_SCALE = 2 ** -126;

/** Quantization of a tensor as the file has it; `scalesTensor` holds the scales of blocks, as the schema wants it. */
export function quantizationOf(name: string, type: TensorType, scalesTensor: number): Draft<QuantizationParameters> {
  const quant = type.quant as Quant;
  if (quant.per === 'block') {
    // Dimension 0 is the rows; blocks run along the other one.
    return {
      details: {
        kind: 'BlockwiseQuantization',
        value: { scales: scalesTensor, zeroPoints: -1, blockSize: quant.size },
      },
    };
  }
  const scale = quant.per === 'tensor' ? Float32Array.of(quant.scale) : quant.scales;
  for (let i = 0; i < scale.length; i++) {
    const value = scale[i] as number;
    if (!(value >= MIN_SCALE && value < Number.POSITIVE_INFINITY)) {
      throw new MbertError('UNSUPPORTED', `${name}: scale ${i} is ${value}, and tflite takes positive normal numbers`);
    }
  }
  if (quant.per === 'tensor') return { scale, zeroPoint: [quant.zeroPoint] };
  // A file that has fewer zero points than scales does not load.
  const zeroPoint = quant.zeroPoints ? Array.from(quant.zeroPoints) : new Array<number>(scale.length).fill(0);
  return { scale, zeroPoint, quantizedDimension: axisOf(quant.axis, type.shape.length) as number };
}

/** Scales of blocks as the f16 matrix [rows, blocks] that kernels read, or undefined where there are none. */
export function blockScales(name: string, { shape, quant }: TensorType): Tensor | undefined {
  if (quant?.per !== 'block') return undefined;
  const [rows, columns] = shape as readonly [number, number];
  if (shape.length !== 2 || axisOf(quant.axis, 2) !== 1 || columns % quant.size !== 0 || quant.zeroPoints) {
    const blocks = `${quant.size} along axis ${quant.axis} of ${shapeText(shape)}`;
    throw new MbertError(
      'UNSUPPORTED',
      `${name}: tflite has symmetric blocks along whole rows of a matrix, not of ${blocks}`,
    );
  }
  const sizes = [rows, columns / quant.size];
  const scales = convertTensor(tensorOf('f32', sizes, quant.scales.slice(0, sizeOf(sizes))), 'f16');
  const bytes = scales.bytes();
  const stored: Tensor = { dtype: 'f16', shape: sizes, bytes: () => bytes };
  const bad = readF32(stored).findIndex((scale) => !(scale > 0 && scale < Number.POSITIVE_INFINITY));
  if (bad >= 0) {
    throw new MbertError('UNSUPPORTED', `${name}: the scale ${quant.scales[bad]} of block ${bad} does not fit f16`);
  }
  return stored;
}
