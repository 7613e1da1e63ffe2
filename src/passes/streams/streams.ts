import type { Call, Graph, Node } from '../../ir/graph.ts';
import type { StreamRule } from '../../ir/op.ts';
import { opDef } from '../../ir/ops/index.ts';
import type { PassContext } from '../../ir/pass.ts';
import { sizeOf } from '../../ir/shape.ts';
import { keepsChannels } from '../../ir/token-wise.ts';

/**
 * What an op requires of the scale of an input's channels (last axis). same: result and input have one scale, as the
 * sides of a sum. absorbed: constants of the op take up the input's scale. parameter: a constant or indices. fixed: the
 * op needs the real values.
 */
export type Relation = 'same' | 'absorbed' | 'parameter' | 'fixed';

/** How a node's inputs and its result take part in the scaling of channels. */
export interface Role {
  readonly inputs: readonly Relation[];
  /** Scale of the result. same: that of the inputs. free: the op's constants can give it any. fixed: the op decides. */
  readonly result: 'same' | 'free' | 'fixed';
}

/** A residual stream with all that belongs to it: values that must have one scale per channel, and may have any. */
export interface Stream {
  readonly channels: number;
  /** The nodes of the stream, inputs before users. */
  readonly values: readonly Node[];
  /** The reason why its scale cannot be chosen, if there is one. */
  readonly obstacle: string | undefined;
}

/** Finds the roles of all nodes of a graph and its streams: values that sums join and linears read. */
export function findStreams(
  graph: Graph,
  context: PassContext,
): { readonly roles: ReadonlyMap<Node, Role>; readonly streams: readonly Stream[] } {
  const roles = rolesOf(graph, context);
  const groups = new Groups();
  const obstacles = new Map<Node, string>();
  const read = new Set<Node>();
  const summed = new Set<Node>();
  for (const [node, role] of roles) {
    groups.add(node);
    const op = context.keeps(node) ? `a ${node.op} that is kept` : node.op;
    if (role.result === 'fixed') obstacles.set(node, `${op} writes it`);
    node.inputs.forEach((input, i) => {
      if (role.inputs[i] === 'same') groups.join(input, node);
      if (role.inputs[i] === 'fixed') obstacles.set(input, `${op} reads it`);
      if (role.inputs[i] === 'absorbed' && node.op === 'linear') read.add(input);
    });
    if (node.op === 'add' && role.inputs.every((relation) => relation === 'same')) summed.add(node);
  }
  const streams: Stream[] = [];
  for (const values of groups.all()) {
    const channels = values[0]?.type.shape.at(-1);
    const isStream = values.some((node) => summed.has(node)) && values.some((node) => read.has(node));
    if (typeof channels !== 'number' || !isStream) continue;
    const blocked = values.find((node) => obstacles.has(node));
    streams.push({ channels, values, obstacle: blocked && obstacles.get(blocked) });
  }
  return { roles, streams };
}

/** Finds the roles of all nodes but constants, inputs before users. Nodes that the user wants left alone are fixed. */
export function rolesOf(graph: Graph, context: PassContext): ReadonlyMap<Node, Role> {
  const roles = new Map<Node, Role>();
  for (const node of graph.nodes()) {
    if (node.op !== 'constant') roles.set(node, context.keeps(node) ? fixedRole(node) : roleOf(node));
  }
  return roles;
}

/** A partition of nodes into sets that can be joined. */
class Groups {
  readonly #members = new Map<Node, Node[]>();

  add(node: Node): void {
    this.#members.set(node, [node]);
  }

  /** Joins the sets of two nodes. The smaller set moves into the larger one, so that all joins together stay cheap. */
  join(a: Node, b: Node): void {
    const [first, second] = [this.#members.get(a), this.#members.get(b)];
    if (first === undefined || second === undefined || first === second) return;
    const [large, small] = first.length < second.length ? [second, first] : [first, second];
    for (const node of small) this.#members.set(node, large);
    large.push(...small);
  }

  /** The sets and their nodes in the order in which nodes were added. */
  all(): Node[][] {
    const ordered = new Map<Node[], Node[]>();
    for (const [node, members] of this.#members) {
      const list = ordered.get(members);
      if (list) list.push(node);
      else ordered.set(members, [node]);
    }
    return [...ordered.values()];
  }
}

/** The place of a node's op in a residual stream; inputs and constants, which no op computes, are fixed. */
export function streamRule(node: Node): StreamRule {
  return node.op === 'input' || node.op === 'constant' ? 'fixed' : opDef(node.op).stream;
}

function roleOf(node: Node): Role {
  return ROLES[streamRule(node)](node as Call);
}

const ROLES: { readonly [R in StreamRule]: (node: Call) => Role } = {
  sum: sumRole,
  affine: affineRole,
  moved: moveRole,
  fixed: fixedRole,
};

function fixedRole(node: Node): Role {
  return { inputs: node.inputs.map((input) => (input.op === 'constant' ? 'parameter' : 'fixed')), result: 'fixed' };
}

/** The role of a sum: every side has the result's channels, and at most one is constant. */
function sumRole(node: Call): Role {
  const channels = node.type.shape.at(-1);
  const constants = node.inputs.filter(({ op }) => op === 'constant').length;
  const fits = node.inputs.every(({ type }) => type.shape.at(-1) === channels);
  if (!fits || constants > 1) return fixedRole(node);
  return { inputs: node.inputs.map(({ op }) => (op === 'constant' ? 'parameter' : 'same')), result: 'same' };
}

/** The role of an op that multiplies channels by constants of its own, and may add others. */
function affineRole(node: Call): Role {
  const [a, b] = node.inputs as readonly [Node, Node];
  const constants = node.inputs.map(({ op }) => op === 'constant');
  if (node.op === 'mul') {
    const [x, factor] = b.op === 'constant' ? [a, b] : [b, a];
    const channels = node.type.shape.at(-1);
    const isVector = factor.op === 'constant' && [1, channels].includes(sizeOf(factor.tensor.shape));
    if (x.op === 'constant' || !isVector || x.type.shape.at(-1) !== channels) return fixedRole(node);
    return { inputs: constants.map((isConstant) => (isConstant ? 'parameter' : 'absorbed')), result: 'free' };
  }
  if (constants[0] || !constants.slice(1).every((isConstant) => isConstant)) return fixedRole(node);
  // Zeros pad what a convolution reads, so that it cannot absorb an offset.
  if (node.op === 'conv1d') return { ...fixedRole(node), result: 'free' };
  return { inputs: constants.map((isConstant) => (isConstant ? 'parameter' : 'absorbed')), result: 'free' };
}

/** The role of an op that moves tokens and leaves each one's channels together; what it moves may be a constant. */
function moveRole(node: Call): Role {
  const moved = node.op === 'concat' ? node.inputs : node.inputs.slice(0, 1);
  const isConstant = moved.every(({ op }) => op === 'constant');
  const isMixed = !isConstant && moved.some(({ op }) => op === 'constant');
  if (isMixed || !keepsChannels(node)) return fixedRole(node);
  const inputs = node.inputs.map((_, i) => (i < moved.length && !isConstant ? 'same' : 'parameter'));
  return { inputs, result: isConstant ? 'free' : 'same' };
}
