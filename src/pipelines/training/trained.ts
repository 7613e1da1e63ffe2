import type { Call, Constant, Graph, Node } from '../../ir/graph.ts';
import { type Tensor, takeF32, tensorOf } from '../../ir/tensor.ts';
import { isParameter } from '../../ir/token-wise.ts';

/** A layer of the student and the one of the teacher that it learns from, by names of nodes. */
export interface TaughtLayer {
  readonly teacher: { readonly attention: string; readonly output: string };
  /** Attention is undefined where the student has none there any more. */
  readonly student: { readonly attention: string | undefined; readonly output: string };
  /** The weight of its distances. */
  readonly weight: number;
}

/** Weights and biases of linears and the parameters of norms, where nothing else reads them. */
export function trainedConstants(graph: Graph): Constant[] {
  const isTrained = (node: Node, reader: Node) =>
    reader.op !== 'input' && reader.op !== 'constant' && isParameter(reader, reader.inputs.indexOf(node));
  return graph
    .nodes()
    .filter((node) => node.op === 'constant')
    .filter((node) => !node.type.quant && [...node.users].every((reader) => isTrained(node, reader)));
}

/** A place where a graph reads rows of a table by the ids of one of its inputs. */
export interface TableRead {
  readonly node: Call<'gather'>;
  /** Name of the table. */
  readonly table: string;
  /** Name of the input. */
  readonly ids: string;
}

/** Finds the tables of words and token types that nothing but such reads uses: others cannot be trained by rows. */
export function tableReads(graph: Graph): TableRead[] {
  const reads = graph.nodes().flatMap((node) => {
    const [table, ids] = node.op === 'gather' ? node.inputs : [];
    if (table?.op !== 'constant' || table.type.quant || table.type.dtype !== 'f32' || ids?.op !== 'input') return [];
    return [{ node: node as Call<'gather'>, table, ids: ids.name }];
  });
  const isByRows = (table: Constant) => [...table.users].every((user) => reads.some(({ node }) => node === user));
  return reads.filter(({ table }) => isByRows(table)).map((read) => ({ ...read, table: read.table.name }));
}

/** An array that training changes. */
export interface TrainedArray {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Reads the arrays of a student that are trained, in a fixed order. */
export function trainedArrays(student: Graph, { withTables }: { readonly withTables: boolean }): TrainedArray[] {
  const constants = trainedConstants(student);
  if (withTables) {
    const tables = new Set(tableReads(student).map(({ node }) => node.inputs[0] as Constant));
    constants.push(...tables);
  }
  return constants.map(({ name, tensor }) => ({ name, shape: tensor.shape, values: takeF32(tensor) }));
}

/** The tensor of an array. */
export function tensorOfArray({ shape, values }: TrainedArray): Tensor {
  return tensorOf('f32', shape, values);
}
