import { elementsOf, packNibbles } from '../../ir/elements.ts';
import { sizeOf } from '../../ir/shape.ts';
import { computedTensor, DTYPES, type Quant, readF32, readIntegers, type Tensor } from '../../ir/tensor.ts';
import { notExpressible } from './context.ts';
import { mergedAttention } from './contrib-attention.ts';
import { gathered } from './indexing.ts';
import { inputOf, intOf, knownAxis, type Operation, type OperatorReader } from './operation.ts';
import { biasOf } from './products.ts';
import { quantizedConstant, realInput } from './quantization.ts';
import { constantSize } from './sizes.ts';
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
  const x = inputOf(operation, 0);
  const c = inputs[5];
  const bias = c && biasOf(c, constantSize(weight.tensor.shape[0] as number));
  if (!c || bias) return to.emit('linear', bias ? [x, weight, bias] : [x, weight], {}, name);
  return to.elementwise('add', [to.emit('linear', [x, weight], {}, `${name}/product`), c], {}, name);
};

/** Reads a look-up in a table whose rows are stored in blocks: of 4-bit integers, or of bytes with 4 or 8 bits each. */
export const gatherBlockQuantized: OperatorReader = (operation) => {
  const [data, scales] = [constantOf(inputOf(operation, 0)), constantOf(inputOf(operation, 2))];
  const bits = DTYPES[data.dtype] === 4 ? 4 : intOf(operation, 'bits', 4);
  const size = intOf(operation, 'block_size', 128);
  const isPacked = data.dtype === 'u8' && bits === 4;
  const [rows = 0, stride = 0] = data.shape;
  const width = isPacked ? 2 * stride : stride;
  const shape = [rows, width];
  const axis = knownAxis(intOf(operation, 'quantize_axis', 1), 2);
  const isTable = data.shape.length === 2 && intOf(operation, 'gather_axis', 0) === 0 && axis === 1;
  if (!isTable || (bits !== 4 && bits !== 8)) notExpressible(`a look-up of ${bits} bits along other axes than rows`);
  const blocks = Math.ceil(width / size);
  if (sizeOf(scales.shape) !== rows * blocks) notExpressible('a look-up with scales that do not fit');
  const given = operation.inputs[3] && constantOf(operation.inputs[3]);
  const isUnsigned = data.dtype === 'u8' || data.dtype === 'u4';
  // Bytes have their zero in the middle where no zero point is given, integers of 4 bits at 0.
  const zeroPoints = given
    ? tableZeroPoints(given, rows, blocks, bits)
    : data.dtype === 'u8'
      ? new Int32Array(rows * blocks).fill(2 ** (bits - 1))
      : undefined;
  const dtype = bits === 8 ? 'u8' : isUnsigned ? 'u4' : 'i4';
  const steps = { scales: Float32Array.from(readF32(scales)), ...(zeroPoints && { zeroPoints }) };
  const table: TensorValue = {
    kind: 'tensor',
    tensor: isPacked ? { dtype: 'u4', shape, bytes: () => data.bytes() } : { ...data, dtype },
    name: operation.node.inputs[0] as string,
    quant: { per: 'block', axis: 1, size, ...steps },
  };
  return gathered(operation, table, 0, inputOf(operation, 1));
};

/** Zero points of a table: integers of 4 bits in one run, or bytes, each row beginning with one. */
function tableZeroPoints(given: Tensor, rows: number, blocks: number, bits: number): Int32Array {
  if (given.dtype === 'u8') return zeroPointsOf(given, rows, blocks, bits);
  return Int32Array.from(readIntegers(given));
}

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
  return value.kind === 'tensor' ? value.tensor : notExpressible('weights in blocks that are computed');
}
