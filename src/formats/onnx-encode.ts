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
import { MessageWriter } from './protobuf-writer.ts';

interface OnnxEncodeOptions {
  readonly fileName: string;
  /** Name of the file of external data beside it. Default: `<fileName>.data`. */
  readonly dataName?: string;
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

/** Field numbers of the messages of onnx.proto (github.com/onnx/onnx, IR version 13). */
const MODEL = { irVersion: 1, producerName: 2, producerVersion: 3, opsetImport: 8, metadataProps: 14 } as const;
const OPSET = { domain: 1, version: 2 } as const;
const ENTRY = { key: 1, value: 2 } as const;
const GRAPH = { node: 1, name: 2, input: 11, output: 12 } as const;
const NODE = { input: 1, output: 2, name: 3, opType: 4, attribute: 5, domain: 7 } as const;
const ATTRIBUTE = { name: 1, f: 2, i: 3, s: 4, ints: 8, type: 20 } as const;
const VALUE = { name: 1, type: 2 } as const;
const TYPE = { tensorType: 1 } as const;
const TENSOR_TYPE = { elemType: 1, shape: 2 } as const;
const SHAPE = { dim: 1 } as const;
const DIM = { value: 1, param: 2 } as const;
const TENSOR = { dims: 1, dataType: 2, name: 8, externalData: 13, dataLocation: 14 } as const;

/** Numbers of AttributeProto.AttributeType and of TensorProto.DataLocation. */
const ATTRIBUTE_TYPE = { float: 1, int: 2, text: 3, ints: 7 } as const;
const EXTERNAL = 1;

/** Tag bytes, field number and wire type, in front of the fields whose bytes are streamed. */
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
  const { dataName = `${options.fileName}.data` } = options;
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
  const modelHead = new MessageWriter()
    .int(MODEL.irVersion, model.irVersion)
    .text(MODEL.producerName, model.producerName)
    .text(MODEL.producerVersion, model.producerVersion)
    .message(MODEL.opsetImport, opsetMessage('', model.opset))
    .messages(
      MODEL.opsetImport,
      ownDomains(model).map((domain) => opsetMessage(domain, 1)),
    )
    .messages(MODEL.metadataProps, Object.entries(model.properties).map(entryMessage))
    .finish();
  const graphHead = new MessageWriter()
    .messages(GRAPH.node, model.nodes.map(nodeMessage))
    .text(GRAPH.name, model.graphName)
    .messages(GRAPH.input, model.inputs.map(valueMessage))
    .messages(GRAPH.output, model.outputs.map(valueMessage))
    .finish();
  const initializersSize = parts.reduce((size, part) => size + part.size, 0);
  const graphSize = graphHead.byteLength + initializersSize;
  const head = concatBytes([modelHead, Uint8Array.of(TAG_GRAPH), varint(graphSize), graphHead]);
  return { head, parts, size: head.byteLength + initializersSize };
}

function inlinePart(initializer: OnnxInitializer): Part {
  const { name, tensor } = initializer;
  const fields = tensorMessage(initializer).finish();
  const length = byteLength(tensor.dtype, tensor.shape);
  const rawHead = concatBytes([Uint8Array.of(TAG_RAW_DATA), varint(length)]);
  const messageSize = fields.byteLength + rawHead.byteLength + length;
  const head = concatBytes([Uint8Array.of(TAG_INITIALIZER), varint(messageSize), fields, rawHead]);
  return { head, name, tensor, size: head.byteLength + length };
}

function externalPart(initializer: OnnxInitializer, location: string, offset: number, length: number): Part {
  const entries = Object.entries({ location, offset: String(offset), length: String(length) });
  const fields = tensorMessage(initializer)
    .messages(TENSOR.externalData, entries.map(entryMessage))
    .int(TENSOR.dataLocation, EXTERNAL)
    .finish();
  const head = concatBytes([Uint8Array.of(TAG_INITIALIZER), varint(fields.byteLength), fields]);
  return { head, name: initializer.name, tensor: null, size: head.byteLength };
}

/** A tensor without its data. */
function tensorMessage({ name, tensor }: OnnxInitializer): MessageWriter {
  return new MessageWriter()
    .ints(TENSOR.dims, tensor.shape)
    .int(TENSOR.dataType, ONNX_DTYPES[tensor.dtype])
    .text(TENSOR.name, name);
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
function ownDomains({ nodes }: OnnxModel): readonly string[] {
  return [...new Set(nodes.map(({ op }) => domainOf(op)))].filter((domain) => domain !== '');
}

function opsetMessage(domain: string, version: number): MessageWriter {
  return new MessageWriter().text(OPSET.domain, domain).int(OPSET.version, version);
}

function entryMessage([key, value]: readonly [string, string]): MessageWriter {
  return new MessageWriter().text(ENTRY.key, key).text(ENTRY.value, value);
}

function nodeMessage({ name, op, inputs, outputs, attributes }: OnnxNode): MessageWriter {
  const message = new MessageWriter().texts(NODE.input, inputs).texts(NODE.output, outputs);
  message.text(NODE.name, name).text(NODE.opType, op);
  message.messages(NODE.attribute, Object.entries(attributes).map(attributeMessage));
  const domain = domainOf(op);
  return domain === '' ? message : message.text(NODE.domain, domain);
}

function attributeMessage([name, attribute]: readonly [string, OnnxAttribute]): MessageWriter {
  const message = new MessageWriter().text(ATTRIBUTE.name, name);
  const { type } = ATTRIBUTE;
  if ('int' in attribute) return message.int(ATTRIBUTE.i, attribute.int).int(type, ATTRIBUTE_TYPE.int);
  if ('float' in attribute) return message.float(ATTRIBUTE.f, attribute.float).int(type, ATTRIBUTE_TYPE.float);
  if ('text' in attribute) return message.text(ATTRIBUTE.s, attribute.text).int(type, ATTRIBUTE_TYPE.text);
  return message.ints(ATTRIBUTE.ints, attribute.ints).int(type, ATTRIBUTE_TYPE.ints);
}

function valueMessage({ name, dtype, shape }: OnnxValue): MessageWriter {
  const dims = shape.map((size) =>
    typeof size === 'number' ? new MessageWriter().int(DIM.value, size) : new MessageWriter().text(DIM.param, size),
  );
  const tensorType = new MessageWriter()
    .int(TENSOR_TYPE.elemType, ONNX_DTYPES[dtype])
    .message(TENSOR_TYPE.shape, new MessageWriter().messages(SHAPE.dim, dims));
  return new MessageWriter()
    .text(VALUE.name, name)
    .message(VALUE.type, new MessageWriter().message(TYPE.tensorType, tensorType));
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
