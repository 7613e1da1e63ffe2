import type { OnnxFileNode } from '../../formats/onnx-decode.ts';
import type { DType, Tensor } from '../../ir/tensor.ts';
import { type Dequantized, dequantizerOf, intOf, isLinear, type OnnxLintModel } from './model.ts';

/** A product with a weight that is stored as integers. */
export interface IntegerLinear {
  readonly node: OnnxFileNode;
  /** The name of the weight's integers. */
  readonly where: string;
  readonly weight: Tensor;
  /** The weight's scales; undefined where they are not constant. */
  readonly scale: Tensor | undefined;
  /** The weight's zero points; undefined where there are none, or they are not constant. */
  readonly zeroPoint: Tensor | undefined;
  /** The number of outputs. */
  readonly channels: number;
  /** Whether blocks along the inputs have scales of their own. */
  readonly isBlockwise: boolean;
  /** The input that the weight is multiplied with; undefined for a MatMulInteger, which has it elsewhere. */
  readonly x: Dequantized | undefined;
  /** The bias; undefined where there is none, and for a MatMulInteger. */
  readonly bias: Dequantized | undefined;
}

/**
 * Lists every linear of the file whose weight is integers: one read through DequantizeLinear, or that of a
 * MatMulInteger.
 */
export function* integerLinears(model: OnnxLintModel): Iterable<IntegerLinear> {
  for (const node of model.nodes) {
    if (isLinear(node)) {
      const weight = dequantizerOf(model, node.inputs[1]);
      if (weight?.constant !== undefined) yield dequantizedLinear(model, node, weight, weight.constant);
    } else if (node.op === 'MatMulInteger') {
      const [, name = '', , zeroPoint = ''] = node.inputs;
      const weight = model.constants.get(name);
      if (weight === undefined) continue;
      yield {
        node,
        where: name,
        weight,
        scale: dynamicScale(model, node),
        zeroPoint: model.constants.get(zeroPoint),
        channels: weight.shape.at(-1) ?? 1,
        isBlockwise: false,
        x: undefined,
        bias: undefined,
      };
    }
  }
}

function dequantizedLinear(
  model: OnnxLintModel,
  node: OnnxFileNode,
  { stored, scale, zeroPoint, block }: Dequantized,
  weight: Tensor,
): IntegerLinear {
  const isTransposed = intOf(node, 'transB', 0) === 1;
  return {
    node,
    where: stored,
    weight,
    scale,
    zeroPoint,
    channels: weight.shape.at(isTransposed ? 0 : -1) ?? 1,
    isBlockwise: block > 0,
    x: dequantizerOf(model, node.inputs[0]),
    bias: dequantizerOf(model, node.inputs[2] ?? biasOf(model, node)),
  };
}

/** Finds the integer bias of a MatMul, which is in the Add that follows. */
function biasOf(model: OnnxLintModel, node: OnnxFileNode): string | undefined {
  const [output = ''] = node.outputs;
  const [add, ...others] = model.readers.get(output) ?? [];
  if (node.op !== 'MatMul' || add?.op !== 'Add' || others.length > 0) return undefined;
  const bias = add.inputs.find((name) => name !== output);
  return dequantizerOf(model, bias)?.constant?.dtype === 'i32' ? bias : undefined;
}

/** Finds the scale s_w in the Mul by s_x·s_w after a MatMulInteger. */
function dynamicScale(model: OnnxLintModel, node: OnnxFileNode): Tensor | undefined {
  const [cast] = model.readers.get(node.outputs[0] ?? '') ?? [];
  const [product] = model.readers.get(cast?.outputs[0] ?? '') ?? [];
  for (const input of product?.inputs ?? []) {
    for (const factor of model.makers.get(input)?.inputs ?? []) {
      const constant = model.constants.get(factor);
      if (model.makers.get(input)?.op === 'Mul' && constant !== undefined) return constant;
    }
  }
  return undefined;
}

export const UNSIGNED: ReadonlySet<DType> = new Set(['u8', 'u16', 'u4']);
