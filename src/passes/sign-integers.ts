import { elementsOf, tensorOfElements } from '../ir/elements.ts';
import type { Graph, Node } from '../ir/graph.ts';
import type { Pass } from '../ir/pass.ts';
import { arrayOf, type Quant, type Tensor, type TensorType, tensorOf } from '../ir/tensor.ts';

/** Half the range of each unsigned type: the number subtracted from stored numbers and zero points. */
const SHIFTS = { u4: 8, u8: 128, u16: 32768 } as const;

const SIGNED = { u4: 'i4', u8: 'i8', u16: 'i16' } as const;

function isUnsigned(dtype: string): dtype is keyof typeof SHIFTS {
  return Object.hasOwn(SHIFTS, dtype);
}

function shiftedQuant(quant: Quant, shift: number): Quant {
  if (quant.per === 'tensor') return { ...quant, zeroPoint: quant.zeroPoint - shift };
  const zeroPoints = quant.zeroPoints ?? new Int32Array(quant.scales.length);
  return { ...quant, zeroPoints: zeroPoints.map((zeroPoint) => zeroPoint - shift) };
}

function shiftedTensor(tensor: Tensor, shift: number): Tensor {
  if (tensor.dtype === 'u4') {
    const values = (elementsOf(tensor) as Uint8Array).map((value) => (value - shift) & 15);
    return tensorOfElements('i4', tensor.shape, values);
  }
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

/** The signed counterpart of an unsigned quantized type; null for any other type. */
function signed({ dtype, shape, quant }: TensorType): { readonly type: TensorType; readonly shift: number } | null {
  if (quant === undefined || !isUnsigned(dtype)) return null;
  const shift = SHIFTS[dtype];
  return { type: { dtype: SIGNED[dtype], shape, quant: shiftedQuant(quant, shift) }, shift };
}

function sign(graph: Graph, node: Node): boolean {
  const counterpart = signed(node.type);
  if (counterpart === null || node.op === 'input') return false;
  const { type, shift } = counterpart;
  if (node.op !== 'constant') graph.setType(node, type);
  else graph.replace(node, () => graph.constant(shiftedTensor(node.tensor, shift), node.name, type.quant));
  return true;
}

/**
 * Stores unsigned integers as signed ones. ONNX quantizes to unsigned integers by default, TFLite computes with signed
 * ones: the same numbers, stored 128 lower (16 bits: 32768).
 */
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
