import { MbertError } from '../errors.ts';
import { type Constant, Graph, type Node } from './graph.ts';
import type { Attr, Attrs } from './op.ts';
import { type Dim, limitedDim, limitOf, product, type Shape } from './shape.ts';
import { convertTensor, exactNumbers, type Tensor, type TensorType } from './tensor.ts';

/** Values of symbols: a size or another symbol for each. */
export type Sizes = { readonly [symbol: string]: Dim };

/** Options of `copyGraph`. */
export interface CopyOptions {
  /** Values of symbols; a symbol that has none stays. */
  readonly bindings?: Sizes;
  /**
   * Dtype of the inputs that hold ids and masks, and of what is computed from them: formats differ in what they take.
   */
  readonly indexType?: 'i32' | 'i64' | undefined;
}

/** Copies a graph over the same tensors, so that passes may change the copy, with some symbols bound. */
export function copyGraph(graph: Graph, options: CopyOptions = {}): Graph {
  const { bindings = {}, indexType } = options;
  const copy = new Graph(graph.name);
  const copies = new Map<Node, Node>();
  for (const input of graph.inputs) {
    const dtype = isIndex(input.type.dtype) ? (indexType ?? input.type.dtype) : input.type.dtype;
    copies.set(input, copy.input(input.name, { ...input.type, dtype, shape: bindShape(input.type.shape, bindings) }));
  }
  for (const node of graph.nodes()) {
    if (!copies.has(node)) copies.set(node, copyNode(copy, node, copies, options));
  }
  for (const { name, node } of graph.outputs) copy.output(name, copies.get(node) as Node);
  return copy;
}

function isIndex(dtype: Attr): boolean {
  return dtype === 'i32' || dtype === 'i64';
}

/** Copies one node over the copies of its inputs. */
export function copyNode(
  copy: Graph,
  node: Node,
  copies: ReadonlyMap<Node, Node>,
  { bindings = {}, indexType }: CopyOptions,
): Node {
  if (node.op === 'input') throw new MbertError('INVALID_GRAPH', `${node.name}: is an input of another graph`);
  if (node.op === 'constant') {
    const tensor = indexType !== undefined && isComputedWith(node) ? indexTensor(node, indexType) : node.tensor;
    return copy.constant(tensor, node.name, node.type.quant);
  }
  const attrs: Record<string, Attr> = {};
  // `cast`, `range` and ops that mbert does not know have the type of what they give as an attribute.
  for (const [key, value] of Object.entries(node.attrs as Attrs)) {
    const givesType = key === 'to' || key === 'outputDtype';
    attrs[key] = givesType && isIndex(value) ? (indexType ?? value) : bindAttr(key, value, bindings);
  }
  const inputs = node.inputs.map((input) => copies.get(input) as Node);
  const copied = copy.add(node.op, inputs, attrs as never, node.name);
  const type: TensorType = node.type;
  if (type.quant) copy.setType(copied, { ...type, shape: copied.type.shape });
  return copied;
}

/** True for plain integers that some op reads which mbert knows. */
function isComputedWith({ type, users }: Constant): boolean {
  return isIndex(type.dtype) && type.quant === undefined && [...users].some(({ op }) => op !== 'foreign');
}

const MAX_I32 = 2 ** 31 - 1;

/** Converts integers to the type that the format takes. Throws UNSUPPORTED for one that it cannot hold. */
function indexTensor({ name, tensor }: Constant, dtype: 'i32' | 'i64'): Tensor {
  if (dtype === 'i64' || tensor.dtype === 'i32') return convertTensor(tensor, dtype);
  const values = exactNumbers(tensor);
  let large: number | undefined;
  for (let i = 0; i < values.length && large === undefined; i++) {
    const value = values[i] as number;
    if (value > MAX_I32 || value < -MAX_I32 - 1) large = value;
  }
  if (large === undefined) return convertTensor(tensor, dtype);
  throw new MbertError('UNSUPPORTED', `${name}: holds ${large}, and integers of this format have 32 bits`, {
    hint: 'write ONNX, which computes on 64 bits',
  });
}

/** Binds the symbols of attributes that hold dimensions: shapes, and the end of a slice or a range. */
function bindAttr(key: string, value: Attr, bindings: Sizes): Attr {
  if (/^shape$|Shape$/.test(key) && Array.isArray(value)) return bindShape(value as Shape, bindings);
  return key === 'end' && typeof value === 'string' ? bind(value, bindings) : value;
}

function bindShape(shape: Shape, bindings: Sizes): Shape {
  return shape.map((dim) => bind(dim, bindings));
}

/** Binds the symbols of a dimension; `batch*sequence` may be bound in part. */
function bind(dim: Dim, bindings: Sizes): Dim {
  if (typeof dim === 'number') return dim;
  return product(
    dim.split('*').map((part) => {
      const { symbol, limit } = limitOf(part);
      const bound = bindings[symbol];
      if (bound === undefined) return part;
      return Number.isFinite(limit) ? (limitedDim(bound, limit) ?? part) : bound;
    }),
  );
}
