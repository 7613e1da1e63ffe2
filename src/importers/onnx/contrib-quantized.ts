import { elementsOf, packNibbles } from '../../ir/elements.ts';
import { sizeOf } from '../../ir/shape.ts';
import { computedTensor, type Quant, readF32, readIntegers, type Tensor } from '../../ir/tensor.ts';
import { notExpressible } from './context.ts';
import { mergedAttention } from './contrib-attention.ts';
import { inputOf, intOf, type Operation, type OperatorReader } from './operation.ts';
import { quantizedConstant, realInput } from './quantization.ts';
import type { TensorValue, Value } from './values.ts';

// ONNX Runtime's own products of quantized weights: github.com/microsoft/onnxruntime, docs/ContribOperators.md.

/** Reads QAttention, attention of quantized x with quantized weights: the zero points are inputs 6 and 7. */
export const qAttention: OperatorReader = (operation) => {
  const [, , bias, , , mask, zeroPoint, weightZeroPoint, past] = operation.inputs;
  if (past) notExpressible('attention with a cache');
  const x = realInput(operation, inputOf(operation, 0), inputOf(operation, 3), zeroPoint);
  const stored = inputOf(operation, 1);
  if (stored.kind !== 'tensor') notExpressible('attention with computed weights');
  const weight = quantizedConstant(operation, stored, inputOf(operation, 4), weightZeroPoint);
  return mergedAttention(operation, { x, weight, bias, mask });
};

/** Reads x Wᵀ with W [out, in] in 4 or 8 bits, in blocks along `in`, each with its scale and perhaps a zero point. */
export const matMulNBits: OperatorReader = (operation) => {
  const { to, inputs, name } = operation;
  if (inputs[4]) notExpressible('MatMulNBits with weights in another order');
  const weight = blockedWeight(operation);
  const linear = to.emit('linear', [inputOf(operation, 0), weight], {}, inputs[5] ? `${name}/product` : name);
  return inputs[5] ? to.elementwise('add', [linear, inputs[5]], {}, name) : linear;
};

function blockedWeight(operation: Operation): TensorValue {
  const [out, width, size] = ['N', 'K', 'block_size'].map((attribute) => intOf(operation, attribute, 0)) as [
    number,
    number,
    number,
  ];
  const bits = intOf(operation, 'bits', 4);
  if (bits !== 4 && bits !== 8) notExpressible(`MatMulNBits with weights of ${bits} bits`);
  const [packed, scales] = [constantOf(inputOf(operation, 1)), constantOf(inputOf(operation, 2))];
  const blocks = Math.ceil(width / size);
  const isWhole = packed.dtype === 'u8' && sizeOf(packed.shape) === (out * blocks * size * bits) / 8;
  if (!isWhole || sizeOf(scales.shape) !== out * blocks) notExpressible('MatMulNBits of weights that do not fit');
  const given = operation.inputs[3] && constantOf(operation.inputs[3]);
  const half = 2 ** (bits - 1);
  const zeroPoints = given && zeroPointsOf(given, out, blocks, bits);
  const shift = zeroPoints ? 0 : half;
  const dtype = zeroPoints ? (bits === 4 ? 'u4' : 'u8') : bits === 4 ? 'i4' : 'i8';
  const tensor = computedTensor(dtype, [out, width], () => {
    const stored = unpacked(packed, bits);
    const values = new Uint8Array(out * width);
    for (let row = 0, i = 0; row < out; row++) {
      for (let k = 0; k < width; k++)
        values[i++] = ((stored[row * blocks * size + k] as number) - shift) & (2 ** bits - 1);
    }
    return bits === 4 ? packNibbles(values) : values;
  });
  const quant: Quant = {
    per: 'block',
    axis: 1,
    size,
    scales: Float32Array.from(readF32(scales)),
    ...(zeroPoints && { zeroPoints }),
  };
  return { kind: 'tensor', tensor, name: operation.node.inputs[1] as string, quant };
}

/** Zero points for each row and block, which begin a byte with each row where they are integers. */
function zeroPointsOf(given: Tensor, out: number, blocks: number, bits: number): Int32Array {
  if (given.dtype !== 'u8') notExpressible('MatMulNBits with zero points that are no integers');
  const stored = unpacked(given, bits);
  const stride = stored.length / out;
  return Int32Array.from(
    { length: out * blocks },
    (_, i) => stored[Math.floor(i / blocks) * stride + (i % blocks)] as number,
  );
}

function unpacked(tensor: Tensor, bits: number): ArrayLike<number> {
  if (bits === 8) return readIntegers(tensor);
  const count = 2 * sizeOf(tensor.shape);
  return elementsOf({ dtype: 'u4', shape: [count], bytes: () => tensor.bytes() }) as Uint8Array;
}

function constantOf(value: Value): Tensor {
  return value.kind === 'tensor' ? value.tensor : notExpressible('MatMulNBits with computed weights');
}
