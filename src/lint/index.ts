import { activationTypes } from './onnx/activation-types.ts';
import { biasScales as onnxBiasScales } from './onnx/bias-scales.ts';
import { blockAccuracy } from './onnx/block-accuracy.ts';
import { blockScales } from './onnx/block-scales.ts';
import { blockedOutputs } from './onnx/blocked-outputs.ts';
import { externalData } from './onnx/external-data.ts';
import { f16Overflow as onnxF16Overflow } from './onnx/f16-overflow.ts';
import type { PredictedOnnx } from './onnx/kernels.ts';
import { operatorVersions as onnxOperatorVersions } from './onnx/operator-versions.ts';
import { scalarScales } from './onnx/scalar-scales.ts';
import { scales as onnxScales } from './onnx/scales.ts';
import { sharedRounding } from './onnx/shared-rounding.ts';
import { unfusedBiases } from './onnx/unfused-biases.ts';
import { unfusedInputs } from './onnx/unfused-inputs.ts';
import { unfusedProducts } from './onnx/unfused-products.ts';
import { unfusedWeights } from './onnx/unfused-weights.ts';
import { weightChannels } from './onnx/weight-channels.ts';
import { weightTypes } from './onnx/weight-types.ts';
import { weightZeroPoints as onnxWeightZeroPoints } from './onnx/weight-zero-points.ts';
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

/** Every rule for ONNX files. */
export const onnxRules: readonly Rule<PredictedOnnx>[] = [
  externalData,
  onnxOperatorVersions,
  onnxScales,
  scalarScales,
  onnxBiasScales,
  onnxF16Overflow,
  unfusedInputs,
  unfusedWeights,
  unfusedBiases,
  unfusedProducts,
  blockedOutputs,
  blockAccuracy,
  blockScales,
  weightTypes,
  onnxWeightZeroPoints,
  weightChannels,
  activationTypes,
  sharedRounding,
];
