import type { Call, Graph, Node } from '../../ir/graph.ts';
import type { Attrs } from '../../ir/op.ts';
import { opDef } from '../../ir/ops/index.ts';
import type { Pass, PassContext } from '../../ir/pass.ts';
import { axisOf, product, type Shape, sameShape } from '../../ir/shape.ts';
import { keepsChannels } from '../../ir/token-wise.ts';

/** A rewrite of one node: gives what takes the node's place, or null. */
type Rule = (graph: Graph, node: Call) => Node | null;

/**
 * Lets reshapes cancel. Exporters flatten tokens around every product, insert axes of size 1 and remove them. Reshapes
 * sink below what works on the last axis or element by element, until they meet and cancel; the few that are left split
 * and join heads.
 */
export const raiseReshape: Pass = {
  name: 'raise-reshape',
  summary: 'reshape(linear(reshape(x)))  ->  linear(x)',
  keeps: 'bits',
  run(graph, context) {
    let rewrites = 0;
    // Users come after inputs, so one sweep carries a reshape all the way down; hoisting others may free some again.
    for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
      const count = sweepOnce(graph, context);
      rewrites += count;
      if (count === 0) break;
    }
    return { rewrites, declined: [] };
  },
};

/** The limit of sweeps. Two are enough for known exporters; the limit guards against rules that undo each other. */
const MAX_SWEEPS = 8;

function sweepOnce(graph: Graph, context: PassContext): number {
  let count = 0;
  for (const node of graph.nodes()) {
    if (node.op === 'input' || node.op === 'constant' || context.keeps(node) || node.type.quant !== undefined) continue;
    if (node.inputs.some((input) => input.type.quant !== undefined && input.op !== 'constant')) continue;
    if (graph.replace(node, () => firstOf(graph, node))) count++;
  }
  return count;
}

/** Applies the first rule that fits. */
function firstOf(graph: Graph, node: Call): Node | null {
  for (const rule of RULES) {
    const replacement = rule(graph, node);
    if (replacement !== null) return replacement;
  }
  return null;
}

const RULES: readonly Rule[] = [
  merge,
  turnOnes,
  sliceBeforeTurn,
  hoist,
  sinkChannels,
  sinkElements,
  sinkGather,
  alignRanks,
];

/** Merges reshape(reshape(x)), and drops reshapes that change nothing. */
function merge(graph: Graph, node: Call): Node | null {
  if (node.op !== 'reshape') return null;
  const [x] = node.inputs as readonly [Node];
  if (sameShape(x.type.shape, node.attrs.shape)) return x;
  return x.op === 'reshape' ? graph.add('reshape', [x.inputs[0] as Node], node.attrs, node.name) : null;
}

/** Turns a transpose that moves only axes of size 1 into a reshape. */
function turnOnes(graph: Graph, node: Call): Node | null {
  if (node.op !== 'transpose') return null;
  const [x] = node.inputs as readonly [Node];
  const moved = node.attrs.permutation.filter((axis) => x.type.shape[axis] !== 1);
  if (moved.some((axis, i) => i > 0 && axis < (moved[i - 1] as number))) return null;
  return graph.add('reshape', [x], { shape: node.type.shape }, node.name);
}

/**
 * Slices before a transpose: a part of a transpose is the transpose of a part. A transpose that is also read as a whole,
 * as that of a rotated head is, stays.
 */
function sliceBeforeTurn(graph: Graph, node: Call): Node | null {
  if (node.op !== 'slice') return null;
  const [turned] = node.inputs as readonly [Node];
  if (turned.op !== 'transpose' || [...turned.users].some((user) => user.op !== 'slice')) return null;
  const [x] = turned.inputs as readonly [Node];
  const axis = turned.attrs.permutation[axisOf(node.attrs.axis, turned.type.shape.length) as number] as number;
  const part = graph.add('slice', [x], { ...node.attrs, axis }, `${node.name}.part`);
  return graph.add('transpose', [part], turned.attrs, node.name);
}

/**
 * Moves the reshape after a linear in front of it, where the linear's input is a reshape that makes a new last axis and
 * so cannot sink: there the two merge.
 */
function hoist(graph: Graph, node: Call): Node | null {
  if (node.op !== 'reshape') return null;
  const [linear] = node.inputs as readonly [Node];
  const [x, ...weights] = linear.inputs;
  if (linear.op !== 'linear' || x?.op !== 'reshape' || linear.users.size > 1 || linear.type.quant !== undefined)
    return null;
  const { shape } = node.attrs;
  if (shape.at(-1) !== linear.type.shape.at(-1) || keepsChannels(x)) return null;
  const flat = graph.add(
    'reshape',
    [x.inputs[0] as Node],
    { shape: [...shape.slice(0, -1), x.type.shape.at(-1) as number] },
    x.name,
  );
  return graph.add('linear', [flat, ...weights], linear.attrs, linear.name);
}

/** Builds a reshape after an op. The op keeps its name; the reshape will mostly meet another and cancel. */
function reshaped(graph: Graph, node: Node, { name, shape }: { readonly name: string; readonly shape: Shape }): Node {
  return graph.add('reshape', [node], { shape }, `${name}.shape`);
}

/** Moves a reshape after an op that computes each token by itself: f(reshape(x)) = reshape(f(x)). */
function sinkChannels(graph: Graph, node: Call): Node | null {
  const [flat, ...others] = node.inputs;
  if (opDef(node.op).tokens !== 'first-input' || flat?.op !== 'reshape' || !keepsChannels(flat)) return null;
  // Read first: adding a node of this name takes the name from the old one.
  const { name } = node;
  const result = graph.add(node.op, [flat.inputs[0] as Node, ...others], node.attrs as Attrs, name);
  return reshaped(graph, result, { name, shape: node.type.shape });
}

const UNARY = ['cast', 'erf', 'gelu', 'relu', 'rsqrt', 'sigmoid', 'sqrt', 'tanh'] as const;
const BINARY = ['add', 'div', 'maximum', 'minimum', 'mul', 'sub'] as const;

/**
 * Moves reshapes after an op that works element by element: f(reshape(x)) and f(reshape(x), reshape(y)). A constant
 * operand has one number, or one for each channel.
 */
function sinkElements(graph: Graph, node: Call): Node | null {
  const flat = node.inputs.find((input) => input.op === 'reshape');
  const from = flat?.inputs[0]?.type.shape;
  if (flat === undefined || from === undefined) return null;
  const isKept = keepsChannels(flat);
  const operands: Node[] = [];
  for (const input of node.inputs) {
    const [inner] = input.inputs;
    const isAlike =
      input.op === 'reshape' &&
      inner !== undefined &&
      sameShape(inner.type.shape, from) &&
      sameShape(input.type.shape, flat.type.shape);
    const isScalar = input.type.shape.length === 0;
    const isVector =
      isKept && input.op === 'constant' && input.type.shape.length === 1 && input.type.shape[0] === from.at(-1);
    if (isAlike) operands.push(inner);
    else if (isScalar || isVector) operands.push(input);
    else return null;
  }
  const unary = UNARY.find((op) => op === node.op);
  const binary = BINARY.find((op) => op === node.op);
  if (unary === undefined && binary === undefined) return null;
  const { name } = node;
  const result = graph.add(unary ?? (binary as 'add'), operands, node.attrs as object, name) as unknown as Call;
  return reshaped(graph, result, { name, shape: node.type.shape });
}

/** Moves a reshape of ids after their look-up. */
function sinkGather(graph: Graph, node: Call): Node | null {
  if (node.op !== 'gather' || node.attrs.axis !== 0) return null;
  const [table, flat] = node.inputs as readonly [Node, Node];
  if (flat.op !== 'reshape') return null;
  const { name } = node;
  const rows = graph.add('gather', [table, flat.inputs[0] as Node], node.attrs, name);
  return reshaped(graph, rows, { name, shape: node.type.shape });
}

/**
 * Writes the axes of size 1 that broadcasting puts in front as a reshape, so that reshapes can meet: with a batch of 1
 * exporters leave them to broadcasting.
 */
function alignRanks(graph: Graph, node: Call): Node | null {
  if (node.op !== 'add' && node.op !== 'sub' && node.op !== 'mul') return null;
  const [a, b] = node.inputs as readonly [Node, Node];
  const [low, high] = a.type.shape.length < b.type.shape.length ? [a, b] : [b, a];
  const isShort =
    (low.op === 'linear' || low.op === 'reshape') &&
    low.type.shape.length < high.type.shape.length &&
    hasOneElementEach(low.type.shape, high.type.shape);
  if (!isShort || !sameShape(high.type.shape, node.type.shape)) return null;
  const lifted = reshaped(graph, low, { name: low.name, shape: high.type.shape });
  return graph.add(node.op, low === a ? [lifted, b] : [a, lifted], {}, node.name);
}

function hasOneElementEach(low: Shape, high: Shape): boolean {
  return product(low) === product(high) && sameShape(low, high.slice(high.length - low.length));
}
