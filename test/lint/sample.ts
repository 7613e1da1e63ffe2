import { decodeFlatbuffer } from '../../src/formats/tflite/decode.ts';
import { encodeFlatbuffer } from '../../src/formats/tflite/encode.ts';
import {
  type Buffer,
  type Model,
  modelRoot,
  type Operator,
  type QuantizationParameters,
  type Tensor as TfliteTensor,
} from '../../src/formats/tflite/generated/model.ts';
import type { Graph } from '../../src/ir/graph.ts';
import type { TensorType } from '../../src/ir/tensor.ts';
import { graphOf, randomTensor } from '../core.ts';
import { bytesOf } from '../exporters/tflite-lab.ts';
import { toInt8 } from '../int8-by-hand.ts';
import { quantizeWeights, type WeightStorage } from '../quantize-by-hand.ts';

/** One layer with attention, a feed-forward part and one head, 12 tokens. */
const LAYER = `graph tiny (input_ids: i32[1, 12], attention_mask: i32[1, 12])
  words = gather(words.weight f32[64, 32] #1, input_ids)
  ones = cast(attention_mask) {to: f32}
  padding = sub(one f32[] {1}, ones)
  scaled = mul(padding, least f32[] {-10000})
  mask = reshape(scaled) {shape: [1, 1, 1, 12]}
  qkv = linear(words, qkv.weight f32[96, 32] #3, qkv.bias f32[96] #4)
  q0 = slice(qkv) {axis: 2, end: 32}
  k0 = slice(qkv) {axis: 2, start: 32, end: 64}
  v0 = slice(qkv) {axis: 2, start: 64, end: 96}
  q1 = reshape(q0) {shape: [1, 12, 4, 8]}
  k1 = reshape(k0) {shape: [1, 12, 4, 8]}
  v1 = reshape(v0) {shape: [1, 12, 4, 8]}
  q = transpose(q1) {permutation: [0, 2, 1, 3]}
  k = transpose(k1) {permutation: [0, 2, 1, 3]}
  v = transpose(v1) {permutation: [0, 2, 1, 3]}
  products = matmul(q, k) {transposeB: true}
  masked = add(products, mask)
  p = softmax(masked)
  mixed = matmul(p, v)
  together = transpose(mixed) {permutation: [0, 2, 1, 3]}
  context = reshape(together) {shape: [1, 12, 32]}
  dense = linear(context, dense.weight f32[32, 32] #5, dense.bias f32[32] #6)
  residual = add(dense, context)
  up = linear(residual, up.weight f32[64, 32] #7, up.bias f32[64] #8) {activation: relu}
  down = linear(up, down.weight f32[32, 64] #9, down.bias f32[32] #a)
  scaled2 = mul(down, gain f32[32] #b)
  sum = add(scaled2, residual)
  both = concat(sum, residual)
  first = slice(both) {axis: 1, end: 1}
  head = linear(first, head.weight f32[2, 64] #c, head.bias f32[2] #d)
  return logits: head`;

/** The layer in floats, and a sample of its inputs. */
export function floatLayer(): Graph {
  return graphOf(LAYER);
}

/** Operators that strict targets have in integers. */
const STRICT = `graph strict (x: f32[2, 8])
  q = quantize(x)  i8[2, 8] q(0.008, -2)
  p = softmax(q)  i8[2, 8] q(0.00390625, -128)
  t = tanh(q)  i8[2, 8] q(0.0078125, 0)
  s = sigmoid(q)  i8[2, 8] q(0.00390625, -128)
  r = relu(q)  i8[2, 8] q(0.004, -128)
  c = concat(q, q, q)  i8[2, 24] q(0.008, -2)
  y = slice(c) {axis: 1, end: 8}  i8[2, 8] q(0.008, -2)
  a = mul(p, t)  i8[2, 8] q(0.01, 0)
  b = add(a, s)  i8[2, 8] q(0.01, 0)
  e = add(b, r)  i8[2, 8] q(0.01, 0)
  d = sub(e, y)  i8[2, 8] q(0.02, 0)
  out = dequantize(d)
  return out: out`;

export async function strictFile(): Promise<Uint8Array> {
  return bytesOf(graphOf(STRICT));
}

/** Linears and a table that store integers and compute in floats. */
export async function hybridFile(kind: WeightStorage): Promise<Uint8Array> {
  const graph = floatLayer();
  quantizeWeights(graph, kind, 'i8 per channel');
  return bytesOf(graph);
}

/** The layer as a written file, integers throughout: it has nothing that a rule could find. */
export async function goodFile(): Promise<Uint8Array> {
  const graph = floatLayer();
  const feeds = graph.inputs.map(
    ({ name, type }, i) => [name, randomTensor(type as TensorType & { shape: number[] }, i + 1)] as const,
  );
  return bytesOf(toInt8(graph, [new Map(feeds)]));
}

type Writable<T> = T extends Uint8Array | Float32Array
  ? T
  : T extends readonly (infer E)[]
    ? Writable<E>[]
    : T extends object
      ? { -readonly [K in keyof T]: Writable<T[K]> }
      : T;

/** A file's tables, to be changed. */
export class Changes {
  readonly model: Writable<Model>;

  constructor(bytes: Uint8Array) {
    this.model = structuredClone(decodeFlatbuffer(modelRoot, bytes, 'good.tflite')) as Writable<Model>;
  }

  get tensors(): Writable<TfliteTensor>[] {
    return this.model.subgraphs?.[0]?.tensors ?? [];
  }

  get operators(): Writable<Operator>[] {
    return this.model.subgraphs?.[0]?.operators ?? [];
  }

  index(name: string): number {
    const index = this.tensors.findIndex((tensor) => tensor.name === name);
    if (index < 0) throw new Error(`no tensor ${name}`);
    return index;
  }

  tensor(name: string): Writable<TfliteTensor> {
    return this.tensors[this.index(name)] as Writable<TfliteTensor>;
  }

  quantization(name: string): Writable<QuantizationParameters> {
    const { quantization } = this.tensor(name);
    if (quantization === undefined) throw new Error(`${name} is not quantized`);
    return quantization;
  }

  /** The operator that makes a tensor. */
  operator(name: string): Writable<Operator> {
    const index = this.index(name);
    const operator = this.operators.find(({ outputs }) => outputs?.includes(index));
    if (operator === undefined) throw new Error(`nothing makes ${name}`);
    return operator;
  }

  /** The bytes of a constant, of its own: the file shares equal buffers. */
  data(name: string): Uint8Array {
    const tensor = this.tensor(name);
    const data = Uint8Array.from(this.model.buffers?.[tensor.buffer]?.data ?? []);
    tensor.buffer = this.addBuffer(data);
    return data;
  }

  addBuffer(data: Uint8Array): number {
    return (this.model.buffers as Writable<Buffer>[]).push({ data, offset: 0, size: 0 }) - 1;
  }

  addTensor(tensor: Partial<Writable<TfliteTensor>>): number {
    const preset = this.tensor('input_ids');
    return this.tensors.push({ ...preset, quantization: undefined, buffer: 0, ...tensor }) - 1;
  }

  /** Gives an operator a code of its own: the file shares equal ones. */
  code(
    name: string,
    change: { version?: number; builtinCode?: 'RELU' | 'GELU'; deprecatedBuiltinCode?: number },
  ): void {
    const operator = this.operator(name);
    const code = this.model.operatorCodes?.[operator.opcodeIndex];
    if (code === undefined) throw new Error(`${name} has no code`);
    operator.opcodeIndex = (this.model.operatorCodes?.push({ ...code, ...change }) ?? 0) - 1;
  }

  bytes(): Uint8Array {
    return encodeFlatbuffer(modelRoot, this.model as Model).bytes;
  }
}
