import { malformed } from '../../errors.ts';
import type { TfPort } from '../../formats/graphdef.ts';
import { parseJson } from '../../formats/json.ts';
import { MAX_PARTS, openPart } from '../../formats/parts.ts';
import { readTfjsModel, readTfjsText, readTfjsWeights, type TfjsModel } from '../../formats/tfjs.ts';
import { type ModelFile, siblingPath } from '../../io/files.ts';
import type { Graph } from '../../ir/graph.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { GraphSource } from '../importer.ts';
import { graphSource } from '../sources.ts';
import { importTfGraph, type TfConstant } from './import.ts';

/** Reads a model.json; constants are read from the weight files beside it when asked for. */
export function readTfjs(file: ModelFile): GraphSource {
  return graphSource(file, (opened) => ({ graph: readModel(file, opened) }));
}

/** Reads the graph of a model.json. The weight files beside it are added to `opened`: constants read from them. */
function readModel(file: ModelFile, opened: ModelFile[]): Graph {
  const model = readTfjsModel(parseJson(readTfjsText(file), file.path), file.path);
  const tensors = openWeights(file, model, opened);
  const tensor = (node: TfConstant) => {
    const weight = tensors.get(node.name);
    if (weight === undefined) throw malformed(file.path, `weightsManifest: has no weight ${node.name}`);
    return weight;
  };
  return importTfGraph({
    file: file.path,
    graph: model.graph,
    inputs: portsOf(model.inputs),
    outputs: portsOf(model.outputs),
    tensor,
  });
}

function portsOf(ports: readonly TfPort[]): readonly TfPort[] | undefined {
  return ports.length === 0 ? undefined : ports;
}

function openWeights(file: ModelFile, { groups }: TfjsModel, opened: ModelFile[]): Map<string, Tensor> {
  const paths = groups.flatMap((group) => group.paths);
  if (paths.length > MAX_PARTS)
    throw malformed(file.path, `names ${paths.length} weight files, more than ${MAX_PARTS}`);
  // All names are checked before the first file is opened.
  for (const path of paths) siblingPath(file.path, path);
  const tensors = new Map<string, Tensor>();
  for (const group of groups) {
    const shards = group.paths.map((path) => {
      const shard = openPart(file, path);
      opened.push(shard);
      return shard;
    });
    for (const [name, tensor] of readTfjsWeights(group, shards, `${file.path}: weightsManifest`)) {
      if (tensors.has(name)) throw malformed(file.path, `weightsManifest: ${name}: is listed twice`);
      tensors.set(name, tensor);
    }
  }
  return tensors;
}
