import { MbertError } from '../../errors.ts';
import type { OnnxFileNode } from '../../formats/onnx-decode.ts';
import { importOnnx } from '../../importers/onnx/import.ts';
import { isStatic, type Shape } from '../../ir/shape.ts';
import type { DType } from '../../ir/tensor.ts';
import type { Finding } from '../rule.ts';
import { type Dequantized, dequantizerOf, floatOf, isLinear, numbersOf, type OnnxLintModel } from './model.ts';

/**
 * The kernels that ONNX Runtime has for a product with integers in it; `float` is a Gemm or MatMul that reads
 * DequantizeLinears.
 */
export type Kernel =
  | 'QGemm'
  | 'QLinearMatMul'
  | 'MatMulIntegerToFloat'
  | 'DynamicQuantizeMatMul'
  | 'MatMulNBits'
  | 'MatMulInteger'
  | 'float';

/** The part of a product that keeps it from an integer kernel. */
export type Part = 'input' | 'weight' | 'bias' | 'output' | 'product';

/** A product of a file with the kernel that ONNX Runtime will run for it. */
export interface Product {
  /** The name of the product's result in the file. */
  readonly where: string;
  readonly kernel: Kernel;
  /** Whether the right operand is a constant. */
  readonly isLinear: boolean;
  /** The reason why it does not become one integer kernel. */
  readonly cause?: { readonly part: Part; readonly problem: string };
}

/** A file as rules see it, together with the kernels that ONNX Runtime will run for its products. */
export interface PredictedOnnx extends OnnxLintModel {
  readonly products: readonly Product[];
}

export function withPrediction(model: OnnxLintModel): PredictedOnnx {
  return { ...model, products: predictKernels(model) };
}

/** Warns of each product that one of its parts keeps from an integer kernel. */
export function* unfused({ products }: PredictedOnnx, part: Part): Iterable<Finding> {
  for (const { where, cause } of products) {
    if (cause?.part === part) yield { severity: 'warning', where, problem: cause.problem };
  }
}

/**
 * Predicts the kernels that ONNX Runtime (measured with 1.30 on x86, all optimizations) runs for each Gemm, MatMul,
 * MatMulInteger and MatMulNBits whose operands are stored as integers. Tests compare this with the graph that the runtime writes.
 */
export function predictKernels(model: OnnxLintModel): Product[] {
  const shapes = lazyShapes(model);
  const rescales = new Map<string, number>();
  const products: Product[] = [];
  for (const node of model.nodes) {
    if (node.op === 'MatMulInteger') {
      const key = rescaleOf(model, node)?.join(' ');
      if (key !== undefined) rescales.set(key, (rescales.get(key) ?? 0) + 1);
    }
  }
  for (const node of model.nodes) {
    const product =
      node.op === 'MatMulInteger'
        ? dynamicProduct(model, node, rescales)
        : node.op === 'MatMulNBits'
          ? blockProduct(model, node)
          : isLinear(node)
            ? quantizedProduct(model, node, shapes)
            : undefined;
    if (product) products.push(product);
  }
  return products;
}

/** A product that is a kernel of ONNX Runtime in the file already. */
function blockProduct(model: OnnxLintModel, { inputs, outputs }: OnnxFileNode): Product {
  return { where: outputs[0] ?? '', kernel: 'MatMulNBits', isLinear: model.constants.has(inputs[1] ?? '') };
}

function quantizedProduct(
  model: OnnxLintModel,
  node: OnnxFileNode,
  shapeOf: (value: string) => Shape | undefined,
): Product | undefined {
  const [a = '', b = ''] = node.inputs;
  const x = dequantizerOf(model, a);
  const weight = dequantizerOf(model, b);
  if (x === undefined && weight === undefined) return undefined;
  const isConstant = weight?.constant !== undefined || model.constants.has(b);
  const gemm = gemmOf(model, node, shapeOf);
  const where = gemm.output;
  const result = (kernel: Kernel, part?: Part, problem = ''): Product => ({
    where,
    kernel,
    isLinear: isConstant,
    ...(part && { cause: { part, problem } }),
  });
  const behind = gemm.isFlattened ? behindReshape(model, gemm.output) : behindOf(model, gemm.output);
  if (x === undefined) return weightOnly(model, gemm, weight as Dequantized, behind, result);
  const inputProblem = operandProblem(x);
  if (inputProblem !== undefined) return result('float', 'input', `its input ${a} ${inputProblem}`);
  // With a QuantizeLinear after the product, ONNX Runtime quantizes f32 weights and biases itself.
  const isQuantized = behind.kind === 'quantized';
  if (weight === undefined && !(isConstant && isQuantized)) {
    return result('float', 'weight', `its ${isConstant ? 'weight is f32' : `operand ${b} is not quantized`}`);
  }
  const weightProblem = weight && operandProblem(weight);
  if (weightProblem !== undefined) return result('float', 'weight', `its weight ${b} ${weightProblem}`);
  if (gemm.isGemm) {
    for (const name of ['alpha', 'beta']) {
      const value = floatOf(node, name, 1);
      if (value !== 1) return result('float', 'product', `its ${name} is ${value}, only 1 becomes a QGemm`);
    }
    const bias = biasProblem(model, gemm.bias, isQuantized);
    if (bias !== undefined) return result('float', 'bias', bias);
  }
  if (behind.kind === 'blocked') return result('float', 'output', behind.problem);
  const mixed = weight && mixedProblem(model, x, weight, behind);
  if (mixed !== undefined) return result('float', 'input', mixed);
  if (gemm.isGemm) return result('QGemm');
  return result(isQuantized ? 'QLinearMatMul' : 'MatMulIntegerToFloat');
}

/** A product as ONNX Runtime sees it: MatMul and Add of a bias become one Gemm where the shape of x is known. */
interface Gemm {
  readonly isGemm: boolean;
  /** Whether rows of tokens stand between two Reshapes, the second of them after the product. */
  readonly isFlattened: boolean;
  /** The name of the bias; empty where there is none. */
  readonly bias: string;
  readonly output: string;
}

function gemmOf(model: OnnxLintModel, node: OnnxFileNode, shapeOf: (value: string) => Shape | undefined): Gemm {
  const output = node.outputs[0] ?? '';
  if (node.op === 'Gemm') return { isGemm: true, isFlattened: false, bias: node.inputs[2] ?? '', output };
  const plain = { isGemm: false, isFlattened: false, bias: '', output };
  const [add, ...others] = model.readers.get(output) ?? [];
  if (add?.op !== 'Add' || others.length > 0 || model.outputs.has(output)) return plain;
  const bias = add.inputs.find((name) => name !== output) ?? '';
  const width = dequantizerOf(model, bias)?.constant?.shape ?? model.constants.get(bias)?.shape;
  if (width?.length !== 1) return plain;
  // Rows of tokens are flattened by a Reshape, for which every size must be a number.
  const shape = shapeOf(output);
  if (shape === undefined || (shape.length !== 2 && !isStatic(shape))) return plain;
  return { isGemm: true, isFlattened: shape.length !== 2, bias, output: add.outputs[0] ?? '' };
}

function operandProblem({ node, constant, zeroPoint, hasZeroPoint, block, stored }: Dequantized): string | undefined {
  if (block > 0) return 'is quantized in blocks';
  if (!hasZeroPoint) return `has no zero point: ${node.name} needs one, also where it is 0`;
  const dtype = constant?.dtype ?? zeroPoint?.dtype;
  if (dtype !== undefined && dtype !== 'i8' && dtype !== 'u8') return `(${stored}) is ${dtype}, not 8 bits`;
  return undefined;
}

function biasProblem(model: OnnxLintModel, bias: string, isQuantized: boolean): string | undefined {
  if (bias === '') return undefined;
  const dequantized = dequantizerOf(model, bias);
  if (dequantized === undefined) {
    if (isQuantized && model.constants.has(bias)) return undefined;
    return `its bias ${bias} is f32: an i32 bias of the scale s_x·s_w becomes a part of the QGemm`;
  }
  const dtype = dequantized.constant?.dtype;
  return dtype === 'i32' ? undefined : `its bias ${bias} is ${dtype ?? 'computed'}, not i32`;
}

/** Nodes that follow a product, as far as they decide the kernel. */
type Behind =
  | { readonly kind: 'float' }
  /** One QuantizeLinear alone reads the product. */
  | { readonly kind: 'quantized'; readonly by: OnnxFileNode }
  | { readonly kind: 'blocked'; readonly problem: string };

const FLOAT: Behind = { kind: 'float' };

function behindOf(model: OnnxLintModel, output: string): Behind {
  const readers = model.readers.get(output) ?? [];
  const [only] = readers;
  // A Relu that a QuantizeLinear alone reads vanishes where that cuts at 0 by itself. With another single reader it
  // blocks.
  if (readers.length === 1 && only?.op === 'Relu' && !model.outputs.has(output)) return behindRelu(model, only);
  const rounders = readers.filter(({ op }) => op === 'QuantizeLinear').length;
  if (rounders === 0) return FLOAT;
  if (rounders === 1 && readers.length === 1 && !model.outputs.has(output))
    return { kind: 'quantized', by: only as OnnxFileNode };
  return {
    kind: 'blocked',
    problem: 'a QuantizeLinear and something else read its output: only a QuantizeLinear alone becomes a part of it',
  };
}

/**
 * Finds what follows a product and its Reshape. ONNX Runtime moves a QuantizeLinear in front of the Reshape; anything
 * else there cannot get in the way.
 */
function behindReshape(model: OnnxLintModel, output: string): Behind {
  const behind = behindOf(model, output);
  const [only] = model.readers.get(output) ?? [];
  return behind.kind === 'quantized' && only === behind.by ? behind : FLOAT;
}

function behindRelu(model: OnnxLintModel, relu: OnnxFileNode): Behind {
  const output = relu.outputs[0] ?? '';
  const [reader, ...others] = model.readers.get(output) ?? [];
  if (reader === undefined || others.length > 0 || model.outputs.has(output)) return FLOAT;
  const blocked = (why: string): Behind => ({ kind: 'blocked', problem: `${relu.name} ${why}` });
  if (reader.op !== 'QuantizeLinear') {
    return blocked('is behind it without a QuantizeLinear: the two become a FusedGemm of floats');
  }
  const stored = model.constants.get(reader.inputs[2] ?? '');
  const zeroPoint = stored && numbersOf(stored)[0];
  const least = stored?.dtype === 'i8' ? -128 : 0;
  if (stored === undefined || zeroPoint === least) return { kind: 'quantized', by: reader };
  return blocked(`stays where its QuantizeLinear has the zero point ${zeroPoint}, not ${least}`);
}

/**
 * Says where i8 and u8 meet in one product. On x86 ONNX Runtime turns i8 activations into u8, but only what one node
 * reads: neighbours that stay i8 then have another type than those that do not, and no kernel takes both.
 */
function mixedProblem(model: OnnxLintModel, x: Dequantized, weight: Dequantized, behind: Behind): string | undefined {
  const from = runtimeType(model, x.stored, x.zeroPoint?.dtype);
  const operand = weight.constant ? weight.constant.dtype : runtimeType(model, weight.stored, weight.zeroPoint?.dtype);
  if (from === 'i8' && operand === 'u8') return `its input ${x.stored} is i8 and its weight u8`;
  if (behind.kind !== 'quantized') return undefined;
  const [, , zeroPoint = ''] = behind.by.inputs;
  const to = runtimeType(model, behind.by.outputs[0] ?? '', model.constants.get(zeroPoint)?.dtype ?? 'u8');
  if (from === to) return undefined;
  return `its input ${x.stored} runs as ${from} and its output as ${to}: i8 with several readers stays i8, other i8 becomes u8`;
}

/** The type that a stored value has while it runs. */
function runtimeType(model: OnnxLintModel, stored: string, dtype: DType | undefined): DType | undefined {
  if (dtype !== 'i8' || model.makers.get(stored)?.op !== 'QuantizeLinear') return dtype;
  const readers = (model.readers.get(stored) ?? []).flatMap(
    ({ outputs: [value = ''] }) => model.readers.get(value) ?? [],
  );
  return readers.length > 1 ? 'i8' : 'u8';
}

/**
 * Predicts a product with integers for its weight alone: they are unpacked inside the kernel, at the speed of floats or
 * below.
 */
function weightOnly(
  model: OnnxLintModel,
  gemm: Gemm,
  weight: Dequantized,
  behind: Behind,
  result: (kernel: Kernel, part?: Part, problem?: string) => Product,
): Product {
  const isPlain = behind.kind === 'float' && weight.constant !== undefined;
  if (isPlain) return result('MatMulNBits');
  const [first] = model.readers.get(gemm.output) ?? [];
  return result(
    'float',
    'input',
    `its input is f32 and ${first?.op ?? 'nothing'} reads it: the weight is unpacked at each run`,
  );
}

/** The two scales of a MatMulInteger, as keys, if it is followed by the Cast and Mul that ONNX Runtime looks for. */
function rescaleOf(model: OnnxLintModel, node: OnnxFileNode): readonly string[] | undefined {
  const cast = onlyReader(model, node.outputs[0]);
  const product = cast?.op === 'Cast' ? onlyReader(model, cast.outputs[0]) : undefined;
  if (product?.op !== 'Mul') return undefined;
  const scale = model.makers.get(product.inputs.find((name) => name !== cast?.outputs[0]) ?? '');
  if (scale?.op !== 'Mul') return undefined;
  return scale.inputs.map((name) => keyOf(model, name)).toSorted();
}

/**
 * A key that two values share if they are the same. Constants are where they hold the same bytes: ONNX Runtime merges
 * what is computed from them.
 */
function keyOf(model: OnnxLintModel, name: string): string {
  const constant = model.constants.get(name);
  if (constant !== undefined)
    return `${constant.dtype}${constant.shape}#${Buffer.from(constant.bytes()).toString('base64')}`;
  const maker = model.makers.get(name);
  return maker ? `${maker.op} ${maker.inputs.join(' ')} ${maker.outputs.indexOf(name)}` : name;
}

function onlyReader(model: OnnxLintModel, value = ''): OnnxFileNode | undefined {
  const readers = model.readers.get(value) ?? [];
  return readers.length === 1 && !model.outputs.has(value) ? readers[0] : undefined;
}

function dynamicProduct(model: OnnxLintModel, node: OnnxFileNode, rescales: ReadonlyMap<string, number>): Product {
  const [values = '', weight = ''] = node.inputs;
  const common = { where: node.outputs[0] ?? '', isLinear: model.constants.has(weight) };
  const unfused = (problem: string): Product => ({
    ...common,
    kernel: 'MatMulInteger',
    cause: { part: 'product', problem },
  });
  const rescale = rescaleOf(model, node);
  if (rescale === undefined) {
    return unfused('it is not followed by Cast and a Mul by s_x·s_w alone, which would become one kernel with it');
  }
  if ((rescales.get(rescale.join(' ')) ?? 0) > 1) {
    return unfused(
      'another product has the same scales: ONNX Runtime computes s_x·s_w once for both, and fuses neither',
    );
  }
  const rounder = model.makers.get(values);
  if (rounder?.op !== 'DynamicQuantizeLinear') return unfused('its input does not come from DynamicQuantizeLinear');
  const isAlone = sameRounders(model, rounder).length === 1 && isReadBy(model, rounder.outputs[0] ?? '', [node]);
  return { ...common, kernel: isAlone ? 'DynamicQuantizeMatMul' : 'MatMulIntegerToFloat' };
}

/** Lists the DynamicQuantizeLinears that round the same value, which ONNX Runtime merges. */
function sameRounders(model: OnnxLintModel, rounder: OnnxFileNode): readonly OnnxFileNode[] {
  const readers = model.readers.get(rounder.inputs[0] ?? '') ?? [];
  return readers.filter(({ op }) => op === 'DynamicQuantizeLinear');
}

function isReadBy(model: OnnxLintModel, value: string, nodes: readonly OnnxFileNode[]): boolean {
  return (model.readers.get(value) ?? []).every((reader) => nodes.includes(reader)) && !model.outputs.has(value);
}

/** Looks up shapes by the name of the value, as mbert's importer finds them; it runs only where a shape decides. */
function lazyShapes({ file }: OnnxLintModel): (value: string) => Shape | undefined {
  let shapes: ReadonlyMap<string, Shape> | undefined;
  return (value) => {
    shapes ??= importedShapes(file);
    return shapes.get(value);
  };
}

function importedShapes(file: OnnxLintModel['file']): ReadonlyMap<string, Shape> {
  try {
    return new Map(
      importOnnx(file, 'model')
        .nodes()
        .map(({ name, type }) => [name, type.shape]),
    );
  } catch (cause) {
    // What mbert cannot import has no shapes here; such a MatMul is then taken to stay one.
    if (cause instanceof MbertError) return new Map();
    throw cause;
  }
}
