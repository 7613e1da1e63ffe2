import { opName } from '../diff/side.ts';
import { knownFingerprint } from '../ir/fingerprint.ts';
import type { Constant, Graph, Node } from '../ir/graph.ts';
import { isFloat } from '../ir/op.ts';
import { dequantized } from '../ir/quantized.ts';
import { shapeText } from '../ir/shape.ts';
import { byteLength, readF32, type TensorType } from '../ir/tensor.ts';

/** A graph as plain data, to be drawn: no values, inputs before users. */
export interface GraphOutline {
  readonly nodes: readonly OutlineNode[];
  /** Each constant once, whatever the number of its readers. */
  readonly weights: readonly OutlineWeight[];
  /** `node` is a place in `nodes`; null where a constant is the output. */
  readonly outputs: readonly { readonly name: string; readonly node: number | null }[];
}

export interface OutlineNode {
  readonly name: string;
  /** `input`, an op, or `foreign` and what its format calls it. */
  readonly op: string;
  /** `f32[batch, 128]` */
  readonly type: string;
  /** How its numbers are stored: `f32`, or `i8 per tensor`. */
  readonly storage: string;
  /** Places in `nodes` of what it reads. */
  readonly inputs: readonly number[];
  /** Places in `weights` of what it reads. */
  readonly weights: readonly number[];
}

export interface OutlineWeight {
  readonly name: string;
  readonly type: string;
  readonly storage: string;
  readonly bytes: number;
  /** Least and largest real value of a float or quantized weight; absent where it was not asked for or is not known. */
  readonly range?: readonly [number, number];
}

/** With `ranges` every weight is read. */
export function outlineOf(graph: Graph, options: { readonly ranges?: boolean } = {}): GraphOutline {
  const live = graph.nodes();
  const isLive = new Set(live);
  const all = [...graph.inputs.filter((input) => !isLive.has(input)), ...live];
  const places = new Map<Node, number>();
  const nodes: OutlineNode[] = [];
  const weights: OutlineWeight[] = [];
  for (const node of all) {
    if (node.op === 'constant') {
      places.set(node, weights.length);
      weights.push(outlineWeight(node, options.ranges === true));
      continue;
    }
    const placesOf = (wanted: boolean) =>
      node.inputs.filter(({ op }) => (op === 'constant') === wanted).map((input) => places.get(input) as number);
    places.set(node, nodes.length);
    nodes.push({
      name: node.name,
      op: opName(node),
      type: plainType(node.type),
      storage: storageOf(node.type),
      inputs: placesOf(false),
      weights: placesOf(true),
    });
  }
  const outputs = graph.outputs.map(({ name, node }) => ({
    name,
    node: node.op === 'constant' ? null : (places.get(node) as number),
  }));
  return { nodes, weights, outputs };
}

function outlineWeight(node: Constant, withRange: boolean): OutlineWeight {
  const { dtype, shape } = node.tensor;
  const range = withRange ? rangeOf(node) : undefined;
  return {
    name: node.name,
    type: plainType(node.type),
    storage: storageOf(node.type),
    bytes: byteLength(dtype, shape),
    ...(range && { range }),
  };
}

function plainType({ dtype, shape }: TensorType): string {
  return `${dtype}${shapeText(shape)}`;
}

function storageOf({ dtype, quant }: TensorType): string {
  return quant === undefined ? dtype : `${dtype} per ${quant.per}`;
}

function rangeOf({ tensor, type }: Constant): [number, number] | undefined {
  if (knownFingerprint(tensor) !== undefined || !(isFloat(tensor.dtype) || type.quant)) return undefined;
  const values = readF32(type.quant ? dequantized(tensor, type.quant) : tensor);
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return least <= most ? [least, most] : undefined;
}
