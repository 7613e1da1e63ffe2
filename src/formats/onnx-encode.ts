import onnxProto from 'onnx-proto';
import { MbertError } from '../errors.ts';
import type { OutputFile } from '../io/files.ts';
import { byteLength, type Tensor } from '../ir/tensor.ts';
import {
  domainOf,
  ONNX_DTYPES,
  type OnnxAttribute,
  type OnnxInitializer,
  type OnnxModel,
  type OnnxNode,
  type OnnxValue,
} from './onnx.ts';
import { MAX_PROTOBUF_BYTES } from './protobuf.ts';

// CommonJS: its names are not visible to an ES import.
const { onnx } = onnxProto;

interface OnnxEncodeOptions {
  /** Name of the model's file; external data goes to `<fileName>.data` beside it. */
  readonly fileName: string;
  /** True writes weights beside the model, false never does. Default: only where protobuf's limit asks for it. */
  readonly externalData?: boolean;
}

/**
 * Least external tensor: shape inference reads smaller ones in the model's file; 1 KiB is also onnx's own threshold.
 */
const MIN_EXTERNAL_BYTES = 1024;
/**
 * Alignment to a page, for runtimes that map the file. Only large tensors get it, so that padding stays below 0.4 %.
 */
const LARGE_ALIGNMENT = 4096;
const LARGE_BYTES = 2 ** 20;
/** Alignment to a cache line, for the others. */
const SMALL_ALIGNMENT = 64;

/** Field numbers and wire types of onnx.proto as the tag bytes in front of length-delimited fields. */
const TAG_GRAPH = 0x3a; // ModelProto.graph = 7
const TAG_INITIALIZER = 0x2a; // GraphProto.initializer = 5
const TAG_RAW_DATA = 0x4a; // TensorProto.raw_data = 9

/**
 * Encodes a model as its file, and one of external data if it needs any. Only the sizes of tensors are looked at here;
 * each tensor's bytes are asked for once, when its chunk is due, and none is kept.
 * Errors: USAGE where external data is forbidden to a model above `MAX_PROTOBUF_BYTES`.
 */
export function encodeOnnx(model: OnnxModel, options: OnnxEncodeOptions): OutputFile[] {
  const inline = layOut(model, model.initializers.map(inlinePart));
  if (options.externalData !== true && inline.size <= MAX_PROTOBUF_BYTES) {
    return [{ name: options.fileName, size: inline.size, chunks: modelChunks(inline) }];
  }
  if (options.externalData === false) {
    throw new MbertError(
      'USAGE',
      `${options.fileName}: model: ${inline.size} bytes are over protobuf's limit of ${MAX_PROTOBUF_BYTES}`,
      {
        hint: 'allow external data',
      },
    );
  }
  const dataName = `${options.fileName}.data`;
  const placed: { offset: number; tensor: Tensor; name: string }[] = [];
  let end = 0;
  const parts = model.initializers.map((initializer) => {
    const length = byteLength(initializer.tensor.dtype, initializer.tensor.shape);
    if (length < MIN_EXTERNAL_BYTES) return inlinePart(initializer);
    const offset = alignUp(end, length >= LARGE_BYTES ? LARGE_ALIGNMENT : SMALL_ALIGNMENT);
    end = offset + length;
    placed.push({ offset, tensor: initializer.tensor, name: initializer.name });
    return externalPart(initializer, dataName, offset, length);
  });
  const layout = layOut(model, parts);
  return [
    { name: options.fileName, size: layout.size, chunks: modelChunks(layout) },
    { name: dataName, size: end, chunks: dataChunks(placed) },
  ];
}

/** An encoded initializer: all its bytes but the tensor's own, which follow unless they lie in the data file. */
interface Part {
  readonly head: Uint8Array;
  readonly name: string;
  readonly tensor: Tensor | null;
  readonly size: number;
}

interface Layout {
  /** Bytes in front of the initializers, the graph's tag and length included. */
  readonly head: Uint8Array;
  readonly parts: readonly Part[];
  readonly size: number;
}

/** Lays a model out with the graph last and in it the initializers last: protobuf lets fields come in any order. */
function layOut(model: OnnxModel, parts: readonly Part[]): Layout {
  const modelHead = onnx.ModelProto.encode({
    irVersion: model.irVersion,
    producerName: model.producerName,
    producerVersion: model.producerVersion,
    opsetImport: [{ domain: '', version: model.opset }, ...ownDomains(model)],
    metadataProps: Object.entries(model.properties).map(([key, value]) => ({ key, value })),
  }).finish();
  const graphHead = onnx.GraphProto.encode({
    name: model.graphName,
    node: model.nodes.map(nodeProto),
    input: model.inputs.map(valueProto),
    output: model.outputs.map(valueProto),
  }).finish();
  const initializersSize = parts.reduce((size, part) => size + part.size, 0);
  const graphSize = graphHead.byteLength + initializersSize;
  const head = concatBytes([modelHead, Uint8Array.of(TAG_GRAPH), varint(graphSize), graphHead]);
  return { head, parts, size: head.byteLength + initializersSize };
}

function inlinePart({ name, tensor }: OnnxInitializer): Part {
  const fields = onnx.TensorProto.encode({
    dims: [...tensor.shape],
    dataType: ONNX_DTYPES[tensor.dtype],
    name,
  }).finish();
  const length = byteLength(tensor.dtype, tensor.shape);
  const rawHead = concatBytes([Uint8Array.of(TAG_RAW_DATA), varint(length)]);
  const messageSize = fields.byteLength + rawHead.byteLength + length;
  const head = concatBytes([Uint8Array.of(TAG_INITIALIZER), varint(messageSize), fields, rawHead]);
  return { head, name, tensor, size: head.byteLength + length };
}

function externalPart({ name, tensor }: OnnxInitializer, location: string, offset: number, length: number): Part {
  const fields = onnx.TensorProto.encode({
    dims: [...tensor.shape],
    dataType: ONNX_DTYPES[tensor.dtype],
    name,
    externalData: Object.entries({ location, offset, length }).map(([key, value]) => ({ key, value: String(value) })),
    dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
  }).finish();
  const head = concatBytes([Uint8Array.of(TAG_INITIALIZER), varint(fields.byteLength), fields]);
  return { head, name, tensor: null, size: head.byteLength };
}

async function* modelChunks({ head, parts }: Layout): AsyncGenerator<Uint8Array> {
  yield head;
  for (const part of parts) {
    yield part.head;
    if (part.tensor) yield checkedBytes(part.name, part.tensor);
  }
}

async function* dataChunks(
  placed: readonly { offset: number; tensor: Tensor; name: string }[],
): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const { offset, tensor, name } of placed) {
    if (offset > at) yield new Uint8Array(offset - at);
    const bytes = checkedBytes(name, tensor);
    yield bytes;
    at = offset + bytes.byteLength;
  }
}

/** Bytes of a tensor, as many as it claims: their number is already written when they are asked for. */
function checkedBytes(name: string, tensor: Tensor): Uint8Array {
  const bytes = tensor.bytes();
  const expected = byteLength(tensor.dtype, tensor.shape);
  if (bytes.byteLength === expected) return bytes;
  throw new MbertError('INVALID_GRAPH', `${name}: tensor: gave ${bytes.byteLength} bytes instead of ${expected}`);
}

/** The domains that a model's operators are of besides ONNX's own; all of them are at their first version. */
function ownDomains({ nodes }: OnnxModel): onnxProto.onnx.IOperatorSetIdProto[] {
  const domains = new Set(nodes.map(({ op }) => domainOf(op)));
  return [...domains].filter((domain) => domain !== '').map((domain) => ({ domain, version: 1 }));
}

function nodeProto(node: OnnxNode): onnxProto.onnx.INodeProto {
  return {
    input: [...node.inputs],
    output: [...node.outputs],
    name: node.name,
    opType: node.op,
    ...(domainOf(node.op) !== '' && { domain: domainOf(node.op) }),
    attribute: Object.entries(node.attributes).map(([name, attribute]) => attributeProto(name, attribute)),
  };
}

function attributeProto(name: string, attribute: OnnxAttribute): onnxProto.onnx.IAttributeProto {
  const { AttributeType } = onnx.AttributeProto;
  if ('int' in attribute) return { name, i: attribute.int, type: AttributeType.INT };
  if ('float' in attribute) return { name, f: attribute.float, type: AttributeType.FLOAT };
  if ('text' in attribute) return { name, s: new TextEncoder().encode(attribute.text), type: AttributeType.STRING };
  return { name, ints: [...attribute.ints], type: AttributeType.INTS };
}

function valueProto({ name, dtype, shape }: OnnxValue): onnxProto.onnx.IValueInfoProto {
  const dim = shape.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: ONNX_DTYPES[dtype], shape: { dim } } } };
}

/** Encodes a number as unsigned LEB128, by division because lengths may pass 2^32. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((size, part) => size + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

function alignUp(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}
