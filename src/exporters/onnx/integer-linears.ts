import { ONNX_DTYPES } from '../../formats/onnx.ts';
import { transposedElements } from '../../ir/elements.ts';
import type { Call, Constant, Node } from '../../ir/graph.ts';
import { roundToEven, transposedQuant } from '../../ir/quantized.ts';
import { type Quant, readF32, tensorOf } from '../../ir/tensor.ts';
import type { OnnxBuilder, Step, Stored } from './builder.ts';
import { isSymmetric } from './quantization.ts';
import { reshapeSizes } from './shapes.ts';

const TURN = { perm: { ints: [1, 0] } };

/**
 * Largest bias as an integer, where the i32 sum begins: 255·127 for each of 2^15 inputs, more than any model has, add
 * less than 2^30 to it.
 */
const MAX_INTEGER_BIAS = 2 ** 30;

/**
 * Writes a linear whose x is quantized per tensor to 8 bits: a Gemm between DequantizeLinears, its bias an i32 of the
 * product's own scale, which ONNX Runtime fuses to one QGemm, with the QuantizeLinear behind it if there is one. It
 * does so at rank 2 only: other ranks are flattened in front, as integers, and shaped back. Null where x is stored in
 * another way.
 */
export function integerSteps(node: Call<'linear'>, x: Node, weight: Constant, out: OnnxBuilder): Step[] | null {
  const { dtype, quant } = x.type;
  if (quant?.per !== 'tensor' || (dtype !== 'u8' && dtype !== 'i8')) return null;
  const bias = node.inputs[2];
  const inner = bias && integerBias(bias, quant.scale, weight.type.quant as Quant, out);
  const inputs = [rowsOf(x, out), out.value(weight), ...(inner === undefined ? [] : [inner])];
  const steps: Step[] = [{ part: 'linear', op: 'Gemm', inputs, attributes: { transB: { int: 1 } } }];
  if (bias && inner === undefined) steps.push({ part: 'biased', op: 'Add', inputs: [out.value(bias)] });
  const { shape } = node.type;
  if (shape.length === 2) return steps;
  const target = reshapeSizes(node, shape, [-1, shape.at(-1) as number], out);
  return [...steps, { part: 'shaped', op: 'Reshape', inputs: [target] }];
}

/**
 * Reads x as [rows, width]. The integers are what is reshaped, so that their DequantizeLinear stays next to the Gemm.
 */
function rowsOf(x: Node, out: OnnxBuilder): string {
  const stored = out.stored(x);
  const { shape } = x.type;
  if (shape.length === 2) return out.read(stored);
  const target = out.integers([-1, shape.at(-1) as number]);
  const name = out.once(`${stored.name}/rows`, (key) => out.emit(key, 'Reshape', [stored.name, target]));
  return out.read({ ...stored, name });
}

/**
 * Bias in steps of s_x·s_w, which are the product's own; undefined where it is no constant or has elements too large
 * for that (a column of tiny weights with a real bias): it is then added in f32, behind the product.
 */
function integerBias(bias: Node, scale: number, weight: Quant, out: OnnxBuilder): string | undefined {
  if (bias.type.quant) return bias.op === 'constant' && bias.type.dtype === 'i32' ? out.value(bias) : undefined;
  if (bias.op !== 'constant') return undefined;
  const values = readF32(bias.tensor);
  const inputScale = Math.fround(scale);
  const scales = new Float32Array(weight.per === 'tensor' ? 1 : values.length);
  for (let i = 0; i < scales.length; i++) {
    scales[i] = inputScale * Math.fround(weight.per === 'tensor' ? weight.scale : (weight.scales[i] as number));
  }
  const stored = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const steps = roundToEven((values[i] as number) / (scales[weight.per === 'tensor' ? 0 : i] as number));
    if (!(Math.abs(steps) <= MAX_INTEGER_BIAS)) return undefined;
    stored[i] = steps;
  }
  const quant: Quant =
    weight.per === 'tensor'
      ? { per: 'tensor', scale: scales[0] as number, zeroPoint: 0 }
      : { per: 'channel', axis: 0, scales };
  return out.constant(bias.name, tensorOf('i32', bias.tensor.shape, stored), quant);
}

/**
 * Writes a linear of an x in f32: x is quantized at run time, once for all its readers, then follow MatMulInteger, Cast
 * and Mul by s_x·s_w, which ONNX Runtime fuses to one DynamicQuantizeMatMul or, where readers share the quantized x,
 * one MatMulIntegerToFloat each.
 */
export function dynamicSteps(node: Call<'linear'>, weight: Constant, out: OnnxBuilder): Step[] {
  const [x, , bias] = node.inputs as readonly [Node, Node, Node?];
  const { values, scale, zeroPoint } = dynamicallyQuantized(x, out);
  const { columns, stored } = turned(weight, out);
  const weightZeroPoint = isSymmetric(weight) ? [] : [out.zeroPointOf(stored) as string];
  const inputs = [values, columns, zeroPoint, ...weightZeroPoint];
  const rescale = out.step(node, 'rescale', 'Mul', [scale, out.scaleOf(stored)]);
  const steps: Step[] = [
    { part: 'integers', op: 'MatMulInteger', inputs },
    { part: 'cast', op: 'Cast', inputs: [], attributes: { to: { int: ONNX_DTYPES.f32 } } },
    { part: 'product', op: 'Mul', inputs: [rescale] },
  ];
  return bias ? [...steps, { part: 'linear', op: 'Add', inputs: [out.value(bias)] }] : steps;
}

/** Writes DynamicQuantizeLinear and back, where something else than a linear reads the rounded values. */
export function dynamicRound(node: Call<'dynamicRound'>, out: OnnxBuilder): void {
  const { values, scale, zeroPoint } = dynamicallyQuantized(node, out);
  out.result(node, 'DequantizeLinear', [values, scale, zeroPoint]);
}

function dynamicallyQuantized(x: Node, out: OnnxBuilder) {
  const source = out.value(x.op === 'dynamicRound' ? (x.inputs[0] as Node) : x);
  const parts = ['values', 'scale', 'zero_point'];
  const outputs = out.parts(`${source}/dynamic`, parts, 'DynamicQuantizeLinear', [source]);
  const [values, scale, zeroPoint] = outputs as readonly [string, string, string];
  return { values, scale, zeroPoint };
}

/**
 * Columns of a weight, as [in, out], and the stored value that its scale belongs to. A weight with other readers is
 * stored once and turned at load time.
 */
function turned(weight: Constant, out: OnnxBuilder): { readonly columns: string; readonly stored: Stored } {
  if (out.fusions.isReadOnce(weight)) {
    const { name } = out.store(weight.name, transposedElements(weight.tensor));
    return { columns: name, stored: { name, type: weight.type } };
  }
  const stored = out.stored(weight);
  const columns = out.once(`${stored.name}/columns`, (key) => out.emit(key, 'Transpose', [stored.name], TURN));
  return { columns, stored };
}

/**
 * Writes a linear of a weight in 4 bits, as [in, out]: a Gemm, or at other ranks MatMul and Add, that ONNX Runtime
 * fuses with the weight's DequantizeLinear to one MatMulNBits.
 */
export function packedSteps(node: Call<'linear'>, weight: Constant, out: OnnxBuilder): Step[] {
  const [x, , bias] = node.inputs as readonly [Node, Node, Node?];
  const columns = out.fusions.isReadOnce(weight)
    ? out.constant(
        weight.name,
        transposedElements(weight.tensor),
        transposedQuant(weight.tensor.shape, weight.type.quant as Quant),
      )
    : out.step(node, 'columns', 'Transpose', [out.value(weight)], TURN);
  const factors = [out.value(x), columns];
  const addend = bias ? [out.value(bias)] : [];
  const steps: Step[] = [];
  if (node.type.shape.length === 2) {
    steps.push({ part: 'linear', op: 'Gemm', inputs: [...factors, ...addend] });
  } else {
    steps.push({ part: 'product', op: 'MatMul', inputs: factors });
    if (bias) steps.push({ part: 'linear', op: 'Add', inputs: addend });
  }
  return steps;
}
