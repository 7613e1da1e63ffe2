import { MbertError } from '../errors.ts';
import { sizeOf } from '../ir/shape.ts';
import { byteLength, computedTensor, type DType, type Tensor, tensorOf } from '../ir/tensor.ts';
import { MAX_NODES, MAX_RANK } from './graph-limits.ts';
import type { ProtoMessage } from './protobuf.ts';
import { storedDtype, TF_STRING, type TfType, tfTypeName } from './tf-types.ts';

/**
 * TensorFlow's graph as its files hold it. Field numbers are facts of tensorflow/core/framework: graph.proto,
 * node_def.proto, attr_value.proto, tensor.proto, tensor_shape.proto, types.proto, function.proto and op_def.proto of
 * TensorFlow 2.18.
 */
export interface TfGraph {
  readonly nodes: readonly TfNode[];
  readonly functions: ReadonlyMap<string, TfFunction>;
}

export interface TfNode {
  readonly name: string;
  readonly op: string;
  /** References `node`, `node:1`, in functions `node:output:0`; `^node` only orders execution. */
  readonly inputs: readonly string[];
  readonly attributes: TfAttributes;
}

/** A part of the graph that nodes call by name. */
export interface TfFunction {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly TfNode[];
  /** Value of the body that each output is, as a reference. */
  readonly returns: ReadonlyMap<string, string>;
}

/** Shape in which -1 is a size known only at run time; undefined stands for one of unknown rank. */
export type TfShape = readonly number[] | undefined;

/** A name of a model's input or output and the value that it stands for. */
export interface TfPort {
  readonly name: string;
  /** Reference to the value, as `node:0`. */
  readonly value: string;
  readonly type?: TfType;
  readonly shape?: TfShape;
}

/** Attributes of a node, read when asked for. Absent ones have TensorFlow's default. */
export interface TfAttributes {
  readonly names: readonly string[];
  /** A plain value of any kind, undefined for functions, tensors and the like. */
  plain(name: string): string | number | boolean | readonly number[] | undefined;
  int(name: string): number;
  float(name: string): number;
  bool(name: string): boolean;
  text(name: string): string;
  type(name: string): TfType;
  shape(name: string): TfShape;
  ints(name: string): readonly number[];
  texts(name: string): readonly string[];
  shapes(name: string): readonly TfShape[];
  /** Name of the function that the node calls, '' where it calls none. */
  functionName(name: string): string;
  tensor(name: string): TfTensor | undefined;
}

/** A constant: numbers, or texts for `DT_STRING`. */
export interface TfTensor {
  readonly type: TfType;
  readonly shape: readonly number[];
  /** Numbers; undefined where mbert has no such dtype. */
  readonly tensor: Tensor | undefined;
  /** Elements of a `DT_STRING`. Throws where they are bytes that are no text. */
  texts(): readonly string[];
}

/** Reads a GraphDef with its function bodies; nodes of functions that nobody calls cost nothing but their index. */
export function readGraph(message: ProtoMessage): TfGraph {
  const functions = new Map<string, TfFunction>();
  for (const definition of message.message(2, 'function library').messages(1, 'function')) {
    const name = definition.message(1, 'function signature').text(1);
    if (functions.has(name)) definition.fail(`there are two functions ${name}`);
    functions.set(name, readFunction(definition, name));
  }
  return { nodes: readNodes(message, 1, ''), functions };
}

function readFunction(definition: ProtoMessage, name: string): TfFunction {
  const signature = definition.message(1, `function ${name}`);
  let nodes: TfNode[] | undefined;
  return {
    name,
    inputs: signature.messages(2, `function ${name}: input`).map((argument) => argument.text(1)),
    outputs: signature.messages(3, `function ${name}: output`).map((argument) => argument.text(1)),
    returns: definition.textEntries(4, `function ${name}: return`),
    get nodes() {
      nodes ??= readNodes(definition, 3, `function ${name}: `);
      return nodes;
    },
  };
}

function readNodes(message: ProtoMessage, number: number, part: string): TfNode[] {
  const messages = message.messages(number, `${part}node`, MAX_NODES);
  return messages.map((node) => {
    const name = node.text(1);
    return { name, op: node.text(2), inputs: node.texts(3), attributes: readAttributes(node, `${part}${name}`) };
  });
}

/** Reads AttrValues: list 1, s 2, i 3, f 4, b 5, type 6, shape 7, tensor 8, func 10; lists number their items alike. */
function readAttributes(node: ProtoMessage, part: string): TfAttributes {
  let entries: Map<string, ProtoMessage> | undefined;
  const value = (name: string): ProtoMessage | undefined => {
    entries ??= node.entries(5, part);
    return entries.get(name);
  };
  const list = (name: string) => value(name)?.message(1, `${part} ${name}`);
  return {
    get names() {
      entries ??= node.entries(5, part);
      return [...entries.keys()];
    },
    plain: (name) => plainValue(value(name)),
    int: (name) => value(name)?.int(3) ?? 0,
    float: (name) => value(name)?.float(4) ?? 0,
    bool: (name) => value(name)?.bool(5) ?? false,
    text: (name) => value(name)?.text(2) ?? '',
    type: (name) => value(name)?.int(6) ?? 0,
    shape(name) {
      const shaped = value(name);
      return shaped?.has(7) ? readShape(shaped.message(7, `${part} ${name}`)) : undefined;
    },
    ints: (name) => list(name)?.ints(3) ?? [],
    texts: (name) => list(name)?.texts(2) ?? [],
    shapes: (name) => list(name)?.messages(7, `${part} ${name}`).map(readShape) ?? [],
    functionName: (name) => value(name)?.message(10, `${part} ${name}`).text(1) ?? '',
    tensor(name) {
      const constant = value(name);
      return constant?.has(8) ? readTensor(constant.message(8, part)) : undefined;
    },
  };
}

function plainValue(value: ProtoMessage | undefined): string | number | boolean | readonly number[] | undefined {
  if (value === undefined) return undefined;
  if (value.has(2)) return Buffer.from(value.bytes(2)).toString();
  if (value.has(3)) return value.int(3);
  if (value.has(4)) return value.float(4);
  if (value.has(5)) return value.bool(5);
  if (value.has(6)) return tfTypeName(value.int(6));
  return value.has(7) ? readShape(value.message(7, 'shape')) : undefined;
}

/** Reads a TensorShapeProto: dim 2 with size 1, unknown_rank 3. */
export function readShape(message: ProtoMessage): TfShape {
  if (message.bool(3)) return undefined;
  const shape = message.messages(2, 'shape').map((dim) => dim.int(1));
  if (shape.some((dim) => dim < -1)) message.fail(`shape [${shape}] has a negative size`);
  return shape;
}

/**
 * Most bytes of a tensor that is written as one value for all elements: real ones are masks and ones of a few thousand.
 */
const MAX_REPEATED_BYTES = 64 * 2 ** 20;

/** Reads a TensorProto: dtype 1, shape 2, tensor_content 4, then one list of values a type. */
function readTensor(message: ProtoMessage): TfTensor {
  const type = message.int(1);
  const shape = readShape(message.message(2, 'tensor shape')) ?? [];
  if (shape.length > MAX_RANK || shape.some((dim) => dim < 0) || !Number.isSafeInteger(sizeOf(shape) * 8)) {
    message.fail(`shape [${shape.slice(0, MAX_RANK)}] is out of range`);
  }
  if (type === TF_STRING) return { type, shape, tensor: undefined, texts: () => message.texts(8) };
  const dtype = storedDtype(type);
  if (dtype === undefined) return { type, shape, tensor: undefined, texts: noTexts };
  const content = message.bytes(4);
  const wanted = byteLength(dtype, shape);
  if (content.byteLength > 0 || wanted === 0) {
    if (content.byteLength !== wanted) {
      message.fail(`${dtype}[${shape}] takes ${wanted} bytes, ${content.byteLength} are there`);
    }
    return { type, shape, tensor: { dtype, shape, bytes: () => content }, texts: noTexts };
  }
  return { type, shape, tensor: repeated(message, dtype, shape), texts: noTexts };
}

function noTexts(): readonly string[] {
  return [];
}

/**
 * A tensor of listed values; where these are fewer than the elements the last one fills the rest, without any it is 0.
 */
function repeated(message: ProtoMessage, dtype: DType, shape: readonly number[]): Tensor {
  const values = listedValues(message, dtype);
  const count = sizeOf(shape);
  if (values.length > count) message.fail(`${values.length} values do not fit ${dtype}[${shape}]`);
  if (values.length === count) return tensorOf(dtype, shape, values);
  const bytes = byteLength(dtype, shape);
  if (bytes > MAX_REPEATED_BYTES) message.fail(`${values.length} values stand for ${bytes} bytes`);
  return computedTensor(dtype, shape, () => {
    const Type = values.constructor as { new (length: number): typeof values };
    const all = new Type(count);
    const last = values.at(-1);
    if (last !== undefined) (all as Float32Array).fill(last as number);
    (all as Float32Array).set(values as Float32Array);
    return all;
  });
}

type Values =
  | Float32Array
  | Float64Array
  | Int32Array
  | BigInt64Array
  | BigUint64Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

function listedValues(message: ProtoMessage, dtype: DType): Values {
  switch (dtype) {
    case 'f32':
      return message.floats(5);
    case 'f64':
      return message.doubles(6);
    case 'i32':
      return Int32Array.from(message.ints(7));
    case 'i16':
      return Int16Array.from(message.ints(7));
    case 'u16':
      return Uint16Array.from(message.ints(7));
    case 'i8':
      return Int8Array.from(message.ints(7));
    case 'u8':
      return Uint8Array.from(message.ints(7));
    case 'i64':
      return BigInt64Array.from(message.ints(10), BigInt);
    case 'bool':
      return Uint8Array.from(message.ints(11));
    // Both are stored as their 16 bits.
    case 'f16':
    case 'bf16':
      return Uint16Array.from(message.ints(13));
    case 'u32':
      return Uint32Array.from(message.ints(16));
    case 'u64':
      return BigUint64Array.from(message.ints(17), (value) => BigInt.asUintN(64, BigInt(value)));
    default:
      throw new MbertError('UNSUPPORTED', `${message.what}: values of type ${dtype}`);
  }
}
