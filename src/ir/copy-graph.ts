import { MbertError } from '../errors.ts';
import { type Call, Graph, type Node } from './graph.ts';
import type { Attr, Attrs } from './op.ts';
import { opDef } from './ops/index.ts';
import { type Dim, product, type Shape } from './shape.ts';
import { convertTensor, type DType, type TensorType } from './tensor.ts';

/** What symbols become: a size or another symbol. */
export type Sizes = { readonly [symbol: string]: Dim };

export interface CopyOptions {
  /** Symbols that are not among them stay. */
  readonly bindings?: Sizes;
  /** The dtype of inputs that hold ids and masks, and of what is computed from them: formats differ in what they take. */
  readonly indexType?: 'i32' | 'i64' | undefined;
}

/** A graph of its own over the same tensors, so that passes may change it, with some symbols bound. */
export function copyGraph(graph: Graph, options: CopyOptions = {}): Graph {
  const { bindings = {}, indexType } = options;
  const copy = new Graph(graph.name);
  const copies = new Map<Node, Node>();
  for (const input of graph.inputs) {
    const dtype = indexType && isIndex(input.type.dtype) ? indexType : input.type.dtype;
    copies.set(input, copy.input(input.name, { ...input.type, dtype, shape: bindShape(input.type.shape, bindings) }));
  }
  for (const node of graph.nodes()) {
    if (!copies.has(node)) copies.set(node, copyNode(copy, node, copies, options));
  }
  for (const { name, node } of graph.outputs) copy.output(name, copies.get(node) as Node);
  return copy;
}

function isIndex(dtype: DType): boolean {
  return dtype === 'i32' || dtype === 'i64';
}

/** One node over the copies of its inputs. */
export function copyNode(
  copy: Graph,
  node: Node,
  copies: ReadonlyMap<Node, Node>,
  { bindings = {}, indexType }: CopyOptions,
): Node {
  if (node.op === 'input') throw new MbertError('INVALID_GRAPH', `${node.name}: is an input of another graph`);
  if (node.op === 'constant') return copy.constant(node.tensor, node.name, node.type.quant);
  const attrs: Record<string, Attr> = {};
  for (const [key, value] of Object.entries(node.attrs as Attrs)) attrs[key] = bindAttr(key, value, bindings);
  if (node.op === 'cast' && indexType && isIndex(node.attrs.to)) attrs['to'] = indexType;
  const copied = node.inputs.map((input) => copies.get(input) as Node);
  const inputs = withIndexType(copy, node, copied, indexType);
  const made = copy.add(node.op, inputs, attrs as never, node.name);
  const type: TensorType = node.type;
  if (type.quant) copy.setType(made, { ...type, shape: made.type.shape });
  return made;
}

/** Constants of integers take the type of those of the run: what meets them, and tables of numbers that are looked up. */
function withIndexType(
  copy: Graph,
  node: Call,
  copied: readonly Node[],
  indexType: CopyOptions['indexType'],
): readonly Node[] {
  const [table, ...indices] = copied;
  if (opDef(node.op).tokens === 'elementwise') return asOneIndexType(copy, copied);
  if (node.op !== 'gather' || indexType === undefined || table?.op !== 'constant' || !isIndex(table.type.dtype)) {
    return copied;
  }
  return [copy.constant(convertTensor(table.tensor, indexType), table.name), ...indices];
}

/** Integers that meet integers of the run take their type. */
function asOneIndexType(copy: Graph, inputs: readonly Node[]): readonly Node[] {
  const dtype = inputs.find((input) => input.op !== 'constant' && isIndex(input.type.dtype))?.type.dtype;
  if (dtype === undefined) return inputs;
  return inputs.map((input) => {
    const differs = input.op === 'constant' && isIndex(input.type.dtype) && input.type.dtype !== dtype;
    return differs ? copy.constant(convertTensor(input.tensor, dtype), input.name) : input;
  });
}

/** Attributes that hold dimensions: shapes, and a slice's end. */
function bindAttr(key: string, value: Attr, bindings: Sizes): Attr {
  if (/^shape$|Shape$/.test(key) && Array.isArray(value)) return bindShape(value as Shape, bindings);
  return key === 'end' && typeof value === 'string' ? bind(value, bindings) : value;
}

function bindShape(shape: Shape, bindings: Sizes): Shape {
  return shape.map((dim) => bind(dim, bindings));
}

/** `batch*sequence` may be bound in part. */
function bind(dim: Dim, bindings: Sizes): Dim {
  return typeof dim === 'number' ? dim : product(dim.split('*').map((part) => bindings[part] ?? part));
}
