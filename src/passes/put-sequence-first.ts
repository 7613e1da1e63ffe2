import type { Call, Graph, Node } from '../ir/graph.ts';
import type { Attrs } from '../ir/op.ts';
import type { Pass, PassContext } from '../ir/pass.ts';
import { axisOf, type Dim, product, type Shape, sameShape } from '../ir/shape.ts';
import { isAlongChannels, isParameter, isTokenWise } from '../ir/token-wise.ts';
import { hasOneUse } from './attention.ts';

/** A part of a value that is split into heads: slice, reshape to [batch, sequence, heads, size], transpose. */
interface Operand {
  readonly slice: Call<'slice'>;
  readonly split: Call<'reshape'>;
  readonly turned: Call<'transpose'>;
}

/** Queries, keys and values of one value [batch, sequence, channels] or [batch*sequence, channels]. */
interface Heads {
  readonly joined: Call;
  readonly operands: readonly Operand[];
  readonly batch: Dim;
  readonly sequence: Dim;
  /** Channels of a head. */
  readonly size: number;
}

/**
 * Computes queries, keys and values with the sequence as first axis, [sequence, batch, heads, size], by one transpose of
 * what they are computed from. ONNX Runtime takes each transpose of a first axis to the place before the last into the
 * product behind it (FusedMatMul, transBatchA), where those of [batch, sequence, heads, size] are copied one by one.
 */
export const putSequenceFirst: Pass = {
  name: 'put-sequence-first',
  summary: 'heads(linear(x[batch, sequence]))  ->  heads(linear(x[sequence, batch])): one transpose in place of three',
  keeps: 'bits',
  run(graph, context) {
    let rewrites = 0;
    const declined: string[] = [];
    for (const node of graph.nodes()) {
      const heads = headsOf(graph, node, context);
      if (heads === null) continue;
      const { batch } = heads;
      // Calibration tells the samples of a fixed batch apart by the order of the tokens.
      if (typeof batch === 'number' && batch > 1) declined.push(`${node.name}: the batch is ${batch}`);
      else {
        rebuild(graph, heads, context);
        rewrites++;
      }
    }
    return { rewrites, declined };
  },
};

function headsOf(graph: Graph, joined: Node, { keeps }: PassContext): Heads | null {
  if (joined.op === 'input' || joined.op === 'constant' || graph.isOutput(joined) || keeps(joined)) return null;
  if (joined.users.size !== 3) return null;
  const operands = [...joined.users].map((slice) => operandOf(graph, slice, keeps)).filter((each) => each !== null);
  const [first] = operands;
  if (first === undefined || operands.length !== 3) return null;
  const [batch, sequence, , size] = first.split.attrs.shape as readonly [Dim, Dim, Dim, Dim];
  const isTokens = ({ type }: Node) => isOfTokens(type.shape, batch, sequence);
  if (typeof size !== 'number' || !isTokens(joined) || !isComputedAlike(joined, isTokens)) return null;
  const fits = operands.every(({ slice, split }) => {
    const { start, end } = slice.attrs;
    const ofThese =
      split.attrs.shape[0] === batch && split.attrs.shape[1] === sequence && split.attrs.shape[3] === size;
    return ofThese && typeof start === 'number' && typeof end === 'number' && start % size === 0 && end % size === 0;
  });
  const channels = joined.type.shape.at(-1);
  return fits && typeof channels === 'number' && channels % size === 0
    ? { joined, operands, batch, sequence, size }
    : null;
}

function operandOf(graph: Graph, slice: Node, keeps: PassContext['keeps']): Operand | null {
  if (slice.op !== 'slice') return null;
  const rank = slice.type.shape.length;
  const [split] = slice.users;
  const [turned] = split?.users ?? [];
  if (axisOf(slice.attrs.axis, rank) !== rank - 1 || split?.op !== 'reshape' || turned?.op !== 'transpose') return null;
  if (!hasOneUse(graph, slice) || !hasOneUse(graph, split) || split.attrs.shape.length !== 4) return null;
  if ([slice, split, turned].some(keeps)) return null;
  return { slice, split, turned };
}

/** Whether a shape is [batch, sequence, channels] or [batch*sequence, channels]. */
function isOfTokens(shape: Shape, batch: Dim, sequence: Dim): boolean {
  const lead = shape.slice(0, -1);
  return sameShape(lead, [batch, sequence]) || sameShape(lead, [product([batch, sequence])]);
}

function rebuild(graph: Graph, heads: Heads, context: PassContext): void {
  const { joined, operands, batch, sequence, size } = heads;
  const { name } = joined;
  const rows = reordered(graph, heads, context);
  const channels = joined.type.shape.at(-1) as number;
  const shape = [sequence, batch, channels / size, size];
  const split = graph.add('reshape', [rows], { shape }, `${name}.split`);
  for (const { slice, turned } of operands) {
    graph.replace(turned, () => {
      const part = { axis: 2, start: slice.attrs.start / size, end: (slice.attrs.end as number) / size };
      const own = graph.add('slice', [split], part, slice.name);
      const permutation = turned.attrs.permutation.map((axis) => (axis === 0 ? 1 : axis === 1 ? 0 : axis));
      return graph.add('transpose', [own], { permutation }, turned.name);
    });
  }
}

/**
 * Builds the joined value as [sequence*batch, channels]. Whatever is computed token by token for it alone is computed in
 * that order; the transpose stands where something else reads the value too, as a residual does.
 */
function reordered(graph: Graph, { joined, batch, sequence }: Heads, context: PassContext): Node {
  const flat = (node: Node) => [product([sequence, batch]), ...node.type.shape.slice(-1)];
  // One sequence's tokens are in the same order either way.
  if (batch === 1) return joined;
  const own = nodesFor(graph, joined, context, ({ type }) => isOfTokens(type.shape, batch, sequence));
  const built = new Map<Node, Node>();
  for (const node of graph.nodes()) {
    if (own.has(node)) built.set(node, rebuilt(node as Call));
  }
  return built.get(joined) as Node;

  function rebuilt(node: Call): Node {
    if (node.op === 'reshape') return inOrder(node.inputs[0] as Node);
    const inputs = node.inputs.map((input, i) => (isOperand(node, input, i) ? inOrder(input) : input));
    const attrs: Attrs = isAlongChannels(node) ? { ...node.attrs, axis: -1 } : (node.attrs as Attrs);
    return graph.add(node.op, inputs, attrs, node.name);
  }

  function isOperand(node: Call, input: Node, index: number): boolean {
    return !isParameter(node, index) && isOfTokens(input.type.shape, batch, sequence);
  }

  function inOrder(node: Node): Node {
    const known = built.get(node);
    if (known) return known;
    const channels = node.type.shape.at(-1) as Dim;
    const source = node.op === 'reshape' ? (node.inputs[0] as Node) : node;
    const tokens = [source, node].find(({ type }) => sameShape(type.shape, [batch, sequence, channels]));
    const byBatch = tokens ?? graph.add('reshape', [node], { shape: [batch, sequence, channels] });
    const bySequence = graph.add('transpose', [byBatch], { permutation: [1, 0, 2] }, `${node.name}.by_sequence`);
    const made = graph.add('reshape', [bySequence], { shape: flat(node) });
    built.set(node, made);
    return made;
  }
}

/** Finds what is computed token by token for a value alone, the value among it. */
function nodesFor(
  graph: Graph,
  joined: Node,
  { keeps }: PassContext,
  isOfTokens: (node: Node) => boolean,
): ReadonlySet<Node> {
  const own = new Set<Node>([joined]);
  for (const node of graph.nodes().reverse()) {
    if (node.op === 'input' || node.op === 'constant' || node.users.size === 0) continue;
    if (keeps(node) || graph.isOutput(node) || ![...node.users].every((user) => own.has(user))) continue;
    const isMoved = node.op === 'reshape' && isOfTokens(node.inputs[0] as Node);
    if (isOfTokens(node) && (isMoved || isComputedAlike(node, isOfTokens))) own.add(node);
  }
  return own;
}

/** Whether an op computes each token from the same token, whatever their order: no operand is a value of another kind. */
function isComputedAlike(node: Call, isOfTokens: (node: Node) => boolean): boolean {
  if (!isTokenWise(node) && !isPeak(node)) return false;
  return node.inputs.every((input, i) => {
    if (isParameter(node, i) || input.type.shape.length < 2) return true;
    return input.op !== 'constant' && isOfTokens(input);
  });
}

/** Whether a node is the largest value of each token, [..., 1]. */
function isPeak(node: Call): boolean {
  if (node.op !== 'max' || !node.attrs.keepDims) return false;
  const rank = node.type.shape.length;
  return axisOf(node.attrs.axis, rank) === rank - 1;
}
