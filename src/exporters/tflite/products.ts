import { MbertError } from '../../errors.ts';
import type { ActivationFunctionType } from '../../formats/tflite/generated/model.ts';
import type { Call, Constant, Node } from '../../ir/graph.ts';
import { dequantized, roundToEven } from '../../ir/quantized.ts';
import type { Dim, Shape } from '../../ir/shape.ts';
import { type Quant, readF32, type Tensor, tensorOf } from '../../ir/tensor.ts';
import type { Result, TfliteBuilder } from './builder.ts';
import { reshape } from './shapes.ts';

/**
 * FULLY_CONNECTED in the form that the types ask for: floats; f32 values with integer weights, which the kernel quantizes a
 * row at a time; or integers throughout.
 */
export function lowerLinear(node: Call<'linear'>, out: TfliteBuilder): number {
  const [x, weight] = node.inputs as [Node, Node];
  const isHybrid = x.type.quant === undefined && weight.type.quant !== undefined;
  const relu = node.attrs.activation === 'relu';
  // LiteRT's own kernel for blocks, which runs where XNNPACK does not, leaves a fused activation out.
  const isFused = relu && weight.type.quant?.per !== 'block';
  const activation: ActivationFunctionType = isFused ? 'RELU' : 'NONE';
  const linear = isFused || !relu ? node : like(node, 'linear', node, node.type.shape);
  const options = {
    fusedActivationFunction: activation,
    keepNumDims: node.type.shape.length !== 2,
    ...(isHybrid && { asymmetricQuantizeInputs: true }),
  };
  const inputs = [out.value(x), out.value(weight), biasOf(node, weight.type.shape[0] as number, out)];
  const result = out.op('FULLY_CONNECTED', inputs, linear, { kind: 'FullyConnectedOptions', value: options });
  return linear === node ? result : out.op('RELU', [result], node);
}

/** A convolution along the sequence is a 1 x width one over an image of height 1: x as [batch, 1, sequence, in]. */
export function lowerConv1d(node: Call<'conv1d'>, out: TfliteBuilder): number {
  const [x, weight] = node.inputs as [Node, Node];
  if (weight.op !== 'constant') {
    throw new MbertError('UNSUPPORTED', `${node.name}: tflite convolves with constants, ${weight.name} is none`);
  }
  const [size, width, channels] = weight.tensor.shape as [number, number, number];
  const [batch, sequence] = x.type.shape as [Dim, Dim];
  const image = reshape(out, out.value(x), like(node, 'image', x, [batch, 1, sequence, channels]));
  const kernel = out.once(`kernel ${weight.name}`, () =>
    out.weight(weight.name, { ...weight.tensor, shape: [size, 1, width, channels] }, weight.type.quant),
  );
  const rows = like(node, 'rows', node, [batch, 1, sequence, size]);
  const result = out.op('CONV_2D', [image, kernel, biasOf(node, size, out)], rows, {
    kind: 'Conv2DOptions',
    value: { padding: 'SAME', strideW: 1, strideH: 1 },
  });
  return reshape(out, result, node);
}

/** A value on the way to a node's, stored as `as` is. */
function like(node: Node, part: string, as: Node, shape: Shape): Result {
  return { name: `${node.name}/${part}`, type: { ...as.type, dtype: as.type.quant ? as.type.dtype : 'f32', shape } };
}

/**
 * FULLY_CONNECTED without a bias is version 6, with one and keep_num_dims 5: a shared zero bias keeps old runtimes. Integer
 * kernels want the bias in units of their accumulators, and XNNPACK wants it to say so, zeros too.
 */
function biasOf(node: Call<'linear'> | Call<'conv1d'>, size: number, out: TfliteBuilder): number {
  const [x, weight, bias] = node.inputs as [Node, Node, Node | undefined];
  if (x.type.quant?.per === 'tensor' && weight.type.quant !== undefined) {
    const quant = accumulatorQuant(x.type.quant.scale, weight.type.quant);
    const name = bias?.name ?? `${node.name}/zeros`;
    return out.constant(
      name,
      integerBias(name, bias as Constant | undefined, quant, x.type.dtype === 'i16', size),
      quant,
    );
  }
  if (bias === undefined) {
    const zeros = (): number => out.constant(`zeros_${size}`, tensorOf('f32', [size], new Float32Array(size)));
    return out.once(`zeros ${size}`, zeros);
  }
  if (bias.op !== 'constant' || bias.type.quant === undefined) return out.value(bias);
  const { tensor, name } = bias;
  const { quant } = bias.type;
  return out.once(`real ${name}`, () => out.weight(`${name}/real`, dequantized(tensor, quant)));
}

/** s_x·s_w for every output channel: what one step of the kernel's accumulator stands for. */
function accumulatorQuant(scale: number, weight: Quant): Quant {
  const step = Math.fround(scale);
  if (weight.per === 'tensor') {
    return { per: 'tensor', scale: Math.fround(step * Math.fround(weight.scale)), zeroPoint: 0 };
  }
  return { per: 'channel', axis: 0, scales: weight.scales.map((scaleOfWeight) => step * scaleOfWeight) };
}

const MAX_I32 = 2 ** 31 - 1;

/** i32 under i8 values, i64 under i16 ones. */
function integerBias(name: string, bias: Constant | undefined, quant: Quant, isWide: boolean, size: number): Tensor {
  const stored = new Float64Array(size);
  const real = bias && readF32(bias.type.quant ? dequantized(bias.tensor, bias.type.quant) : bias.tensor);
  for (let i = 0; real !== undefined && i < size; i++) {
    const scale = quant.per === 'tensor' ? quant.scale : (quant.scales[i] as number);
    const value = roundToEven((real[i] as number) / scale);
    if (!(Math.abs(value) <= (isWide ? Number.MAX_SAFE_INTEGER : MAX_I32))) {
      throw new MbertError(
        'UNSUPPORTED',
        `${name}: ${real[i]} of channel ${i} is ${value} steps of ${scale}, over 32 bits`,
        {
          hint: 'a larger scale for the weights of this channel makes room',
        },
      );
    }
    stored[i] = value;
  }
  return isWide
    ? tensorOf('i64', [size], BigInt64Array.from(stored, BigInt))
    : tensorOf('i32', [size], Int32Array.from(stored));
}
