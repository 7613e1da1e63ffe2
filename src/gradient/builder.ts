import type { Call, Graph, Node } from '../ir/graph.ts';
import { invalid } from '../ir/op.ts';
import type { AttrsOf, OpName } from '../ir/ops/index.ts';
import { product, type Shape, sameShape, shapeText } from '../ir/shape.ts';
import { scalarTensor } from '../ir/tensor.ts';

/** Builds the nodes of gradients, in the graph that is differentiated. */
export class GradientBuilder {
  readonly graph: Graph;
  /** Gives a scalar f32 node that holds how many elements these axes have. */
  readonly count: (axes: Shape) => Node;

  constructor(graph: Graph, count: (axes: Shape) => Node) {
    this.graph = graph;
    this.count = count;
  }

  add<O extends OpName>(op: O, inputs: readonly Node[], attrs: Partial<AttrsOf<O>> = {}): Call<O> {
    return this.graph.add(op, inputs, attrs);
  }

  scalar(value: number): Node {
    return this.graph.constant(scalarTensor(value));
  }

  times(a: Node, b: Node | number): Node {
    return this.add('mul', [a, typeof b === 'number' ? this.scalar(b) : b]);
  }

  plus(a: Node, b: Node | number): Node {
    return this.add('add', [a, typeof b === 'number' ? this.scalar(b) : b]);
  }

  minus(a: Node, b: Node): Node {
    return this.add('sub', [a, b]);
  }

  reshape(x: Node, shape: Shape): Node {
    return sameShape(x.type.shape, shape) ? x : this.add('reshape', [x], { shape });
  }

  /** Reshapes [..., channels] to [everything before, channels]. */
  rows(x: Node): Node {
    const { shape } = x.type;
    return this.reshape(x, [product(shape.slice(0, -1)), shape.at(-1) as number]);
  }

  mean(x: Node, axis = -1): Node {
    return this.add('mean', [x], { axis, keepDims: true });
  }

  /** Adds to a node's gradient: a value may be read in several places, whose gradients add up. */
  accumulate(sums: Map<Node, Node>, node: Node, gradient: Node): void {
    const sum = sums.get(node);
    sums.set(node, sum ? this.plus(sum, gradient) : gradient);
  }

  /** Sums x over the axes that broadcasting had put before `shape`. Throws INVALID_GRAPH where it had done more. */
  summedTo(x: Node, shape: Shape): Node {
    const from = x.type.shape;
    if (sameShape(from, shape)) return x;
    const lead = from.slice(0, from.length - shape.length);
    if (!sameShape(from.slice(lead.length), shape)) {
      invalid(`no gradient of ${shapeText(from)} for ${shapeText(shape)}: an axis in the middle was broadcast`);
    }
    const flat = this.reshape(x, [product(lead), product(shape)]);
    const mean = this.add('mean', [flat], { axis: 0, keepDims: false });
    return this.reshape(this.times(mean, this.count(lead)), shape);
  }
}
