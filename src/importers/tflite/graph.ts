import { MbertError } from '../../errors.ts';
import { bufferContent } from '../../formats/tflite/decode.ts';
import {
  builtinOperatorValues,
  type Model,
  type Operator,
  type SubGraph,
  type Tensor as TfliteTensor,
} from '../../formats/tflite/generated/model.ts';
import { tfliteDtype } from '../../formats/tflite/types.ts';
import type { ModelFile } from '../../io/files.ts';
import { Graph, type Node } from '../../ir/graph.ts';
import { isFloat } from '../../ir/op.ts';
import { type Dim, isStatic, type Shape, sameShape, shapeText } from '../../ir/shape.ts';
import { byteLength, type DType, type Quant, type Tensor } from '../../ir/tensor.ts';
import { axisSymbol } from '../dims.ts';
import { TfBuilder, type Value } from '../tensorflow/builder.ts';
import type { FlatNode, FlatValue } from '../tensorflow/inline.ts';
import { lowerNode } from '../tensorflow/lower.ts';
import { attributesOf } from './attributes.ts';
import { activated, tfliteLowerings } from './lowerings.ts';
import { type OptionValues, plain, translations } from './operators.ts';
import { quantOf } from './quantization.ts';

/** A tensor of a subgraph by its index, or by an input or output of a signature. */
export interface Port {
  readonly name: string;
  readonly index: number;
}

/** Most axes that TensorFlow Lite's kernels take. */
const MAX_RANK = 8;

/** Reader of one subgraph into a graph: operators in the file's order, which is the order in which they run. */
export class SubgraphReader {
  readonly graph = new Graph();
  readonly #file: ModelFile;
  readonly #model: Model;
  readonly #tensors: readonly TfliteTensor[];
  readonly #out = new TfBuilder(this.graph);
  readonly #values = new Map<number, FlatValue>();
  /** Nodes that are a tensor's value already, so that another tensor cannot have them in its own type. */
  readonly #owned = new Set<Node>();

  constructor(file: ModelFile, model: Model, subgraph: SubGraph) {
    this.#file = file;
    this.#model = model;
    this.#tensors = subgraph.tensors ?? [];
  }

  input({ name, index }: Port): void {
    const tensor = this.#tensor(index, name);
    const { dtype, shape, quant } = this.#type(tensor, name);
    const node = this.graph.input(name, { dtype, shape });
    this.#define(
      index,
      [{ kind: 'node', node: quant === undefined ? node : this.#realInput(node, quant, { dtype, shape }) }],
      name,
    );
  }

  output({ name, index }: Port): void {
    const node = this.#out.nodeOf(this.#out.value(this.#valueOf(index, name)), name);
    if (node === null) throw this.#fail('UNSUPPORTED', `output ${name}: is a shape of the run`);
    this.graph.output(name, node);
  }

  operator(operator: Operator, position: number): void {
    const { op, code, values } = this.#translate(operator, position);
    const outputs = operator.outputs ?? [];
    const first = this.#tensor(outputs[0] ?? -1, `operator ${position}`);
    const what = first.name || `${code}_${position}`;
    const attributes = attributesOf(values, {
      type: first.type,
      shapes: outputs.map((index) => this.#openShape(index, what)),
    });
    // An input that is left out is -1; they come last.
    const inputs = (operator.inputs ?? []).filter((index) => index !== -1).map((index) => this.#valueOf(index, what));
    const node: FlatNode = { name: what, op, foreignOp: code, attributes, inputs };
    const results = this.#lower(node, optionsOf(operator), outputs);
    const typed = results.map((value, i) => (outputs[i] === undefined ? value : this.#typed(value, outputs[i], what)));
    const flat: FlatNode = { ...node };
    this.#out.define(flat, typed);
    for (const [i, index] of outputs.entries()) this.#values.set(index, { node: flat, output: i });
  }

  #translate(operator: Operator, position: number) {
    const code = this.#model.operatorCodes?.[operator.opcodeIndex];
    if (code === undefined)
      throw this.#fail('MALFORMED', `operator ${position}: has no operator code ${operator.opcodeIndex}`);
    // Files of before 2020 have the old field only, which ends at 127.
    const number = Math.max(
      builtinOperatorValues[code.builtinCode as keyof typeof builtinOperatorValues] ?? 0,
      code.deprecatedBuiltinCode,
    );
    const builtin = Object.entries(builtinOperatorValues).find(([, value]) => value === number)?.[0];
    const options = optionsOf(operator);
    if (builtin === undefined) return { op: '', code: code.builtinCode, values: plain(options) };
    if (builtin === 'CUSTOM') {
      const custom = code.customCode ?? '';
      // TensorFlow's own operators in a TFLite file; the only one that a BERT needs has no attributes.
      return { op: custom === 'FlexErf' ? 'Erf' : '', code: `CUSTOM:${custom}`, values: {} };
    }
    const translation = translations[builtin as keyof typeof translations];
    return { op: translation?.op ?? '', code: builtin, values: translation?.attributes?.(options) ?? plain(options) };
  }

  #lower(node: FlatNode, options: OptionValues, outputs: readonly number[]): readonly Value[] {
    const activation = String(options['fusedActivationFunction'] ?? 'NONE');
    if (activation === 'NONE') return lowerNode(node, this.#out, outputs.length, tfliteLowerings);
    const [plainValue] = lowerNode({ ...node, name: `${node.name}/before` }, this.#out, 1, tfliteLowerings);
    if (plainValue?.kind !== 'node' || plainValue.node.op === 'foreign') {
      return lowerNode({ ...node, op: '' }, this.#out, outputs.length);
    }
    // A quantized linear has the type of its activation's result.
    const { node: inner } = plainValue;
    if (inner.op === 'linear' && activation === 'RELU' && this.#quantOf(outputs[0] ?? -1, node.name) !== undefined) {
      return [{ kind: 'node', node: this.graph.add('linear', inner.inputs, { activation: 'relu' }, node.name) }];
    }
    const value = activated(node, this.#out, inner, activation);
    return value === null ? lowerNode({ ...node, op: '' }, this.#out, outputs.length) : [value];
  }

  /** The value in the type that the file gives its tensor, which must be one that our own rules agree with. */
  #typed(value: Value, index: number, what: string): Value {
    if (value.kind !== 'node') return value;
    const { dtype, shape, quant } = this.#type(this.#tensor(index, what), what);
    const { node } = value;
    const isKnown = node.op !== 'foreign' && node.op !== 'pick' && isStatic(node.type.shape) && isStatic(shape);
    if (isKnown && !sameShape(node.type.shape, shape)) {
      throw this.#fail('MALFORMED', `${what}: is ${shapeText(shape)}, its inputs make ${shapeText(node.type.shape)}`);
    }
    if (quant === undefined || node.op === 'foreign' || node.op === 'pick') return value;
    if (node.type.quant === undefined && !isFloat(node.type.dtype)) {
      throw this.#fail('MALFORMED', `${what}: has a scale, but is computed from integers that have none`);
    }
    const isFree = node.op !== 'input' && node.op !== 'constant' && !this.#owned.has(node);
    const stored = isFree ? node : this.graph.add('quantize', [node], {}, what);
    this.graph.setType(stored, { dtype, shape: stored.type.shape, quant });
    this.#owned.add(stored);
    return { kind: 'node', node: stored };
  }

  /** Numbers that an input's integers stand for: scale·(x - zero point). */
  #realInput(node: Node, quant: Quant, { dtype, shape }: { dtype: DType; shape: Shape }): Node {
    if (quant.per !== 'tensor') throw this.#fail('UNSUPPORTED', `input ${node.name}: is quantized by channel`);
    const one = (value: number, part: string) =>
      this.graph.constant(
        { dtype: 'f32', shape: [], bytes: () => new Uint8Array(Float32Array.of(value).buffer) },
        `${node.name}/${part}`,
      );
    const real = this.graph.add('cast', [node], { to: 'f32' }, `${node.name}/real`);
    const centred = this.graph.add('sub', [real, one(quant.zeroPoint, 'zero_point')], {}, `${node.name}/centred`);
    const scaled = this.graph.add('mul', [centred, one(quant.scale, 'scale')], {}, `${node.name}/scaled`);
    this.graph.setType(scaled, { dtype, shape, quant });
    this.#owned.add(scaled);
    return scaled;
  }

  /** Value of a tensor that something has computed, or of a constant. */
  #valueOf(index: number, what: string): FlatValue {
    const known = this.#values.get(index);
    if (known !== undefined) return known;
    const tensor = this.#tensor(index, what);
    const name = tensor.name || `tensor_${index}`;
    const data = this.#data(index, name);
    if (data === undefined) throw this.#fail('MALFORMED', `${what}: reads ${name} before anything computes it`);
    const quant = this.#quantOf(index, name);
    const value: Value =
      quant === undefined
        ? this.#out.constantValue(data, name)
        : { kind: 'node', node: this.graph.constant(data, name, quant) };
    this.#define(index, [value], name);
    return this.#values.get(index) as FlatValue;
  }

  #define(index: number, values: readonly Value[], name: string): void {
    const node: FlatNode = {
      name,
      op: 'Const',
      attributes: attributesOf({}, { type: 'FLOAT32', shapes: [] }),
      inputs: [],
    };
    this.#out.define(node, values);
    this.#values.set(index, { node, output: 0 });
  }

  #tensor(index: number, what: string): TfliteTensor {
    const tensor = this.#tensors[index];
    if (tensor === undefined) throw this.#fail('MALFORMED', `${what}: there is no tensor ${index}`);
    if (tensor.isVariable)
      throw this.#fail('UNSUPPORTED', `${tensor.name ?? what}: is a variable, which keeps its value between runs`);
    return tensor;
  }

  #type(tensor: TfliteTensor, what: string): { dtype: DType; shape: Shape; quant: Quant | undefined } {
    const dtype = tfliteDtype(tensor.type);
    if (dtype === undefined) throw this.#fail('UNSUPPORTED', `${tensor.name ?? what}: is of type ${tensor.type}`);
    return { dtype, shape: this.#shape(tensor, what), quant: this.#quant(tensor, dtype, what) };
  }

  /** Shape of a tensor; sizes that may change are -1 in the file's signature of it. */
  #shape(tensor: TfliteTensor, what: string): Shape {
    const shape = tensor.shape ?? [];
    const signature = tensor.shapeSignature ?? shape;
    if (shape.length > MAX_RANK || shape.some((dim) => dim < 0)) {
      throw this.#fail('MALFORMED', `${tensor.name ?? what}: shape [${shape.slice(0, MAX_RANK)}] is out of range`);
    }
    if (signature.length !== shape.length) return shape;
    return shape.map((dim, axis): Dim => (signature[axis] === -1 ? axisSymbol(axis) : dim));
  }

  #openShape(index: number, what: string): readonly number[] {
    return this.#shape(this.#tensor(index, what), what).map((dim) => (typeof dim === 'number' ? dim : -1));
  }

  #quantOf(index: number, what: string): Quant | undefined {
    const tensor = this.#tensor(index, what);
    const dtype = tfliteDtype(tensor.type);
    return dtype && this.#quant(tensor, dtype, what);
  }

  /** Quantization of a tensor of integers; scales on floats tell what a file was quantized from and mean nothing. */
  #quant(tensor: TfliteTensor, dtype: DType, what: string): Quant | undefined {
    if (!/^[iu]\d/.test(dtype)) return undefined;
    const tensorAt = (index: number) =>
      this.#data(index, what) ?? this.#throw(`${tensor.name ?? what}: its scales are not in the file`);
    const quant = quantOf(tensor.quantization, dtype, tensor.shape ?? [], tensorAt);
    return typeof quant === 'string' ? this.#throw(`${tensor.name ?? what}: ${quant}`) : quant;
  }

  /** Data of a constant, undefined for a tensor that is computed. Its length is checked. */
  #data(index: number, what: string): Tensor | undefined {
    const tensor = this.#tensor(index, what);
    const buffer = this.#model.buffers?.[tensor.buffer];
    if (buffer === undefined) throw this.#fail('MALFORMED', `${what}: there is no buffer ${tensor.buffer}`);
    const { dtype, shape } = this.#storedType(tensor, what);
    const content = bufferContent(this.#file, buffer, what);
    if (content === undefined) return undefined;
    if (tensor.sparsity !== undefined) throw this.#fail('UNSUPPORTED', `${what}: is stored sparse`);
    const wanted = byteLength(dtype, shape);
    if (content.byteLength !== wanted) {
      throw this.#fail(
        'MALFORMED',
        `${what}: ${dtype}${shapeText(shape)} takes ${wanted} bytes, its buffer has ${content.byteLength}`,
      );
    }
    return { dtype, shape, fresh: content.isFresh, bytes: content.bytes };
  }

  #storedType(tensor: TfliteTensor, what: string): { dtype: DType; shape: readonly number[] } {
    const dtype = tfliteDtype(tensor.type);
    if (dtype === undefined) throw this.#fail('UNSUPPORTED', `${what}: is of type ${tensor.type}`);
    const shape = this.#shape(tensor, what);
    return { dtype, shape: isStatic(shape) ? shape : (tensor.shape ?? []) };
  }

  #throw(problem: string): never {
    throw this.#fail('MALFORMED', problem);
  }

  #fail(code: 'MALFORMED' | 'UNSUPPORTED', problem: string): MbertError {
    return new MbertError(code, `${this.#file.path}: ${problem}`);
  }
}

function optionsOf(operator: Operator): OptionValues {
  return (operator.builtinOptions?.value ?? {}) as unknown as OptionValues;
}
