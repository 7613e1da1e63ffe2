import { MbertError } from '../errors.ts';
import { parseJson } from '../formats/json.ts';
import { readTfjsModel, readTfjsWeights, type TfBinding, type TfjsModel } from '../formats/tfjs.ts';
import { decodeText } from '../io/bytes.ts';
import { type ModelFile, siblingPath } from '../io/files.ts';
import type { Graph } from '../ir/graph.ts';
import type { Tensor } from '../ir/tensor.ts';
import { graphSource } from './graph-source.ts';
import type { Importer } from './importer.ts';
import { importTfGraph, type TfConstant, type TfPort } from './tensorflow/import.ts';

/** The graph of MobileBERT takes 1.5 MB. */
const MAX_MODEL_BYTES = 64 * 2 ** 20;

/** Every weight file stays open while the model is read; systems allow a process 1,024 files by default. */
const MAX_SHARDS = 512;

const NAME = 'model.json';

/** A TF.js model: model.json and its weight files. */
export const tfjs: Importer = {
  name: 'tfjs',
  find: (names) => names.find((name) => name === NAME),
  // The format comes first in what the converter writes; layers models are claimed to be refused by name.
  detect: (head, file) =>
    /^\s*\{.*"(?:graph-model|layers-model|modelTopology)"/s.test(latin1(head)) || hasName(file, NAME),
  read: async (file) => graphSource(file, (opened) => ({ graph: readTfjs(file, opened) })),
};

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function hasName(file: ModelFile, name: string): boolean {
  return file.path.split(/[/\\]/).at(-1) === name;
}

/** The graph of a model.json. The weight files beside it are added to `opened`: constants read from them. */
function readTfjs(file: ModelFile, opened: ModelFile[]): Graph {
  if (file.size > MAX_MODEL_BYTES) throw malformed(file.path, `${file.size} bytes are over ${MAX_MODEL_BYTES}`);
  const model = readTfjsModel(parseJson(decodeText(file.read(0, file.size), file.path), file.path), file.path);
  const tensors = openWeights(file, model, opened);
  const tensor = (node: TfConstant) => {
    const found = tensors.get(node.name);
    if (found === undefined) throw malformed(file.path, `weightsManifest: has no weight ${node.name}`);
    return found;
  };
  return importTfGraph({
    file: file.path,
    graph: model.graph,
    inputs: portsOf(model.inputs),
    outputs: portsOf(model.outputs),
    tensor,
  });
}

/** A signature's keys are names of values, `attention_mask:0`; the first value of a node goes by the node's name. */
function portsOf(bindings: readonly TfBinding[]): TfPort[] | undefined {
  if (bindings.length === 0) return undefined;
  return bindings.map(({ name, value }) => ({ name: name.replace(/:0$/, ''), value }));
}

function openWeights(file: ModelFile, { groups }: TfjsModel, opened: ModelFile[]): Map<string, Tensor> {
  const paths = groups.flatMap((group) => group.paths);
  if (paths.length > MAX_SHARDS)
    throw malformed(file.path, `names ${paths.length} weight files, more than ${MAX_SHARDS}`);
  // All names are checked before the first file is opened.
  for (const path of paths) siblingPath(file.path, path);
  const tensors = new Map<string, Tensor>();
  for (const group of groups) {
    const shards = group.paths.map((path) => openShard(file, path, opened));
    for (const [name, tensor] of readTfjsWeights(group, shards, `${file.path}: weightsManifest`)) {
      if (tensors.has(name)) throw malformed(file.path, `weightsManifest: ${name}: is listed twice`);
      tensors.set(name, tensor);
    }
  }
  return tensors;
}

function openShard(file: ModelFile, path: string, opened: ModelFile[]): ModelFile {
  try {
    const shard = file.sibling(path);
    opened.push(shard);
    return shard;
  } catch (cause) {
    if (!(cause instanceof MbertError) || cause.code !== 'NOT_FOUND') throw cause;
    throw new MbertError('NOT_FOUND', `${file.path}: names ${path}, which does not exist`, {
      hint: 'fetch the missing part of the model into the same folder',
      cause,
    });
  }
}

function malformed(path: string, problem: string): MbertError {
  return new MbertError('MALFORMED', `${path}: ${problem}`);
}
