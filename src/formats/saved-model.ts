import { readGraph, readShape, type TfGraph, type TfPort } from './graphdef.ts';
import { ProtoMessage } from './protobuf.ts';

/**
 * A SavedModel's graph for one use. Field numbers are facts of tensorflow/core/protobuf: saved_model.proto,
 * meta_graph.proto and saver.proto of TensorFlow 2.18.
 */
export interface TfMetaGraph {
  /** Uses of the graph: `serve` for what is deployed. */
  readonly tags: readonly string[];
  readonly graph: TfGraph;
  readonly signatures: ReadonlyMap<string, TfSignature>;
  /** Name of the operation that restores the variables, '' where the model has none. */
  readonly restore: string;
}

/** Inputs and outputs of a model under a name such as `serving_default`, in the order of the file. */
export interface TfSignature {
  readonly inputs: readonly TfPort[];
  readonly outputs: readonly TfPort[];
}

/** Reads a SavedModel: schema version 1, meta graphs 2. */
export function readSavedModel(bytes: Uint8Array, file: string): TfMetaGraph[] {
  const message = ProtoMessage.open(bytes, file);
  const metaGraphs = message.messages(2, 'meta graph');
  if (message.int(1) !== SCHEMA_VERSION || metaGraphs.length === 0) message.fail('is no SavedModel');
  return metaGraphs.map(readMetaGraph);
}

/** Value of saved_model_schema_version, unchanged since TensorFlow 1. */
const SCHEMA_VERSION = 1;

/** Reads a MetaGraphDef: info 1 with tags 4, graph 2, saver 3 with restore_op_name 3, signatures 5. */
function readMetaGraph(message: ProtoMessage): TfMetaGraph {
  const signatures = [...message.entries(5, 'signature')].map(
    ([name, signature]) => [name, { inputs: readPorts(signature, 1), outputs: readPorts(signature, 2) }] as const,
  );
  return {
    tags: message.message(1, 'meta graph').texts(4),
    graph: readGraph(message.message(2, 'graph')),
    signatures: new Map(signatures),
    restore: message.message(3, 'saver').text(3),
  };
}

/** Reads TensorInfos: name 1, dtype 2, shape 3; the name is empty for composite and sparse tensors. */
function readPorts(signature: ProtoMessage, number: number): TfPort[] {
  return [...signature.entries(number, 'signature')].map(([name, info]) => ({
    name,
    value: info.text(1) || info.fail(`${name} is no plain tensor`),
    type: info.int(2),
    shape: info.has(3) ? readShape(info.message(3, 'signature')) : undefined,
  }));
}
