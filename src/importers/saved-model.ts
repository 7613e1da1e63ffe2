import { dirname, join } from 'node:path';
import { listNames, MbertError } from '../errors.ts';
import { readSavedModel, type TfMetaGraph, type TfSignature } from '../formats/saved-model.ts';
import { readTensorBundle } from '../formats/tensor-bundle.ts';
import { type ModelFile, openFile } from '../io/files.ts';
import type { Graph } from '../ir/graph.ts';
import type { Tensor } from '../ir/tensor.ts';
import { graphSource } from './graph-source.ts';
import type { Importer } from './importer.ts';
import { importTfGraph, type TfConstant } from './tensorflow/import.ts';
import { restoredVariables } from './tensorflow/variables.ts';

/** protobuf's own limit. */
const MAX_FILE_BYTES = 2 ** 31 - 1;

const NAME = 'saved_model.pb';

/** A SavedModel: saved_model.pb with its variables in the folder beside it. */
export const savedModel: Importer = {
  name: 'savedmodel',
  find: (names) => names.find((name) => name === NAME),
  // Schema version 1, then the first meta graph. ONNX begins alike but for its version.
  detect: (head, file) => (head[0] === 0x08 && head[1] === 1 && head[2] === 0x12) || file.path.endsWith(NAME),
  read: async (file) => graphSource(file, (opened) => ({ graph: readSavedModelGraph(file, opened) })),
};

/** What `tf.saved_model.save`, Keras and TensorFlow Serving call the signature that is for use. */
const SIGNATURE = 'serving_default';

/** The graph behind the signature of a saved_model.pb. Its variables read from `variables/`, whose files join `opened`. */
function readSavedModelGraph(file: ModelFile, opened: ModelFile[]): Graph {
  if (file.size > MAX_FILE_BYTES) {
    throw new MbertError('MALFORMED', `${file.path}: ${file.size} bytes are more than a protobuf may have`);
  }
  const metaGraphs = readSavedModel(file.read(0, file.size), file.path);
  const metaGraph = metaGraphs.find(({ tags }) => tags.includes('serve')) ?? (metaGraphs[0] as TfMetaGraph);
  const signature = findSignature(metaGraph, file.path);
  const keys = restoredVariables(metaGraph, file.path);
  const stored = keys.size === 0 ? new Map<string, Tensor>() : openVariables(file, opened);
  const tensor = (node: TfConstant) => {
    if (node.op === 'Const' || node.op === 'HostConst') return node.attributes.tensor('value')?.tensor;
    const key = keys.get(node.name);
    const found = key === undefined ? undefined : stored.get(key);
    if (found !== undefined) return found;
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
  const found = signatures.get(SIGNATURE) ?? (usable.length === 1 ? usable[0]?.[1] : undefined);
  if (found !== undefined) return found;
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
