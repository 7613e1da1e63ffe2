import { MbertError } from '../../errors.ts';
import { ONNX_DTYPES, type OnnxAttribute, type OnnxInitializer, type OnnxNode } from '../../formats/onnx.ts';
import type { Constant, Graph, Node } from '../../graph.ts';
import { isFloat } from '../../op.ts';
import { type Dim, sizeOf } from '../../shape.ts';
import { arrayOf, convertTensor, type DType, integerTensor, scalarTensor, type Tensor } from '../../tensor.ts';
import { type Fusions, findFusions } from './fusions.ts';

/** An initializer's name and the type it has in the file. */
export interface Stored {
  readonly name: string;
  readonly dtype: DType;
}

export type Attributes = { readonly [name: string]: OnnxAttribute };

/** Smaller constants stay f32 in an f16 file: gains, offsets and mask values are under 1 % of it and want their range. */
const MIN_F16_ELEMENTS = 1024;

/**
 * Collects the nodes and initializers of an ONNX graph while lowerings go over ours. Every name is given once; nodes
 * come in topological order as long as lowerings do.
 */
export class OnnxBuilder {
  readonly opset: number;
  readonly fusions: Fusions;
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
  readonly #graph: Graph;
  readonly #weights: 'f32' | 'f16';
  readonly #taken = new Set<string>();
  readonly #names = new Map<Node, string>();
  readonly #stored = new Map<Constant, Stored>();
  readonly #made = new Map<string, string>();

  constructor(graph: Graph, opset: number, weights: 'f32' | 'f16') {
    this.opset = opset;
    this.fusions = findFusions(graph);
    this.#graph = graph;
    this.#weights = weights;
    for (const input of graph.inputs) this.#names.set(input, this.#free(input.name));
    for (const { name, node } of graph.outputs) {
      if (node.op === 'input' && node.name === name) continue;
      if (this.#taken.has(name)) {
        throw new MbertError('UNSUPPORTED', `${name}: onnx cannot give an input and another output one name`);
      }
      this.#taken.add(name);
      if (node.op !== 'input' && node.op !== 'constant' && !this.#names.has(node)) this.#names.set(node, name);
    }
  }

  /** The name of a node's value; floats are f32, whatever they are stored as. */
  value(node: Node): string {
    if (node.op === 'constant') return this.#read(this.stored(node));
    return this.#read({ name: this.#nameOf(node), dtype: node.op === 'input' ? node.type.dtype : 'f32' });
  }

  /** A constant as the file holds it, f16 weights not widened; written at its first use. */
  stored(node: Constant): Stored {
    let stored = this.#stored.get(node);
    if (!stored) {
      stored = this.#store(node.name, node.tensor);
      this.#stored.set(node, stored);
    }
    return stored;
  }

  /** Writes a constant that a lowering made, and returns its value. */
  constant(wanted: string, tensor: Tensor): string {
    return this.#read(this.#store(wanted, tensor));
  }

  /** A f32 constant of rank 0. */
  scalar(value: number): string {
    return this.once(`f32_${value}`, (name) => this.constant(name, scalarTensor(value)));
  }

  /** An int64 vector. */
  integers(values: readonly number[]): string {
    return this.once(`i64_${values.join('_')}`, (name) => this.constant(name, integerTensor('i64', values)));
  }

  /** A value inside a lowering: `part` tells it from the others of the node. */
  step(node: Node, part: string, op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.emit(`${this.#nameOf(node)}/${part}`, op, inputs, attributes);
  }

  /** The node's own value: the last step of its lowering. */
  result(node: Node, op: string, inputs: readonly string[], attributes: Attributes = {}): void {
    const name = this.#nameOf(node);
    this.nodes.push({ name, op, inputs, outputs: [name], attributes });
  }

  /** One ONNX node that is the values of several nodes. */
  results(nodes: readonly Node[], op: string, inputs: readonly string[], attributes: Attributes = {}): void {
    const outputs = nodes.map((node) => this.#nameOf(node));
    this.nodes.push({ name: this.#free(`${outputs[0]}/${op.toLowerCase()}`), op, inputs, outputs, attributes });
  }

  /** Gives a value a further name, one of the graph's outputs. */
  copy(value: string, output: string): void {
    this.nodes.push({ name: output, op: 'Identity', inputs: [value], outputs: [output], attributes: {} });
  }

  /** Writes a node with one output under this name or, where that is taken, one like it. */
  emit(wanted: string, op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    const name = this.#free(wanted);
    this.nodes.push({ name, op, inputs, outputs: [name], attributes });
    return name;
  }

  /** What `make` writes under the name `key`, written at the first call. */
  once(key: string, make: (key: string) => string): string {
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const name = make(key);
    this.#made.set(key, name);
    return name;
  }

  /** A dimension of this run as an int64[1]; `reader` is who needs it. */
  size(dim: Dim, reader: Node): string {
    if (typeof dim === 'number') return this.integers([dim]);
    return this.once(`size_of_${dim}`, (name) => {
      const [first, ...rest] = dim.split('*');
      if (rest.length > 0) {
        const factors = [first as string, ...rest].map((part) =>
          this.size(/^\d+$/.test(part) ? Number(part) : part, reader),
        );
        return factors.reduce((a, b) => this.emit(name, 'Mul', [a, b]));
      }
      const source = this.#graph.inputs.find((input) => input.type.shape.includes(dim));
      if (!source)
        throw new MbertError('UNSUPPORTED', `${reader.name}: onnx cannot tell ${dim} from any input's shape`);
      const shape = this.once(`${source.name}/shape`, (key) => this.emit(key, 'Shape', [this.#nameOf(source)]));
      return this.emit(name, 'Gather', [shape, this.integers([source.type.shape.indexOf(dim)])]);
    });
  }

  #nameOf(node: Node): string {
    const known = this.#names.get(node);
    if (known !== undefined) return known;
    const name = this.#free(node.name);
    this.#names.set(node, name);
    return name;
  }

  /** A stored value as what nodes compute with: floats are widened to f32 by one Cast, however many read them. */
  #read({ name, dtype }: Stored): string {
    if (!isFloat(dtype) || dtype === 'f32') return name;
    return this.once(`${name}/f32`, (key) => this.emit(key, 'Cast', [name], { to: { int: ONNX_DTYPES.f32 } }));
  }

  #store(wanted: string, tensor: Tensor): Stored {
    const name = this.#free(wanted);
    const isWeight = tensor.shape.length > 1 && sizeOf(tensor.shape) >= MIN_F16_ELEMENTS;
    const dtype = !isFloat(tensor.dtype) ? tensor.dtype : isWeight ? this.#weights : 'f32';
    this.initializers.push({ name, tensor: dtype === 'f16' ? halfTensor(name, tensor) : convertTensor(tensor, dtype) });
    return { name, dtype };
  }

  #free(wanted: string): string {
    let name = wanted;
    for (let n = 1; this.#taken.has(name); n++) name = `${wanted}_${n}`;
    this.#taken.add(name);
    return name;
  }
}

/** A weight as f16; a number that only f32 can hold would silently become infinite, so it is refused. */
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
