import { MbertError } from '../errors.ts';
import type { ModelFile } from '../io/files.ts';
import type { DType, Tensor } from '../ir/tensor.ts';
import { MAX_NODES } from './graph-limits.ts';
import { type ExternalFiles, ONNX_DTYPE_OF, readOnnxTensor } from './onnx-tensor.ts';
import { MAX_PROTOBUF_BYTES, ProtoMessage } from './protobuf.ts';

/** A model as its file holds it. Field numbers are facts of onnx.proto (github.com/onnx/onnx, IR version 13). */
export interface OnnxFile {
  readonly irVersion: number;
  /** Versions of operator sets by domain; ONNX's own domain is ''. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly producerName: string;
  readonly producerVersion: string;
  readonly properties: ReadonlyMap<string, string>;
  readonly graph: OnnxFileGraph;
  /** Operators of the model's own by `domain::name`. */
  readonly functions: ReadonlyMap<string, OnnxFunction>;
}

export interface OnnxFileGraph {
  readonly name: string;
  readonly nodes: readonly OnnxFileNode[];
  readonly initializers: ReadonlyMap<string, Tensor>;
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  /** Types that the file states of values inside. */
  readonly values: ReadonlyMap<string, OnnxValueInfo>;
}

export interface OnnxFileNode {
  /** Name for messages: the node's own, or its operator and first output. */
  readonly name: string;
  readonly op: string;
  /** Domain of the operator; '' is ONNX's own. */
  readonly domain: string;
  /** Names of the values read; an input or output that is left out is the empty name. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxFileAttribute>;
}

export type OnnxFileAttribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'texts'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  | { readonly kind: 'graph'; readonly value: OnnxFileGraph }
  /** Name of the calling node's attribute that is meant; in functions only. */
  | { readonly kind: 'reference'; readonly value: string }
  /** Lists of graphs, types and sparse tensors are not read. */
  | { readonly kind: 'other'; readonly value: string };

export interface OnnxValueInfo {
  readonly name: string;
  /** Type of the elements; undefined where it is no tensor, or of a type that mbert does not have. */
  readonly dtype: DType | undefined;
  /** Sizes; undefined where not even the rank is stated, and so is a size that has neither a number nor a symbol. */
  readonly shape: readonly (number | string | undefined)[] | undefined;
}

export interface OnnxFunction {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly OnnxFileNode[];
  readonly opsets: ReadonlyMap<string, number>;
  readonly attributes: ReadonlyMap<string, OnnxFileAttribute>;
}

/**
 * Reads a model, whose weights are in other files where it is larger than a protobuf can be. Those are opened through
 * `external`. Weights are read when asked for, so that all files must stay open.
 */
export function decodeOnnx(file: ModelFile, external: ExternalFiles): OnnxFile {
  if (file.size === 0) throw new MbertError('MALFORMED', `${file.path}: is empty`);
  if (file.size > MAX_PROTOBUF_BYTES) {
    const problem = `${file.size} bytes are over protobuf's limit of ${MAX_PROTOBUF_BYTES}`;
    throw new MbertError('MALFORMED', `${file.path}: ${problem}`);
  }
  const model = ProtoMessage.openFile(file);
  if (!model.has(7)) model.fail('is no ONNX model: it has no graph');
  return {
    irVersion: model.int(1),
    opsets: readOpsets(model.messages(8, 'opset_import')),
    producerName: model.text(2),
    producerVersion: model.text(3),
    properties: model.textEntries(14, 'metadata_props'),
    graph: readGraph(model.message(7, 'graph'), external),
    functions: readFunctions(model.messages(25, 'function'), external),
  };
}

function readOpsets(messages: readonly ProtoMessage[]): ReadonlyMap<string, number> {
  return new Map(messages.map((message) => [domainOf(message.text(1)), message.int(2)]));
}

/** The domain of a name: `ai.onnx` is the long form of the empty one. */
function domainOf(name: string): string {
  return name === 'ai.onnx' ? '' : name;
}

function readGraph(graph: ProtoMessage, external: ExternalFiles): OnnxFileGraph {
  const initializers = new Map<string, Tensor>();
  for (const message of graph.messages(5, 'initializer')) {
    const name = message.text(8);
    if (initializers.has(name)) message.fail(`${name}: there are two of this name`);
    initializers.set(name, readOnnxTensor(message, external));
  }
  if (graph.has(15)) graph.fail('sparse initializers are not supported');
  return {
    name: graph.text(2),
    nodes: readNodes(graph.messages(1, 'node', MAX_NODES), external),
    initializers,
    inputs: graph.messages(11, 'input').map(readValue),
    outputs: graph.messages(12, 'output').map(readValue),
    values: new Map(graph.messages(13, 'value_info').map((message) => [message.text(1), readValue(message)])),
  };
}

function readNodes(messages: readonly ProtoMessage[], external: ExternalFiles): OnnxFileNode[] {
  return messages.map((message) => {
    const op = message.text(4);
    const outputs = message.texts(2);
    return {
      name: message.text(3) || `${op} ${outputs[0] ?? ''}`,
      op,
      domain: domainOf(message.text(7)),
      inputs: message.texts(1),
      outputs,
      attributes: readAttributes(message.messages(5, `${message.text(3) || op}: attribute`), external),
    };
  });
}

function readAttributes(
  messages: readonly ProtoMessage[],
  external: ExternalFiles,
): ReadonlyMap<string, OnnxFileAttribute> {
  return new Map(messages.map((message) => [message.text(1), readAttribute(message, external)]));
}

type AttributeReader = (attribute: ProtoMessage, external: ExternalFiles) => OnnxFileAttribute;

/** Kinds of values by their number in AttributeProto.AttributeType and the field that holds them. */
const ATTRIBUTES: readonly { readonly type: number; readonly field: number; readonly read: AttributeReader }[] = [
  { type: 1, field: 2, read: (attribute) => ({ kind: 'float', value: attribute.float(2) }) },
  { type: 2, field: 3, read: (attribute) => ({ kind: 'int', value: attribute.int(3) }) },
  { type: 3, field: 4, read: (attribute) => ({ kind: 'text', value: attribute.text(4) }) },
  {
    type: 4,
    field: 5,
    read: (attribute, external) => ({
      kind: 'tensor',
      value: readOnnxTensor(attribute.message(5, 'tensor'), external),
    }),
  },
  {
    type: 5,
    field: 6,
    read: (attribute, external) => ({ kind: 'graph', value: readGraph(attribute.message(6, 'graph'), external) }),
  },
  { type: 6, field: 7, read: (attribute) => ({ kind: 'floats', value: Array.from(attribute.floats(7)) }) },
  { type: 7, field: 8, read: (attribute) => ({ kind: 'ints', value: attribute.ints(8) }) },
  { type: 8, field: 9, read: (attribute) => ({ kind: 'texts', value: attribute.texts(9) }) },
];

function readAttribute(attribute: ProtoMessage, external: ExternalFiles): OnnxFileAttribute {
  const reference = attribute.text(21);
  if (reference !== '') return { kind: 'reference', value: reference };
  const type = attribute.int(20);
  // Before IR version 2 the type was not written: the field that is there tells it.
  const row = ATTRIBUTES.find((kind) => (type === 0 ? attribute.has(kind.field) : kind.type === type));
  return row ? row.read(attribute, external) : { kind: 'other', value: `type ${type}` };
}

function readValue(value: ProtoMessage): OnnxValueInfo {
  const tensor = value.message(2, 'type').message(1, 'tensor_type');
  const dims = tensor.message(2, 'shape').messages(1, 'dim');
  return {
    name: value.text(1),
    dtype: ONNX_DTYPE_OF.get(tensor.int(1)),
    shape: tensor.has(2)
      ? dims.map((dim) => (dim.has(1) ? dim.int(1) : dim.has(2) ? dim.text(2) : undefined))
      : undefined,
  };
}

function readFunctions(messages: readonly ProtoMessage[], external: ExternalFiles): ReadonlyMap<string, OnnxFunction> {
  return new Map(
    messages.map((message) => [
      `${domainOf(message.text(10))}::${message.text(1)}`,
      {
        inputs: message.texts(4),
        outputs: message.texts(5),
        nodes: readNodes(message.messages(7, 'node', MAX_NODES), external),
        opsets: readOpsets(message.messages(9, 'opset_import')),
        attributes: readAttributes(message.messages(11, 'attribute'), external),
      },
    ]),
  );
}
