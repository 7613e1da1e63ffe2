import { tfDtypeOf } from '../../formats/tf-types.ts';
import type { Call, Constant, Graph, Node } from '../../ir/graph.ts';
import { scalarOf } from '../../ir/match.ts';
import { invalid } from '../../ir/op.ts';
import type { AttrsOf, OpName } from '../../ir/ops/index.ts';
import { type Dim, isStatic, type Shape, sizeOf } from '../../ir/shape.ts';
import { type DType, integerTensor, readIntegers, type Tensor, transposed } from '../../ir/tensor.ts';
import type { FlatNode, FlatValue } from './inline.ts';

/**
 * A value of the TensorFlow graph as it is read. Shape arithmetic never becomes nodes: it is done here, with symbols
 * where sizes are known only at run time.
 */
export type Value =
  | { readonly kind: 'node'; readonly node: Node }
  /** Integers that are known, e.g. a shape. */
  | {
      readonly kind: 'integers';
      readonly dtype: 'i32' | 'i64';
      readonly shape: readonly number[];
      readonly dims: readonly Dim[];
    }
  /** Numbers 0, 1, … to a size known at run time, in any shape. */
  | { readonly kind: 'range'; readonly dtype: 'i32' | 'i64'; readonly shape: Shape }
  /**
   * Tensor x without so many elements at the front and the end of an axis of run-time length; only padding can read it.
   */
  | { readonly kind: 'cut'; readonly x: Node; readonly axis: number; readonly front: number; readonly back: number }
  /** Rows with 1 at the index and 0 elsewhere, along a new last axis. */
  | { readonly kind: 'oneHot'; readonly indices: Node; readonly depth: number };

/** Most integers of a constant that may be a shape; larger ones are data. */
const MAX_KNOWN_INTEGERS = 4096;

/** Builds the graph's nodes for one TensorFlow node at a time. */
export class TfBuilder {
  readonly graph: Graph;
  readonly #values = new Map<FlatNode, readonly Value[]>();
  readonly #turned = new Map<Constant, Constant>();

  constructor(graph: Graph) {
    this.graph = graph;
  }

  define(node: FlatNode, values: readonly Value[]): void {
    this.#values.set(node, values);
  }

  value({ node, output }: FlatValue): Value {
    const value = this.#values.get(node)?.[output];
    if (value === undefined) invalid(`${node.name}: ${node.op} has no output ${output}`);
    return value;
  }

  /** Value of input `i`; a node that has fewer is invalid. */
  input(node: FlatNode, i: number): Value {
    const input = node.inputs[i];
    if (input === undefined) invalid(`${node.name}: ${node.op} lacks input ${i}`);
    return this.value(input);
  }

  /** Input `i` as a node, or null where only arithmetic on shapes can read it. */
  tensor(node: FlatNode, i: number): Node | null {
    return this.nodeOf(this.input(node, i), node.inputs[i]?.node.name);
  }

  nodeOf(value: Value, name?: string): Node | null {
    if (value.kind === 'node') return value.node;
    if (value.kind === 'oneHot') return this.#oneHot(value, name);
    if (value.kind !== 'integers') return null;
    const { dims, dtype, shape } = value;
    return isStatic(dims) ? this.graph.constant(integerTensor(dtype, dims, shape), name) : null;
  }

  /** 1 where the index is the place along the new axis. */
  #oneHot({ indices, depth }: Value & { readonly kind: 'oneHot' }, name: string | undefined): Node | null {
    const { dtype, shape } = indices.type;
    if (dtype !== 'i32' && dtype !== 'i64') return null;
    const places = this.graph.constant(
      integerTensor(
        dtype,
        Array.from({ length: depth }, (_, i) => i),
      ),
    );
    const column = this.graph.add('reshape', [indices], { shape: [...shape, 1] });
    const isThere = this.graph.add('compare', [column, places], { test: 'equal' });
    return this.graph.add('cast', [isThere], { to: 'f32' }, name);
  }

  /** All inputs as nodes, or null where one is none. */
  tensors(node: FlatNode, from = 0, to = node.inputs.length): Node[] | null {
    const nodes: Node[] = [];
    for (let i = from; i < to; i++) {
      const tensor = this.tensor(node, i);
      if (tensor === null) return null;
      nodes.push(tensor);
    }
    return nodes;
  }

  /** Known integers that input `i` is, or null. */
  dims(node: FlatNode, i: number): readonly Dim[] | null {
    const value = this.input(node, i);
    return value.kind === 'integers' ? value.dims : null;
  }

  /** Input `i` as known integers without symbols, or null. */
  integers(node: FlatNode, i: number): readonly number[] | null {
    const dims = this.dims(node, i);
    return dims !== null && isStatic(dims) ? dims : null;
  }

  /** Input `i` as one integer, or null. */
  integer(node: FlatNode, i: number): number | null {
    const values = this.integers(node, i);
    return values?.length === 1 ? (values[0] as number) : null;
  }

  /** Input `i` as one constant number, or null. */
  scalar(node: FlatNode, i: number): number | null {
    const value = this.input(node, i);
    if (value.kind === 'integers') return this.integer(node, i);
    return value.kind === 'node' ? scalarOf(value.node) : null;
  }

  /** Adds the last step of a node's lowering, its value, which takes its name. */
  add<O extends OpName>(node: FlatNode, op: O, inputs: readonly Node[], attrs?: Partial<AttrsOf<O>>): Value {
    return { kind: 'node', node: this.graph.add(op, inputs, attrs, node.name) as unknown as Call };
  }

  /** Adds a step on the way to a node's value. */
  step<O extends OpName>(
    node: FlatNode,
    part: string,
    op: O,
    inputs: readonly Node[],
    attrs?: Partial<AttrsOf<O>>,
  ): Call<O> {
    return this.graph.add(op, inputs, attrs, `${node.name}/${part}`);
  }

  constantValue(tensor: Tensor, name: string): Value {
    const { dtype, shape } = tensor;
    if ((dtype === 'i32' || dtype === 'i64') && sizeOf(shape) <= MAX_KNOWN_INTEGERS) {
      return { kind: 'integers', dtype, shape, dims: readIntegers(tensor) };
    }
    return { kind: 'node', node: this.graph.constant(tensor, name) };
  }

  /** The transpose of a matrix under its name; one for all readers. */
  turned(matrix: Constant): Constant {
    const turned = this.#turned.get(matrix) ?? this.graph.constant(transposed(matrix.tensor), matrix.name);
    this.#turned.set(matrix, turned);
    return turned;
  }
}

/** Dtype of a node's attribute, or null where mbert has no such type. */
export function dtypeAttribute(node: FlatNode, name: string): DType | null {
  return tfDtypeOf(node.attributes.type(name)) ?? null;
}

export function integers(
  dims: readonly Dim[],
  shape: readonly number[] = [dims.length],
  dtype: 'i32' | 'i64' = 'i32',
): Value {
  return { kind: 'integers', dtype, shape, dims };
}
