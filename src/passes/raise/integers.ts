import type { Call, Constant, Graph, Node } from '../../ir/graph.ts';
import { any, match, op, weight } from '../../ir/match.ts';
import { type OpName, opDef } from '../../ir/ops/index.ts';
import type { Pass } from '../../ir/pass.ts';
import { type StoredTensor, storedForm } from '../../ir/quantized.ts';
import { isStatic, sameShape } from '../../ir/shape.ts';
import { DTYPES, type Quant, readF32, type TensorType } from '../../ir/tensor.ts';
import { hasOneUse } from '../attention.ts';

/**
 * What a product of floats with a weight of 8 bits stands for in the source: TFLite's kernels round the floats, ONNX
 * reads the weight as real numbers.
 */
export type LoneWeights = 'rounded' | 'real';

/** Steps over what computes on integers in the source, so that it is written as integers again. */
export function raiseIntegers(lone: LoneWeights): Pass {
  return {
    name: 'raise-integers',
    summary: 'quantize(linear(dequantize(x), f32 W))  ->  linear(x, stored W), stored',
    keeps: 'values',
    run(graph) {
      let rewrites = 0;
      for (const rule of [lookUpRows, readStored, storeResult]) {
        for (const node of graph.nodes()) if (rule(graph, node)) rewrites++;
      }
      for (const node of graph.nodes()) rewrites += storeConstants(graph, node, lone);
      return { rewrites, declined: [] };
    },
  };
}

const row = op('cast', [op('gather', [weight('table'), any('ids')], { axis: 0 })], { to: 'f32' });
const scaledRow = op('mul', [row, op('reshape', [op('gather', [weight('scales'), any('ids')], { axis: 0 })])]);

/** Looks rows up that are stored with a scale each, as mbert itself writes tables of 8 bits. */
function lookUpRows(graph: Graph, node: Node): boolean {
  const found = match(scaledRow, node);
  if (found === null) return false;
  const { table, scales, ids } = found;
  const isTable = table.type.dtype === 'i8' && table.type.shape.length === 2 && table.type.quant === undefined;
  const fits = isTable && scales.type.dtype === 'f32' && sameShape(scales.type.shape, table.type.shape.slice(0, 1));
  if (!fits || !sameShape(node.type.shape, [...ids.type.shape, table.type.shape[1] as number])) return false;
  return graph.replace(node, () => {
    const quant: Quant = { per: 'channel', axis: 0, scales: readF32(scales.tensor) };
    const stored = graph.constant(table.tensor, table.name, quant);
    return graph.add('gather', [stored, ids], { axis: 0 }, node.name);
  });
}

/** Reads a stored value as it is: its real numbers are what it stands for. An output that is real stays so. */
function readStored(graph: Graph, node: Node): boolean {
  const [x] = node.inputs;
  if (node.op !== 'dequantize' || x?.type.quant?.per !== 'tensor' || x.op === 'constant') return false;
  if (graph.isOutput(node)) return false;
  return graph.replace(node, () => x);
}

/** Stores the result of an op that runtimes compute on integers, where all that it reads is stored. */
function storeResult(graph: Graph, node: Node): boolean {
  const [x] = node.inputs;
  if (node.op !== 'quantize' || x === undefined || x.op === 'input' || x.op === 'constant') return false;
  if (x.type.quant !== undefined || !hasOneUse(graph, x) || !computesIntegers(x, node.type)) return false;
  return graph.replace(node, () => {
    graph.setType(x, node.type);
    return x;
  });
}

function computesIntegers(x: Call, result: TensorType): boolean {
  const { int8, moves } = opDef(x.op);
  const read = x.inputs.filter((input) => input.op !== 'constant');
  const isStored = ({ type }: Node) => type.quant?.per === 'tensor' && type.dtype === result.dtype;
  if (read.length === 0 || !read.every(isStored)) return false;
  return moves ? read.every(({ type }) => sameSteps(type.quant, result.quant)) : int8 !== undefined;
}

function sameSteps(a: Quant | undefined, b: Quant | undefined): boolean {
  return a?.per === 'tensor' && b?.per === 'tensor' && a.scale === b.scale && a.zeroPoint === b.zeroPoint;
}

/** Ops whose first input may be a table of stored integers, of which they read rows. */
const LOOKS_UP: ReadonlySet<OpName> = new Set(['gather', 'slice']);

/** Takes constants that were stored as integers as these again, where the node has a form for them. */
function storeConstants(graph: Graph, node: Node, lone: LoneWeights): number {
  if (node.op === 'input' || node.op === 'constant') return 0;
  let count = 0;
  for (const [i, input] of node.inputs.entries()) {
    const stored = input.op === 'constant' ? storedForm(input.tensor) : undefined;
    if (stored === undefined || input.op !== 'constant') continue;
    if (node.op === 'linear' && i === 1) count += storeWeight(graph, node, input, { stored, lone });
    else if (LOOKS_UP.has(node.op) && i === 0) count += Number(storeTable(graph, input, stored));
    else if (node.type.quant && node.op !== 'linear') count += Number(putStored(graph, input, stored));
  }
  return count;
}

function storeTable(graph: Graph, table: Constant, stored: StoredTensor): boolean {
  const isRow = ({ op, attrs }: Call) =>
    op === 'gather' || (op === 'slice' && !isStatic([(attrs as { end: number }).end]));
  const users = [...table.users];
  const isTable = users.every((user) => user.op !== 'input' && user.op !== 'constant' && isRow(user));
  return (
    isTable && DTYPES[stored.tensor.dtype] === 8 && stored.quant.per !== 'block' && putStored(graph, table, stored)
  );
}

function putStored(graph: Graph, constant: Constant, { tensor, quant }: StoredTensor): boolean {
  return graph.replace(constant, () => graph.constant(tensor, constant.name, quant));
}

/** Stores a linear's weight: as what its product takes, or before it as real numbers where x is not rounded. */
function storeWeight(
  graph: Graph,
  node: Call<'linear'>,
  weight: Constant,
  { stored, lone }: { readonly stored: StoredTensor; readonly lone: LoneWeights },
): number {
  const [x] = node.inputs as readonly [Node];
  const isReadByLinears = [...weight.users].every((user) => user.op === 'linear' && user.inputs[0] !== weight);
  if (!isReadByLinears || !hasFiniteScales(stored.quant)) return 0;
  const isRounded = x.type.quant !== undefined || x.op === 'dynamicRound' || lone === 'rounded';
  if (isRounded || DTYPES[stored.tensor.dtype] === 4) return Number(putStored(graph, weight, stored));
  const real = graph.replace(weight, () => {
    const integers = graph.constant(stored.tensor, weight.name, stored.quant);
    return graph.add('dequantize', [integers], {}, `${weight.name}/real`);
  });
  return Number(real);
}

/** The scale of a row of zeros may be 0, of which no runtime's integer kernel knows; 4-bit ones are negative too. */
function hasFiniteScales(quant: Quant): boolean {
  const scales = quant.per === 'tensor' ? [quant.scale] : quant.scales;
  return scales.every((scale) => scale !== 0 && Number.isFinite(scale));
}
