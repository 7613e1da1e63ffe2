import { dirname, join } from 'node:path';
import { listNames, MbertError } from '../../errors.ts';
import { readProtobuf } from '../../formats/protobuf.ts';
import { readSavedModel, type TfMetaGraph, type TfSignature } from '../../formats/saved-model.ts';
import { readTensorBundle } from '../../formats/tensor-bundle.ts';
import { type ModelFile, openFile } from '../../io/files.ts';
import type { Graph } from '../../ir/graph.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { GraphSource } from '../importer.ts';
import { graphSource } from '../sources.ts';
import { importTfGraph, type TfConstant } from './import.ts';
import { restoredVariables } from './variables.ts';

/** Reads a saved_model.pb; constants are read from the variables beside it when asked for. */
export function readSavedModelSource(file: ModelFile): GraphSource {
  return graphSource(file, (opened) => ({ graph: readServed(file, opened) }));
}

/** Name that `tf.saved_model.save`, Keras and TensorFlow Serving give to the signature that is for use. */
const SIGNATURE = 'serving_default';

/** Reads the graph behind a saved_model.pb's signature. Variables read from `variables/`, whose files join `opened`. */
function readServed(file: ModelFile, opened: ModelFile[]): Graph {
  const metaGraphs = readSavedModel(readProtobuf(file), file.path);
  const metaGraph = metaGraphs.find(({ tags }) => tags.includes('serve')) ?? (metaGraphs[0] as TfMetaGraph);
  const signature = findSignature(metaGraph, file.path);
  const keys = restoredVariables(metaGraph, file.path);
  const stored = keys.size === 0 ? new Map<string, Tensor>() : openVariables(file, opened);
  const tensor = (node: TfConstant) => {
    if (node.op === 'Const' || node.op === 'HostConst') return node.attributes.tensor('value')?.tensor;
    const key = keys.get(node.name);
    const variable = key === undefined ? undefined : stored.get(key);
    if (variable !== undefined) return variable;
    throw new MbertError('MALFORMED', `${file.path}: variable ${node.name}: variables/ holds no value for it`);
  };
  return importTfGraph({
    file: file.path,
    graph: metaGraph.graph,
    inputs: signature.inputs,
    outputs: signature.outputs,
    tensor,
  });
}

function findSignature({ signatures }: TfMetaGraph, file: string): TfSignature {
  const usable = [...signatures].filter(([, { outputs }]) => outputs.length > 0);
  const signature = signatures.get(SIGNATURE) ?? (usable.length === 1 ? usable[0]?.[1] : undefined);
  if (signature !== undefined) return signature;
  const names = usable.map(([name]) => name);
  throw new MbertError('UNSUPPORTED', `${file}: has no signature ${SIGNATURE}`, {
    hint: names.length === 0 ? 'save the model with a signature' : `it has ${listNames(names)}; save it with that name`,
  });
}

function openVariables(file: ModelFile, opened: ModelFile[]): ReadonlyMap<string, Tensor> {
  const index = openFile(join(dirname(file.path), 'variables', 'variables.index'));
  opened.push(index);
  return readTensorBundle(index, opened).tensors;
}
