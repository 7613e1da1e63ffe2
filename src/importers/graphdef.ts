import { MbertError } from '../errors.ts';
import type { ModelFile } from '../files.ts';
import { readGraph } from '../formats/graphdef.ts';
import { ProtoMessage } from '../formats/protobuf.ts';
import type { Graph } from '../graph.ts';
import { importTfGraph, type TfConstant } from './tensorflow/import.ts';

/** protobuf's own limit. */
const MAX_FILE_BYTES = 2 ** 31 - 1;

/** The graph of a frozen GraphDef: its inputs are the placeholders, its outputs the values that nothing reads. */
export function readFrozenGraph(file: ModelFile): Graph {
  if (file.size > MAX_FILE_BYTES) {
    throw new MbertError('MALFORMED', `${file.path}: ${file.size} bytes are more than a protobuf may have`);
  }
  const graph = readGraph(ProtoMessage.open(file.read(0, file.size), file.path));
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
