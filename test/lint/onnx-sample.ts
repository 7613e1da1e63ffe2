import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onnxModel } from '../../src/exporters/onnx/model.ts';
import { onnx } from '../../src/exporters/onnx.ts';
import type { OnnxModel, OnnxNode } from '../../src/formats/onnx.ts';
import { encodeOnnx } from '../../src/formats/onnx-encode.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { convertTensor, type DType, integerTensor, readF32, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { type Kernel, type PredictedOnnx, withPrediction } from '../../src/lint/onnx/kernels.ts';
import { dequantizerOf, openOnnx } from '../../src/lint/onnx/model.ts';
import { onnxruntime } from '../../src/runtimes/onnxruntime.ts';
import { graphOf, randomTensor } from '../core.ts';
import { quantizeDynamic, quantizeStatic } from '../exporters/quantize-by-hand.ts';

/** A feed-forward part with its residual and a head, for any number of tokens. */
const FEED_FORWARD = `graph tiny (x: f32[tokens, 16])
  up = linear(x, up.weight f32[32, 16] #1, up.bias f32[32] #2) {activation: relu}
  down = linear(up, down.weight f32[16, 32] #3, down.bias f32[16] #4)
  sum = add(down, x)
  head = linear(sum, head.weight f32[4, 16] #5, head.bias f32[4] #6)
  return out: head`;

const TOKENS = 5;

/** Integers in every linear, in the form that becomes a QGemm: nothing for a rule to find. */
export function staticModel(): OnnxModel {
  const graph = graphOf(FEED_FORWARD);
  const x = randomTensor({ dtype: 'f32', shape: [TOKENS, 16] }, 7);
  quantizeStatic(graph, [new Map([['x', x]])]);
  return onnxModel(graph, onnx.defaults);
}

/** The same with integers that are made at run time, a second linear beside `up`. */
export function dynamicModel(): OnnxModel {
  const graph = graphOf(
    FEED_FORWARD.replace('sum = add(down, x)', 'side = linear(x, side.weight f32[16, 16] #7)\n  sum = add(down, side)'),
  );
  quantizeDynamic(graph);
  return onnxModel(graph, onnx.defaults);
}

export function floatModel(): OnnxModel {
  return onnxModel(graphOf(FEED_FORWARD), onnx.defaults);
}

/** A model to be changed, part by part. */
export class OnnxChanges {
  model: OnnxModel;

  constructor(model: OnnxModel) {
    this.model = model;
  }

  /** The node that makes a value. */
  node(output: string): OnnxNode {
    const node = this.model.nodes.find(({ outputs }) => outputs.includes(output));
    if (node === undefined)
      throw new Error(`nothing makes ${output}: ${this.model.nodes.flatMap((each) => each.outputs)}`);
    return node;
  }

  changeNode(output: string, change: Partial<OnnxNode>): void {
    const old = this.node(output);
    this.#nodes(this.model.nodes.map((node) => (node === old ? { ...node, ...change } : node)));
  }

  /** The node behind others, at the end; the model's output is what it makes where `output` says so. */
  append(op: string, inputs: readonly string[], output: string, attributes: OnnxNode['attributes'] = {}): void {
    this.#nodes([...this.model.nodes, { name: output, op, inputs, outputs: [output], attributes }]);
  }

  /** In front of everything. */
  prepend(op: string, inputs: readonly string[], output: string, attributes: OnnxNode['attributes'] = {}): void {
    this.#nodes([{ name: output, op, inputs, outputs: [output], attributes }, ...this.model.nodes]);
  }

  /** Directly behind the node that makes `before`. */
  insert(before: string, op: string, inputs: readonly string[], output: string): void {
    const at = this.model.nodes.indexOf(this.node(before)) + 1;
    this.#nodes(this.model.nodes.toSpliced(at, 0, { name: output, op, inputs, outputs: [output], attributes: {} }));
  }

  remove(output: string): void {
    const old = this.node(output);
    this.#nodes(this.model.nodes.filter((node) => node !== old));
  }

  tensor(name: string): Tensor {
    const found = this.model.initializers.find((each) => each.name === name);
    if (found === undefined)
      throw new Error(`no constant ${name}: ${this.model.initializers.map((each) => each.name)}`);
    return found.tensor;
  }

  setTensor(name: string, tensor: Tensor): void {
    const others = this.model.initializers.filter((each) => each.name !== name);
    this.model = { ...this.model, initializers: [...others, { name, tensor }] };
  }

  /** One element of a constant, the others as they are. */
  setElement(name: string, at: number, value: number): void {
    const { dtype, shape } = this.tensor(name);
    const values = readF32(this.tensor(name)).slice();
    values[at] = value;
    this.setTensor(name, dtype === 'f32' ? tensorOf('f32', shape, values) : integers(dtype, shape, values));
  }

  /** The same integers or floats in another shape. */
  reshape(name: string, shape: readonly number[]): void {
    const tensor = this.tensor(name);
    this.setTensor(name, { ...tensor, shape, bytes: () => tensor.bytes() });
  }

  addOutput(name: string, shape: readonly (number | string)[]): void {
    this.model = { ...this.model, outputs: [...this.model.outputs, { name, dtype: 'f32', shape }] };
  }

  #nodes(nodes: readonly OnnxNode[]): void {
    this.model = { ...this.model, nodes };
  }
}

export function integers(dtype: DType, shape: readonly number[], values: ArrayLike<number>): Tensor {
  const all = Array.from({ length: sizeOf(shape) }, (_, i) => values[i] ?? values[0] ?? 0);
  return convertTensor(integerTensor('i32', all, shape), dtype);
}

/** A Gemm whose weight is turned is a MatMul with the weight's columns; the bias comes behind it. */
export function toMatMul(file: OnnxChanges, linear: string, bias: string): void {
  const [x = '', weight = ''] = file.node(linear).inputs;
  const turned = file.node(weight);
  const [stored = ''] = turned.inputs;
  const { dtype, shape } = file.tensor(stored);
  const [rows, width] = shape as [number, number];
  const values = readF32(file.tensor(stored));
  const columns = Array.from(values, (_, i) => values[(i % rows) * width + Math.floor(i / rows)] as number);
  file.setTensor(stored, integers(dtype, [width, rows], columns));
  file.changeNode(weight, { attributes: { axis: { int: 1 } } });
  file.changeNode(linear, {
    op: 'MatMul',
    inputs: [x, weight],
    outputs: [`${linear}/product`],
    attributes: {},
    name: `${linear}/product`,
  });
  file.insert(`${linear}/product`, 'Add', [`${linear}/product`, bias], linear);
}

/** Writes a model for as long as `use` needs it. */
export async function withFile<T>(model: OnnxModel, use: (path: string, folder: string) => T | Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'mbert-lint-'));
  try {
    const path = join(folder, 'model.onnx');
    for (const { name, chunks } of encodeOnnx(model, { fileName: 'model.onnx' })) {
      const parts: Uint8Array[] = [];
      for await (const chunk of chunks) parts.push(chunk);
      writeFileSync(join(folder, name), Buffer.concat(parts));
    }
    return await use(path, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What rules see of a file. */
export function opened<T>(path: string, use: (model: PredictedOnnx) => T): T {
  const { model, close } = openOnnx(path);
  try {
    return use(withPrediction(model));
  } finally {
    close();
  }
}

export type KernelCounts = { readonly [K in Kernel]?: number };

export function predictedKernels(model: PredictedOnnx): KernelCounts {
  return count(model.products.map(({ kernel }) => kernel));
}

const INTEGER_KERNELS: ReadonlySet<string> = new Set<Kernel>([
  'QGemm',
  'QLinearMatMul',
  'MatMulIntegerToFloat',
  'DynamicQuantizeMatMul',
  'MatMulNBits',
  'MatMulInteger',
]);
const FLOAT_PRODUCTS: ReadonlySet<string> = new Set(['Gemm', 'MatMul', 'FusedGemm', 'FusedMatMul']);

/** The kernels in the graph that ONNX Runtime makes of a file; `float` are products that read a DequantizeLinear. */
export async function realKernels(path: string, folder: string): Promise<KernelCounts> {
  const optimizedModelPath = join(folder, 'optimized.onnx');
  await (await onnxruntime.load(path, { optimizedModelPath, threads: 1 })).close();
  return opened(optimizedModelPath, (model) => {
    const kernels = model.nodes.flatMap(({ op, inputs }): Kernel[] => {
      if (INTEGER_KERNELS.has(op)) return [op as Kernel];
      const isDequantized = inputs.some((name) => dequantizerOf(model, name) !== undefined);
      return FLOAT_PRODUCTS.has(op) && isDequantized ? ['float'] : [];
    });
    return count(kernels);
  });
}

/** Products of the runtime's graph that read a DequantizeLinear: a linear's input, weight or bias that did not become part of it. */
export async function leftDequantized(path: string, folder: string): Promise<string[]> {
  const optimizedModelPath = join(folder, 'left.onnx');
  await (await onnxruntime.load(path, { optimizedModelPath, threads: 1 })).close();
  return opened(optimizedModelPath, (model) =>
    model.nodes
      .filter(({ op }) => FLOAT_PRODUCTS.has(op) || INTEGER_KERNELS.has(op))
      .flatMap(({ inputs }) => inputs.filter((name) => dequantizerOf(model, name) !== undefined)),
  );
}

function count(kernels: readonly Kernel[]): KernelCounts {
  const counts: { [K in Kernel]?: number } = {};
  for (const kernel of kernels) counts[kernel] = (counts[kernel] ?? 0) + 1;
  return counts;
}
