import type { Graph, Node } from '../ir/graph.ts';
import type { Pass } from '../ir/pass.ts';
import { arrayOf, type Quant, type Tensor, type TensorType, tensorOf } from '../ir/tensor.ts';

/** Half of the range of an unsigned type: what both the stored numbers and the zero points go down by. */
const SHIFTS = { u8: 128, u16: 32768 } as const;

function isUnsigned(dtype: string): dtype is keyof typeof SHIFTS {
  return Object.hasOwn(SHIFTS, dtype);
}

function shiftedQuant(quant: Quant, shift: number): Quant {
  if (quant.per === 'tensor') return { ...quant, zeroPoint: quant.zeroPoint - shift };
  const zeroPoints = quant.zeroPoints ?? new Int32Array(quant.scales.length);
  return { ...quant, zeroPoints: zeroPoints.map((zeroPoint) => zeroPoint - shift) };
}

function shiftedTensor(tensor: Tensor, shift: number): Tensor {
  if (tensor.dtype === 'u8') {
    return tensorOf(
      'i8',
      tensor.shape,
      Int8Array.from(arrayOf({ ...tensor, dtype: 'u8' }), (value) => value - shift),
    );
  }
  return tensorOf(
    'i16',
    tensor.shape,
    Int16Array.from(arrayOf({ ...tensor, dtype: 'u16' }), (value) => value - shift),
  );
}

/** The signed twin of a type, or null where it is no unsigned quantized one. */
function signed({ dtype, shape, quant }: TensorType): { readonly type: TensorType; readonly shift: number } | null {
  if (quant === undefined || !isUnsigned(dtype)) return null;
  const shift = SHIFTS[dtype];
  return { type: { dtype: dtype === 'u8' ? 'i8' : 'i16', shape, quant: shiftedQuant(quant, shift) }, shift };
}

function sign(graph: Graph, node: Node): boolean {
  const twin = signed(node.type);
  if (twin === null || node.op === 'input') return false;
  if (node.op !== 'constant') graph.setType(node, twin.type);
  else graph.replace(node, () => graph.constant(shiftedTensor(node.tensor, twin.shift), node.name, twin.type.quant));
  return true;
}

/** ONNX quantizes to unsigned integers by default, TFLite computes with signed ones: the same numbers, stored 128 lower. */
export const signIntegers: Pass = {
  name: 'sign-integers',
  summary: 'u8 q(scale, z)  ->  i8 q(scale, z - 128)',
  keeps: 'bits',
  run(graph) {
    let rewrites = 0;
    for (const node of graph.nodes()) if (sign(graph, node)) rewrites++;
    return { rewrites, declined: [] };
  },
};
