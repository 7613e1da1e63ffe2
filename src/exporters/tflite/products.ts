import { MbertError } from '../../errors.ts';
import type { ActivationFunctionType } from '../../formats/tflite/generated/model.ts';
import type { Call, Constant, Node } from '../../ir/graph.ts';
import { dequantized, roundToEven } from '../../ir/quantized.ts';
import type { Dim, Shape } from '../../ir/shape.ts';
import { type Quant, readF32, type Tensor, tensorOf } from '../../ir/tensor.ts';
import type { Result, TfliteBuilder } from './builder.ts';
import { reshape } from './shapes.ts';

/**
 * Lowers a linear to FULLY_CONNECTED in the form that the types ask for: floats; f32 values with integer weights, which
 * the kernel quantizes a row at a time; or integers throughout.
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

/**
 * Lowers a convolution along the sequence to a 1 x width one over an image of height 1: x as [batch, 1, sequence, in].
 */
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

/** Describes a value on the way to a node's, stored as `as` is. */
function like(node: Node, part: string, as: Node, shape: Shape): Result {
  return { name: `${node.name}/${part}`, type: { ...as.type, dtype: as.type.quant ? as.type.dtype : 'f32', shape } };
}

/**
 * Tensor of the bias. FULLY_CONNECTED without one is version 6, with one and keep_num_dims 5: a shared zero bias keeps
 * old runtimes. Integer kernels want it in units of their accumulators, and XNNPACK wants it to say so, zeros too.
 */
function biasOf(node: Call<'linear'> | Call<'conv1d'>, size: number, out: TfliteBuilder): number {
  const [x, weight, bias] = node.inputs as [Node, Node, Node | undefined];
  if (x.type.quant?.per === 'tensor' && weight.type.quant !== undefined) {
    const quant = accumulatorQuant(x.type.quant.scale, weight.type.quant);
    const name = bias?.name ?? `${node.name}/zeros`;
    const dtype = x.type.dtype === 'i16' ? 'i64' : 'i32';
    return out.constant(name, integerBias(name, bias as Constant | undefined, { quant, dtype, size }), quant);
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

/** Quantization of the kernel's accumulator: a step stands for s_x·s_w of its output channel. */
function accumulatorQuant(scale: number, weight: Quant): Quant {
  const step = Math.fround(scale);
  if (weight.per === 'tensor') {
    return { per: 'tensor', scale: Math.fround(step * Math.fround(weight.scale)), zeroPoint: 0 };
  }
  return { per: 'channel', axis: 0, scales: weight.scales.map((scaleOfWeight) => step * scaleOfWeight) };
}

const MAX_I32 = 2 ** 31 - 1;

interface BiasType {
  readonly quant: Quant;
  /** Type of the integers: i32 under i8 values, i64 under i16 ones. */
  readonly dtype: 'i32' | 'i64';
  readonly size: number;
}

/** The integers of a bias, zeros where there is none. */
function integerBias(name: string, bias: Constant | undefined, { quant, dtype, size }: BiasType): Tensor {
  const most = dtype === 'i64' ? Number.MAX_SAFE_INTEGER : MAX_I32;
  const stored = new Float64Array(size);
  const real = bias && readF32(bias.type.quant ? dequantized(bias.tensor, bias.type.quant) : bias.tensor);
  for (let i = 0; real !== undefined && i < size; i++) {
    const scale = quant.per === 'tensor' ? quant.scale : (quant.scales[i] as number);
    const value = roundToEven((real[i] as number) / scale);
    if (!(Math.abs(value) <= most)) {
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
  return dtype === 'i64'
    ? tensorOf('i64', [size], BigInt64Array.from(stored, BigInt))
    : tensorOf('i32', [size], Int32Array.from(stored));
}
