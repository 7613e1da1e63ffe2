import { MbertError } from '../../errors.ts';
import { readGraph } from '../../formats/graphdef.ts';
import { ProtoMessage, readProtobuf } from '../../formats/protobuf.ts';
import type { ModelFile } from '../../io/files.ts';
import type { Graph } from '../../ir/graph.ts';
import type { GraphSource } from '../importer.ts';
import { graphSource } from '../sources.ts';
import { importTfGraph, type TfConstant } from './import.ts';

/** Reads a .pb with the weights in it; a variable in it throws UNSUPPORTED. */
export function readFrozenGraph(file: ModelFile): GraphSource {
  return graphSource(file, () => ({ graph: readGraphOf(file) }));
}

/** Reads a frozen GraphDef: its inputs are the placeholders, its outputs the values that nothing reads. */
function readGraphOf(file: ModelFile): Graph {
  const graph = readGraph(ProtoMessage.open(readProtobuf(file), file.path));
  const tensor = (node: TfConstant) => {
    if (node.op !== 'Const') {
      throw new MbertError(
        'UNSUPPORTED',
        `${file.path}: ${node.name}: is a variable, whose value is not in this file`,
        {
          hint: 'freeze the graph, or give the SavedModel folder',
        },
      );
    }
    return node.attributes.tensor('value')?.tensor;
  };
  return importTfGraph({ file: file.path, graph, inputs: undefined, outputs: undefined, tensor });
}
