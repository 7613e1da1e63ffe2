import { MbertError } from '../../errors.ts';
import { ONNX_DTYPES, type OnnxAttribute, type OnnxInitializer, type OnnxNode } from '../../formats/onnx.ts';
import type { Constant, Graph, Node } from '../../ir/graph.ts';
import { computedType, isFloat } from '../../ir/op.ts';
import { type Dim, limitOf, sizeOf } from '../../ir/shape.ts';
import {
  arrayOf,
  convertTensor,
  integerTensor,
  type Quant,
  scalarTensor,
  type Tensor,
  type TensorType,
} from '../../ir/tensor.ts';
import { takeName } from '../names.ts';
import { type Fusions, findFusions } from './fusions.ts';
import type { OnnxModelOptions } from './options.ts';
import { axisOfQuant, refuseToQuantize, scaleTensor, zeroPointTensor } from './quantization.ts';

/** Name of a value and the type that it has in the file. */
export interface Stored {
  readonly name: string;
  readonly type: TensorType;
}

type Attributes = { readonly [name: string]: OnnxAttribute };

/** One of the ONNX nodes that compute a value in a row; `part` names what it computes. */
export interface Step {
  readonly part: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly attributes?: Attributes;
}

/**
 * Least elements of an f16 constant: gains, offsets and mask values are under 1 % of an f16 file and want f32's range.
 */
const MIN_F16_ELEMENTS = 1024;

/**
 * Collects the nodes and initializers of an ONNX graph while lowerings go over ours. Every name is given once; nodes
 * come in topological order as long as lowerings do.
 */
export class OnnxBuilder {
  readonly opset: number;
  /** The operators that the file may use: those of the standard, or ONNX Runtime's own besides. */
  readonly operators: 'standard' | 'onnxruntime';
  readonly fusions: Fusions;
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
  readonly #graph: Graph;
  readonly #weights: 'f32' | 'f16';
  readonly #taken = new Set<string>();
  readonly #names = new Map<Node, string>();
  readonly #stored = new Map<Constant, Stored>();
  readonly #shared = new Map<string, string>();
  readonly #parts = new Map<string, readonly string[]>();

  constructor(graph: Graph, { opset, operators = 'standard', dtype }: OnnxModelOptions) {
    this.opset = opset;
    this.operators = operators;
    this.fusions = findFusions(graph);
    this.#graph = graph;
    this.#weights = dtype;
    for (const input of graph.inputs) this.#names.set(input, takeName(this.#taken, input.name));
    for (const { name, node } of graph.outputs) {
      if (node.op === 'input' && node.name === name) continue;
      if (this.#taken.has(name)) {
        throw new MbertError('UNSUPPORTED', `${name}: onnx cannot give an input and another output one name`);
      }
      this.#taken.add(name);
      if (node.op !== 'input' && node.op !== 'constant' && !this.#names.has(node)) this.#names.set(node, name);
    }
  }

  /** Name of a node's value as nodes compute with it: f32 for floats and for quantized values. */
  value(node: Node): string {
    return this.read(this.stored(node));
  }

  /** Value of a node as the file holds it: integers where it is quantized. A constant is written at its first use. */
  stored(node: Node): Stored {
    if (node.op !== 'constant') return { name: this.#nameOf(node), type: storedType(node) };
    let stored = this.#stored.get(node);
    if (!stored) {
      stored = this.store(node.name, node.tensor, node.type.quant);
      this.#stored.set(node, stored);
    }
    return stored;
  }

  /**
   * Name of what a reader outside sees of a node: integers where it is quantized, otherwise what nodes compute with.
   */
  outside(node: Node): string {
    return node.type.quant ? this.stored(node).name : this.value(node);
  }

  /**
   * Reads a stored value as nodes compute with it, by one DequantizeLinear or one Cast however many read it. Every
   * quantized value is read through this, so that what reads it sees the pair that ONNX Runtime fuses.
   */
  read(stored: Stored): string {
    const { name, type } = stored;
    if (type.quant) return this.once(`${name}/f32`, (key) => this.#dequantize(key, stored));
    if (!isFloat(type.dtype) || type.dtype === 'f32') return name;
    return this.once(`${name}/f32`, (key) => this.emit(key, 'Cast', [name], { to: { int: ONNX_DTYPES.f32 } }));
  }

  /** Scale of a stored quantized value: rank 0 per tensor, a vector per channel, a tensor of blocks. */
  scaleOf({ name, type }: Stored): string {
    const quant = type.quant as Quant;
    if (quant.per === 'tensor') return this.scalar(quant.scale);
    // Not as `store` would: in an f16 file the scales of blocks are as many as weights, but stay f32.
    return this.once(`${name}/scale`, (key) => this.initializer(key, scaleTensor(quant, type, name)));
  }

  /** Zero point in the value's own dtype, none where ONNX has none: i32, and blocks that need none. */
  zeroPointOf({ name, type }: Stored): string | undefined {
    const tensor = zeroPointTensor(type, name);
    if (tensor === undefined) return undefined;
    const quant = type.quant as Quant;
    if (quant.per === 'tensor') {
      return this.once(`${type.dtype}_${quant.zeroPoint}`, (key) => this.constant(key, tensor));
    }
    if (quant.zeroPoints) return this.once(`${name}/zero_point`, (key) => this.constant(key, tensor));
    return this.once(`${type.dtype}_zeros_${tensor.shape[0]}`, (key) => this.constant(key, tensor));
  }

  /** Writes a tensor that a lowering made, and returns its value. */
  constant(wanted: string, tensor: Tensor, quant?: Quant): string {
    return this.read(this.store(wanted, tensor, quant));
  }

  /** Writes an initializer. Floats take the file's type; with `quant` the tensor holds the stored integers. */
  store(wanted: string, tensor: Tensor, quant?: Quant): Stored {
    const isWeight = tensor.shape.length > 1 && sizeOf(tensor.shape) >= MIN_F16_ELEMENTS;
    const dtype = !isFloat(tensor.dtype) ? tensor.dtype : isWeight ? this.#weights : 'f32';
    const name = this.initializer(wanted, dtype === 'f16' ? halfTensor(wanted, tensor) : convertTensor(tensor, dtype));
    return { name, type: { dtype, shape: tensor.shape, ...(quant && { quant }) } };
  }

  /** Writes an initializer as it is, whatever type the file's weights have. */
  initializer(wanted: string, tensor: Tensor): string {
    const name = takeName(this.#taken, wanted);
    this.initializers.push({ name, tensor });
    return name;
  }

  /** Writes an f32 constant of rank 0, once. */
  scalar(value: number): string {
    return this.once(`f32_${value}`, (name) => this.constant(name, scalarTensor(value)));
  }

  /** Writes an int64 constant of rank 0, once. */
  integer(value: number): string {
    return this.once(`i64_scalar_${value}`, (name) => this.constant(name, integerTensor('i64', [value], [])));
  }

  /** Writes an int64 vector, once. */
  integers(values: readonly number[]): string {
    return this.once(`i64_${values.join('_')}`, (name) => this.constant(name, integerTensor('i64', values)));
  }

  /** Writes a value inside a lowering: `part` tells it from the others of the node. */
  step(node: Node, part: string, op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.emit(`${this.#nameOf(node)}/${part}`, op, inputs, attributes);
  }

  /** Writes a node's own value, the last step of its lowering, and a QuantizeLinear where it is stored quantized. */
  result(node: Node, op: string, inputs: readonly string[], attributes: Attributes = {}): void {
    if (node.type.quant) {
      this.quantize(node, this.step(node, 'real', op, inputs, attributes));
      return;
    }
    const name = this.#nameOf(node);
    this.nodes.push({ name, op, inputs, outputs: [name], attributes });
  }

  /**
   * Writes ONNX nodes in a row: each reads the one before it and then its own inputs; the last is the node's own value.
   */
  chain(node: Node, steps: readonly Step[]): void {
    let before: readonly string[] = [];
    steps.forEach(({ part, op, inputs, attributes }, i) => {
      const all = [...before, ...inputs];
      if (i === steps.length - 1) this.result(node, op, all, attributes);
      else before = [this.step(node, part, op, all, attributes)];
    });
  }

  /** Writes a node's own value as `real`, quantized. */
  quantize(node: Node, real: string): void {
    refuseToQuantize(node);
    const stored = this.stored(node);
    const inputs = [real, this.scaleOf(stored), this.zeroPointOf(stored) as string];
    const { name } = stored;
    this.nodes.push({ name, op: 'QuantizeLinear', inputs, outputs: [name], attributes: axisOfQuant(stored.type) });
  }

  /** Writes one ONNX node that gives the values of several nodes. */
  results(nodes: readonly Node[], op: string, inputs: readonly string[], attributes: Attributes = {}): void {
    const outputs = nodes.map((node) => this.#nameOf(node));
    this.nodes.push({
      name: takeName(this.#taken, `${outputs[0]}/${op.toLowerCase()}`),
      op,
      inputs,
      outputs,
      attributes,
    });
  }

  /** Gives a value a further name, one of the graph's outputs. */
  copy(value: string, output: string): void {
    this.nodes.push({ name: output, op: 'Identity', inputs: [value], outputs: [output], attributes: {} });
  }

  /** Writes a node with one output under this name or, where that is taken, one like it. */
  emit(wanted: string, op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    const name = takeName(this.#taken, wanted);
    this.nodes.push({ name, op, inputs, outputs: [name], attributes });
    return name;
  }

  /** Name of what `make` writes under the name `key` at the first call. */
  once(key: string, make: (key: string) => string): string {
    const name = this.#shared.get(key) ?? make(key);
    this.#shared.set(key, name);
    return name;
  }

  /** Outputs of one node, called after `key` and `parts`, which is written at the first call. */
  parts(key: string, parts: readonly string[], op: string, inputs: readonly string[]): readonly string[] {
    let outputs = this.#parts.get(key);
    if (!outputs) {
      outputs = parts.map((part) => takeName(this.#taken, `${key}/${part}`));
      this.nodes.push({ name: takeName(this.#taken, key), op, inputs, outputs, attributes: {} });
      this.#parts.set(key, outputs);
    }
    return outputs;
  }

  /** Writes a dimension of this run as an int64[1]; `reader` is the node that needs it. */
  size(dim: Dim, reader: Node): string {
    if (typeof dim === 'number') return this.integers([dim]);
    return this.once(`size_of_${dim}`, (name) => {
      const [first = dim, ...rest] = dim.split('*');
      if (rest.length > 0) {
        const factors = [first, ...rest].map((part) => this.size(/^\d+$/.test(part) ? Number(part) : part, reader));
        return factors.reduce((a, b) => this.emit(name, 'Mul', [a, b]));
      }
      const { symbol, limit } = limitOf(first);
      if (symbol !== first) return this.emit(name, 'Min', [this.size(symbol, reader), this.integers([limit])]);
      const source = this.#graph.inputs.find((input) => input.type.shape.includes(dim));
      if (!source)
        throw new MbertError('UNSUPPORTED', `${reader.name}: onnx cannot tell ${dim} from any input's shape`);
      const shape = this.once(`${source.name}/shape`, (key) => this.emit(key, 'Shape', [this.#nameOf(source)]));
      return this.emit(name, 'Gather', [shape, this.integers([source.type.shape.indexOf(dim)])]);
    });
  }

  #nameOf(node: Node): string {
    const name = this.#names.get(node) ?? takeName(this.#taken, node.name);
    this.#names.set(node, name);
    return name;
  }

  #dequantize(name: string, stored: Stored): string {
    const zeroPoint = this.zeroPointOf(stored);
    const inputs = [stored.name, this.scaleOf(stored), ...(zeroPoint === undefined ? [] : [zeroPoint])];
    return this.emit(name, 'DequantizeLinear', inputs, axisOfQuant(stored.type));
  }
}

/** Type of a computed value or an input: floats are computed in f32, but an input comes as what it is. */
function storedType(node: Node): TensorType {
  const { dtype, shape, quant } = node.type;
  return quant || node.op === 'input' ? node.type : { dtype: computedType(dtype), shape };
}

/** Converts a weight to f16; a number that only f32 can hold would silently become infinite, so it is refused. */
function halfTensor(name: string, tensor: Tensor): Tensor {
  if (tensor.dtype === 'f16') return tensor;
  const half = convertTensor(tensor, 'f16') as Tensor & { dtype: 'f16' };
  return {
    ...half,
    bytes() {
      const bytes = half.bytes();
      const bits = arrayOf({ ...half, bytes: () => bytes });
      for (let i = 0; i < bits.length; i++) {
        if (((bits[i] as number) & 0x7fff) !== 0x7c00) continue;
        throw new MbertError('UNSUPPORTED', `${name}: weight: element ${i} is too large for f16`, {
          hint: 'write f32',
        });
      }
      return bytes;
    },
  };
}
