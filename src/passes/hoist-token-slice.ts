import { evaluateNode } from '../ir/evaluate.ts';
import type { Call, Graph, Node } from '../ir/graph.ts';
import { opDef } from '../ir/ops/index.ts';
import type { Pass, PassContext } from '../ir/pass.ts';
import { axisOf, type Dim, type Shape, sameShape } from '../ir/shape.ts';
import type { Tensor } from '../ir/tensor.ts';

/** A slice of tokens, and the nodes that are computed for these tokens only: each with the axis that is cut. */
interface Hoist {
  readonly slice: Call<'slice'>;
  readonly axes: ReadonlyMap<Node, number>;
}

/**
 * Computes only the first tokens where the model drops the others afterwards. A classifier reads [CLS] alone, so its last
 * layer needs keys and values of all tokens, but queries, residual and feed-forward network of that one: of a layer with
 * H channels and 4 H neurons, 2 H² of 12 H² products a token are left.
 */
export const hoistTokenSlice: Pass = {
  name: 'hoist-token-slice',
  summary: 'slice(linear(x)) of tokens  ->  linear(slice(x)), attention included',
  keeps: 'bits',
  run(graph, context) {
    let rewrites = 0;
    for (const node of graph.nodes()) {
      const hoist = hoistOf(graph, node, context);
      if (hoist === null) continue;
      graph.replace(node, () => rebuilt(graph, hoist));
      rewrites++;
    }
    return { rewrites, declined: [] };
  },
};

/** Finds what a slice of tokens can be moved ahead of; null where that spares no product. */
function hoistOf(graph: Graph, node: Node, context: PassContext): Hoist | null {
  if (node.op !== 'slice' || typeof node.attrs.end !== 'number' || node.attrs.start !== 0) return null;
  if (node.type.quant !== undefined) return null;
  const [x] = node.inputs as readonly [Node];
  const axis = axisOf(node.attrs.axis, x.type.shape.length) as number;
  if (x.type.shape[axis] === node.type.shape[axis]) return null;
  const axes = new Map<Node, number>();
  const shared = sharedWeights(graph);
  // Users come before what they read, so whoever reads a node has been asked for its axis when the node's turn comes.
  const waiting = new Map<Node, { readonly axis: number; readonly readers: Set<Node> }>([
    [x, { axis, readers: new Set([node]) }],
  ]);
  for (const each of graph.nodes().reverse()) {
    const asked = waiting.get(each);
    if (asked === undefined || each.op === 'input' || each.op === 'constant') continue;
    if (context.keeps(each) || isRounded(each) || isStoredJoined(each, shared)) continue;
    if (!isReadBy(graph, each, asked.readers)) continue;
    const cut = cutInputs(each, asked.axis);
    if (cut === null) continue;
    axes.set(each, asked.axis);
    each.inputs.forEach((input, i) => {
      const at = cut[i] as number | null;
      const known = waiting.get(input);
      if (at === null || (known !== undefined && known.axis !== at))
        waiting.set(input, { axis: -1, readers: new Set() });
      else if (known === undefined) waiting.set(input, { axis: at, readers: new Set([each]) });
      else known.readers.add(each);
    });
  }
  const isProduct = (each: Node) => opDef((each as Call).op).terms !== undefined;
  return [...axes.keys()].some(isProduct) ? { slice: node, axes } : null;
}

/** Finds the weights that several linears have, as all layers of an ALBERT. */
function sharedWeights(graph: Graph): ReadonlySet<Tensor> {
  const seen = new Set<Tensor>();
  const shared = new Set<Tensor>();
  for (const { op, inputs } of graph.nodes()) {
    const weight = inputs[1];
    if (op === 'linear' && weight?.op === 'constant') (seen.has(weight.tensor) ? shared : seen).add(weight.tensor);
  }
  return shared;
}

/**
 * True for a query of weights that other layers have too: they are stored once, joined with those of keys and values,
 * and apart would be stored again.
 */
function isStoredJoined({ op, inputs }: Node, shared: ReadonlySet<Tensor>): boolean {
  const [x, weight] = inputs;
  if (op !== 'linear' || weight?.op !== 'constant' || !shared.has(weight.tensor)) return false;
  return [...(x as Node).users].filter((user) => user.op === 'linear').length > 1;
}

/**
 * True for a node that reads stored integers, or values rounded at run time: all tokens share their range, which those
 * that are left would not have.
 */
function isRounded({ inputs }: Node): boolean {
  return inputs.some((x) => x.op === 'dynamicRound' || (x.type.quant && x.op !== 'constant'));
}

/** True where these readers alone read the value, and it is no output. */
function isReadBy(graph: Graph, node: Node, readers: ReadonlySet<Node>): boolean {
  return [...node.users].every((user) => readers.has(user)) && !graph.isOutput(node);
}

/**
 * Gives for each input the axis that is cut where the result is cut along `axis`, null for an input that stays whole.
 * Null where the op mixes tokens along that axis.
 */
function cutInputs(node: Call, axis: number): readonly (number | null)[] | null {
  const rank = node.type.shape.length;
  const [x] = node.inputs as readonly [Node];
  const onlyFirst = (at: number) => node.inputs.map((_, i) => (i === 0 ? at : null));
  if (node.op === 'matmul') return axis === rank - 2 ? onlyFirst(axis) : null;
  if (node.op === 'transpose') return [node.attrs.permutation[axis] as number];
  if (node.op === 'reshape') {
    const isKept = node.type.shape.slice(0, axis + 1).every((dim, i) => dim === x.type.shape[i]);
    return isKept ? [axis] : null;
  }
  const { tokens } = opDef(node.op);
  if (tokens === 'first-input') return axis < rank - 1 ? onlyFirst(axis) : null;
  if (tokens === 'along-axis') {
    return axisOf((node.attrs as { readonly axis: number }).axis, rank) === axis ? null : node.inputs.map(() => axis);
  }
  if (tokens !== 'elementwise') return null;
  return node.inputs.map(({ type: { shape } }) => {
    const at = axis - (rank - shape.length);
    return at < 0 || shape[at] === 1 ? null : at;
  });
}

/** True for a transpose that leaves the order of all axes but those of size 1, as of one token's heads. */
function movesOnlyOnes({ type: { shape } }: Node, permutation: readonly number[]): boolean {
  const moved = permutation.filter((axis) => shape[axis] !== 1);
  return moved.every((axis, i) => i === 0 || (moved[i - 1] as number) < axis);
}

/** Builds a reshape; one of a reshape takes its place. */
function reshaped(graph: Graph, x: Node, shape: Shape, name: string): Node {
  const source = x.op === 'reshape' ? (x.inputs[0] as Node) : x;
  return sameShape(source.type.shape, shape) ? source : graph.add('reshape', [source], { shape }, name);
}

/** Builds what the slice gives from cut inputs. */
function rebuilt(graph: Graph, { slice, axes }: Hoist): Node {
  const { start, end } = slice.attrs;
  const sliced = axisOf(slice.attrs.axis, slice.type.shape.length) as number;
  const madeByAxis: Map<Node, Node>[] = [];
  const cut = (node: Node, axis: number): Node => {
    madeByAxis[axis] ??= new Map();
    const known = madeByAxis[axis].get(node);
    if (known) return known;
    const built = axes.has(node) ? narrowed(node as Call, axis) : tokensOf(node, axis);
    madeByAxis[axis].set(node, built);
    return built;
  };
  /** Tables of positions, as rotary ones, are cut at once: no pass behind this one folds them. */
  const tokensOf = (node: Node, axis: number): Node => {
    const built = graph.add('slice', [node], { axis, start, end });
    return node.op === 'constant'
      ? graph.constant(evaluateNode(built, [evaluateNode(node, [], {})], {}), node.name)
      : built;
  };
  const narrowed = (node: Call, axis: number): Node => {
    const cuts = cutInputs(node, axis) as readonly (number | null)[];
    const inputs = node.inputs.map((input, i) => {
      const at = cuts[i] as number | null;
      return at === null ? input : cut(input, at);
    });
    const shape = node.type.shape.with(axis, slice.type.shape[sliced] as Dim) as Shape;
    const x = inputs[0] as Node;
    if (node.op === 'reshape' || (node.op === 'transpose' && movesOnlyOnes(x, node.attrs.permutation))) {
      return reshaped(graph, x, shape, node.name);
    }
    return graph.add(node.op, inputs, node.attrs, node.name);
  };
  return cut(slice.inputs[0] as Node, sliced);
}
