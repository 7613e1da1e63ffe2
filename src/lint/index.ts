import type { Rule } from './rule.ts';
import { asymmetricInputs } from './tflite/asymmetric-inputs.ts';
import { biasScales } from './tflite/bias-scales.ts';
import { blockWeights } from './tflite/block-weights.ts';
import { bufferAlignment } from './tflite/buffer-alignment.ts';
import { bufferLengths } from './tflite/buffer-lengths.ts';
import { canonicalForm } from './tflite/canonical-form.ts';
import { concatInputs } from './tflite/concat-inputs.ts';
import { f16Overflow } from './tflite/f16-overflow.ts';
import { fixedScales } from './tflite/fixed-scales.ts';
import { fusedActivations } from './tflite/fused-activations.ts';
import { keptScales } from './tflite/kept-scales.ts';
import { matmulZeroPoints } from './tflite/matmul-zero-points.ts';
import type { TfliteModel } from './tflite/model.ts';
import { operatorCodes } from './tflite/operator-codes.ts';
import { operatorVersions } from './tflite/operator-versions.ts';
import { quantizationLengths } from './tflite/quantization-lengths.ts';
import { scaleRatios } from './tflite/scale-ratios.ts';
import { scales } from './tflite/scales.ts';
import { sliceSizes } from './tflite/slice-sizes.ts';
import { symmetricWeights } from './tflite/symmetric-weights.ts';
import { unusedBuffers } from './tflite/unused-buffers.ts';
import { unusedTensors } from './tflite/unused-tensors.ts';
import { weightZeroPoints } from './tflite/weight-zero-points.ts';
import { xnnpackPartitions } from './tflite/xnnpack-partitions.ts';

/** Every rule for TFLite files; a new one is one file and one name here. */
export const tfliteRules: readonly Rule<TfliteModel>[] = [
  quantizationLengths,
  scales,
  weightZeroPoints,
  symmetricWeights,
  biasScales,
  blockWeights,
  fixedScales,
  keptScales,
  matmulZeroPoints,
  fusedActivations,
  scaleRatios,
  asymmetricInputs,
  sliceSizes,
  concatInputs,
  operatorVersions,
  operatorCodes,
  bufferLengths,
  bufferAlignment,
  f16Overflow,
  unusedBuffers,
  unusedTensors,
  canonicalForm,
  xnnpackPartitions,
];
