import { MbertError } from '../../errors.ts';
import type { BufferContent } from '../../formats/tflite/file.ts';
import {
  builtinOperatorValues,
  type Operator,
  type OperatorCode,
  type Tensor as TfliteTensor,
} from '../../formats/tflite/generated/model.ts';
import type { Draft } from '../../formats/tflite/table.ts';
import { TFLITE_TYPES } from '../../formats/tflite/types.ts';
import type { Graph, Input, Node } from '../../ir/graph.ts';
import { computedType, isFloat } from '../../ir/op.ts';
import { type Dim, isStatic, sizeOf } from '../../ir/shape.ts';
import {
  arrayOf,
  byteLength,
  computedTensor,
  convertTensor,
  integerTensor,
  type Quant,
  readF32,
  scalarTensor,
  type Tensor,
  type TensorType,
  tensorOf,
} from '../../ir/tensor.ts';
import { takeName } from '../names.ts';
import { blockScales, quantizationOf } from './quantization.ts';
import { type Builtin, isNewer, type OperatorForm, releaseOf, versionOf } from './versions.ts';

export type BuiltinOptions = NonNullable<Draft<Operator>['builtinOptions']>;

/** A value to give a tensor to: a node, or a step of its lowering. */
export interface Result {
  readonly name: string;
  readonly type: TensorType;
}

/**
 * Least elements of a constant that is f16 in an f16 file. Smaller ones stay f32: biases, gains and mask values are
 * under 1 % of it, each would cost a DEQUANTIZE, and XNNPACK takes only constant f32 biases.
 */
const MIN_F16_ELEMENTS = 1024;
const MAX_F16 = 65504;

/** Largest buffer of which equal ones are stored once; larger ones are compared by identity, to be read only once. */
const MAX_COMPARED_BYTES = 4096;

/**
 * Collects tensors, operators and buffers while lowerings go over a graph, in the order in which they are asked for.
 */
export class TfliteBuilder {
  readonly tensors: Draft<TfliteTensor>[] = [];
  readonly operators: Draft<Operator>[] = [];
  readonly operatorCodes: Draft<OperatorCode>[] = [];
  readonly contents: BufferContent[] = [];
  /** Oldest TensorFlow release that knows every operator in here. */
  runtime = '1.5.0';
  readonly #live: ReadonlySet<Node>;
  readonly #inputs: readonly Input[];
  readonly #weights: 'f32' | 'f16';
  readonly #minRuntime: string | undefined;
  readonly #types: TensorType[] = [];
  readonly #names = new Set<string>();
  readonly #outputNames = new Map<Node, string>();
  readonly #values = new Map<Node, number>();
  readonly #shared = new Map<string, number>();
  readonly #codes = new Map<string, number>();
  readonly #buffers = new Map<string | Tensor, number>();

  constructor(graph: Graph, weights: 'f32' | 'f16', minRuntime: string | undefined) {
    this.#live = new Set(graph.nodes());
    this.#inputs = graph.inputs;
    this.#weights = weights;
    this.#minRuntime = minRuntime;
    for (const input of graph.inputs) {
      if (input.type.dtype === 'i64') {
        throw new MbertError('UNSUPPORTED', `${input.name}: tflite takes i32 ids, not i64`, {
          hint: 'EMBEDDING_LOOKUP and MediaPipe know 32-bit ids only: build the graph with i32 inputs',
        });
      }
      this.#values.set(input, this.#tensor(input, 0));
    }
    // An output's tensor bears its name, so that runtimes without signatures show it too.
    for (const { name, node } of graph.outputs) {
      if (node.op === 'input' || node.op === 'constant' || this.#outputNames.has(node)) continue;
      this.#outputNames.set(node, takeName(this.#names, name));
    }
  }

  /** True for nodes that an output needs: `users` may hold more than what is written. */
  isLive(node: Node): boolean {
    return this.#live.has(node);
  }

  has(node: Node): boolean {
    return this.#values.has(node);
  }

  /** Tensor of a node's value: f32 for a float constant, whatever it is stored as, its integers for a quantized one. */
  value(node: Node): number {
    const known = this.#values.get(node);
    if (known !== undefined) return known;
    if (node.op !== 'constant') throw new Error(`${node.name} is used before it is lowered`);
    const index = this.weight(node.name, node.tensor, node.type.quant);
    this.#values.set(node, index);
    return index;
  }

  define(node: Node, index: number): void {
    this.#values.set(node, index);
  }

  /** Type of a tensor's value. */
  typeOf(index: number): TensorType {
    return this.#types[index] as TensorType;
  }

  /** Makes a tensor once per `key`, however often it is asked for. */
  once(key: string, make: () => number): number {
    const index = this.#shared.get(key) ?? make();
    this.#shared.set(key, index);
    return index;
  }

  /** Adds an i32 constant such as a shape, axes or a permutation; equal ones share a tensor. */
  integers(what: string, values: readonly number[], shape: readonly number[] = [values.length]): number {
    const name = `${what}_${values.join('_').replaceAll('-', 'm')}`;
    return this.once(`${name}:${shape.join()}`, () => this.constant(name, integerTensor('i32', values, shape)));
  }

  scalar(value: number): number {
    return this.once(`scalar ${value}`, () => this.constant(`scalar_${value}`, scalarTensor(value)));
  }

  constant(name: string, tensor: Tensor, quant?: Quant): number {
    const type: TensorType = { dtype: tensor.dtype, shape: tensor.shape, ...(quant && { quant }) };
    return this.#tensor({ name, type }, this.#buffer(tensor));
  }

  /** Adds a constant as operators compute with it: floats as f32, in an f16 file stored as f16 behind a DEQUANTIZE. */
  weight(name: string, tensor: Tensor, quant?: Quant): number {
    if (quant !== undefined) return this.constant(name, tensor, quant);
    if (tensor.dtype === 'i64') return this.constant(name, convertTensor(tensor, 'i32'));
    if (!isFloat(tensor.dtype)) return this.constant(name, tensor);
    if (this.#weights === 'f32' || sizeOf(tensor.shape) < MIN_F16_ELEMENTS) {
      return this.constant(name, convertTensor(tensor, 'f32'));
    }
    const stored = this.constant(`${name}_f16`, narrow(name, tensor));
    const type: TensorType = { dtype: 'f32', shape: tensor.shape };
    return this.op('DEQUANTIZE', [stored], { name, type }, { kind: 'DequantizeOptions', value: {} });
  }

  /** Finds a graph input that has the symbol as one of its dimensions, for what follows the run's sizes. */
  inputWith(symbol: string): { readonly input: Input; readonly axis: number } | undefined {
    for (const input of this.#inputs) {
      const axis = input.type.shape.indexOf(symbol);
      if (axis >= 0) return { input, axis };
    }
    return undefined;
  }

  /** The way out where a size is open: `flags`, unless they have fixed all inputs and the size is none of theirs. */
  wayToFixSizes(flags: string): string {
    const isOpen = this.#inputs.some(({ type }) => !isStatic(type.shape));
    return isOpen ? flags : 'export the model with fixed sizes: this one is of no input';
  }

  /** Adds an operator with one result. */
  op(code: Builtin, inputs: readonly number[], result: Result, options?: BuiltinOptions): number {
    return this.ops(code, inputs, [result], options)[0] as number;
  }

  /** Adds an operator with several results. */
  ops(code: Builtin, inputs: readonly number[], results: readonly Result[], options?: BuiltinOptions): number[] {
    const outputs = results.map((result) => this.#tensor(result, 0, computedType(result.type.dtype)));
    const types = (tensors: readonly number[]) => tensors.map((tensor) => this.typeOf(tensor));
    const opcodeIndex = this.#code(
      code,
      { inputs: types(inputs), outputs: types(outputs), options },
      results[0] as Result,
    );
    this.operators.push({ opcodeIndex, inputs, outputs, ...(options && { builtinOptions: options }) });
    return outputs;
  }

  /** Adds a buffer of metadata. */
  bytes(bytes: Uint8Array): number {
    return this.contents.push({ byteLength: bytes.byteLength, bytes: () => bytes });
  }

  #code(code: Builtin, form: OperatorForm, result: Result): number {
    const version = versionOf(code, form);
    const release = releaseOf(code, version, form);
    if (this.#minRuntime !== undefined && isNewer(release, this.#minRuntime)) {
      throw new MbertError(
        'UNSUPPORTED',
        `${result.name}: ${code} version ${version} needs a runtime of ${release} or newer`,
        {
          hint: `raise --min-runtime from ${this.#minRuntime}`,
        },
      );
    }
    if (isNewer(release, this.runtime)) this.runtime = release;
    const key = `${code} ${version}`;
    const known = this.#codes.get(key);
    if (known !== undefined) return known;
    // Both fields, as old runtimes read only the byte; codes that do not fit it leave a placeholder there.
    const deprecatedBuiltinCode = Math.min(builtinOperatorValues[code], 127);
    const index = this.operatorCodes.push({ deprecatedBuiltinCode, builtinCode: code, version }) - 1;
    this.#codes.set(key, index);
    return index;
  }

  #tensor(result: Result, buffer: number, dtype = result.type.dtype): number {
    const { shape, quant } = result.type;
    const large = shape.map(nominal).find((size) => size > MAX_SIZE);
    if (large !== undefined) {
      throw new MbertError(
        'UNSUPPORTED',
        `${result.name}: has ${large} elements along an axis, and tflite ends at ${MAX_SIZE}`,
        {
          hint: 'choose smaller sizes: --batch and --sequence-length',
        },
      );
    }
    const scales = blockScales(result.name, result.type);
    const scalesTensor = scales === undefined ? -1 : this.constant(`${result.name}/scales`, scales);
    const name = this.#outputNames.get(result as Node) ?? takeName(this.#names, result.name);
    this.#types.push({ dtype, shape, ...(quant && { quant }) });
    return (
      this.tensors.push({
        name,
        type: TFLITE_TYPES[dtype],
        shape: shape.map(nominal),
        ...(!isStatic(shape) && { shapeSignature: shape.map((dim) => (typeof dim === 'number' ? dim : -1)) }),
        buffer,
        ...(quant && { quantization: quantizationOf(result.name, result.type, scalesTensor) }),
        hasRank: true,
      }) - 1
    );
  }

  #buffer(tensor: Tensor): number {
    const length = byteLength(tensor.dtype, tensor.shape);
    if (length > MAX_COMPARED_BYTES) {
      const buffer =
        this.#buffers.get(tensor) ?? this.contents.push({ byteLength: length, bytes: () => tensor.bytes() });
      this.#buffers.set(tensor, buffer);
      return buffer;
    }
    const bytes = tensor.bytes();
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
    const buffer = this.#buffers.get(key) ?? this.bytes(bytes);
    this.#buffers.set(key, buffer);
    return buffer;
  }
}

/** Largest size along an axis: sizes are i32 in the file, and a larger one would come back as another number. */
const MAX_SIZE = 2 ** 31 - 1;

/** Size of a dimension in the file: symbols are 1 until the run resizes its inputs, as in TensorFlow's converter. */
function nominal(dim: Dim): number {
  if (typeof dim === 'number') return dim;
  return dim.split('*').reduce((size, part) => size * (/^\d+$/.test(part) ? Number(part) : 1), 1);
}

/** Converts a constant to f16. Beyond its range there is only infinity, which would ruin the model without a word. */
function narrow(name: string, tensor: Tensor): Tensor {
  if (tensor.dtype === 'f16') return tensor;
  return computedTensor('f16', tensor.shape, () => {
    const floats = readF32(tensor);
    for (let i = 0; i < floats.length; i++) {
      if (Math.abs(floats[i] as number) <= MAX_F16) continue;
      throw new MbertError('UNSUPPORTED', `${name}: holds ${floats[i]}, and f16 ends at ${MAX_F16}`, {
        hint: 'use --dtype f32',
      });
    }
    return arrayOf(convertTensor(tensorOf('f32', tensor.shape, floats), 'f16') as Tensor & { dtype: 'f16' });
  });
}
