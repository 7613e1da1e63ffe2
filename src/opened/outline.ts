import { opName } from '../diff/side.ts';
import { knownFingerprint } from '../ir/fingerprint.ts';
import type { Constant, Graph, Node } from '../ir/graph.ts';
import { isFloat } from '../ir/op.ts';
import { dequantized, storedRange } from '../ir/quantized.ts';
import { shapeText } from '../ir/shape.ts';
import { byteLength, readF32, type TensorType } from '../ir/tensor.ts';
import { type Distribution, distributionOf } from '../metrics/distribution.ts';

/** A graph as plain data for drawing: names and types, no values but how they are distributed; inputs before users. */
export interface GraphOutline {
  readonly nodes: readonly OutlineNode[];
  /** Constants, each once however many nodes read it. */
  readonly weights: readonly OutlineWeight[];
  /** Outputs with the index of their node in `nodes`, which is null where a constant is the output. */
  readonly outputs: readonly { readonly name: string; readonly node: number | null }[];
}

export interface OutlineNode {
  readonly name: string;
  /** Op name: `input`, an op, or `foreign` with the name that its format has for it. */
  readonly op: string;
  /** Dtype and shape, as `f32[batch, 128]`. */
  readonly type: string;
  /** Storage of its numbers: `f32`, or `i8 per tensor`. */
  readonly storage: string;
  /** Indices in `nodes` of the nodes that it reads. */
  readonly inputs: readonly number[];
  /** Indices in `weights` of the constants that it reads. */
  readonly weights: readonly number[];
  /** Least and largest real number that its integers hold, where it is stored with one scale and values are asked for. */
  readonly limits?: readonly [number, number];
  /** Distribution of its values on texts, where these were run. */
  readonly values?: Distribution;
}

export interface OutlineWeight {
  readonly name: string;
  readonly type: string;
  readonly storage: string;
  readonly bytes: number;
  /**
   * Distribution of the real values of a float or quantized weight; absent where it was not asked for or is not known.
   */
  readonly values?: Distribution;
}

export interface OutlineOptions {
  /** Reads weights for how their values are distributed: all, or those of these names. */
  readonly values?: boolean | ReadonlySet<string>;
  /** Distributions of values on texts, by the names of nodes. */
  readonly onTexts?: ReadonlyMap<string, Distribution> | undefined;
}

/** Describes a graph as plain data. */
export function outlineOf(graph: Graph, { values = false, onTexts }: OutlineOptions = {}): GraphOutline {
  const live = graph.nodes();
  const isLive = new Set(live);
  const all = [...graph.inputs.filter((input) => !isLive.has(input)), ...live];
  const places = new Map<Node, number>();
  const nodes: OutlineNode[] = [];
  const weights: OutlineWeight[] = [];
  for (const node of all) {
    if (node.op === 'constant') {
      places.set(node, weights.length);
      weights.push(outlineWeight(node, typeof values === 'boolean' ? values : values.has(node.name)));
      continue;
    }
    const placesOf = (isConstant: boolean) =>
      node.inputs.filter(({ op }) => (op === 'constant') === isConstant).map((input) => places.get(input) as number);
    const limits = values === true ? limitsOf(node.type) : undefined;
    const ofNode = onTexts && onTextsOf(node, onTexts);
    places.set(node, nodes.length);
    nodes.push({
      name: node.name,
      op: opName(node),
      type: plainType(node.type),
      storage: storageOf(node.type),
      inputs: placesOf(false),
      weights: placesOf(true),
      ...(limits && { limits }),
      ...(ofNode && { values: ofNode }),
    });
  }
  const outputs = graph.outputs.map(({ name, node }) => ({
    name,
    node: node.op === 'constant' ? null : (places.get(node) as number),
  }));
  return { nodes, weights, outputs };
}

function outlineWeight(node: Constant, withValues: boolean): OutlineWeight {
  const { dtype, shape } = node.tensor;
  const values = withValues ? valuesOf(node) : undefined;
  return {
    name: node.name,
    type: plainType(node.type),
    storage: storageOf(node.type),
    bytes: byteLength(dtype, shape),
    ...(values && { values }),
  };
}

function plainType({ dtype, shape }: TensorType): string {
  return `${dtype}${shapeText(shape)}`;
}

function storageOf({ dtype, quant }: TensorType): string {
  return quant === undefined ? dtype : `${dtype} per ${quant.per}`;
}

function valuesOf({ tensor, type }: Constant): Distribution | undefined {
  if (knownFingerprint(tensor) !== undefined || !(isFloat(tensor.dtype) || type.quant)) return undefined;
  return distributionOf(readF32(type.quant ? dequantized(tensor, type.quant) : tensor));
}

/** Finds the distribution of a node's values; quantize and dequantize nodes have that of the value they read. */
function onTextsOf(node: Node, onTexts: ReadonlyMap<string, Distribution>): Distribution | undefined {
  const isRounding = node.op === 'quantize' || node.op === 'dequantize';
  return onTexts.get(node.name) ?? (isRounding ? onTextsOf(node.inputs[0] as Node, onTexts) : undefined);
}

/** The range of a value that is stored with one scale: what lies outside was cut off. */
function limitsOf({ dtype, quant }: TensorType): [number, number] | undefined {
  if (quant?.per !== 'tensor') return undefined;
  const [least, most] = storedRange(dtype);
  const { scale, zeroPoint } = quant;
  return [scale * (least - zeroPoint), scale * (most - zeroPoint)];
}
