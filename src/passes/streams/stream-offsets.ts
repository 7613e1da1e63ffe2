import type { Call, Graph, Node } from '../../ir/graph.ts';
import { type PerChannel, perChannel, sum } from '../affine.ts';
import { hasOneUse } from '../attention.ts';
import { type Role, streamRule } from './streams.ts';

/** The offsets that are subtracted from the channels of stored values: real = stored + offset, before any scale. */
export interface Offsets {
  /** Offsets by node; absent where values stay what they are. */
  readonly values: ReadonlyMap<Node, PerChannel>;
  /** Offsets of the constant sides of sums, by the sum. */
  readonly constants: ReadonlyMap<Node, PerChannel>;
}

/**
 * Plans offsets that give as many nodes of `centres` as can be their centre. Where the offsets of a sum's sides do not
 * add up to the sum's own, one of the sides takes up the difference in its bias or table. Only nodes of `restored` may
 * leave the graph with an offset. Null where a sum that must have no offset gets one all the same.
 */
export function planOffsets(
  graph: Graph,
  roles: ReadonlyMap<Node, Role>,
  centres: ReadonlyMap<Node, PerChannel>,
  restored: ReadonlySet<Node>,
): Offsets | null {
  const planner = new Planner(graph, roles, centres, restored);
  for (const node of graph.nodes()) {
    if (!planner.visit(node)) return null;
  }
  return { values: planner.values, constants: planner.constants };
}

class Planner {
  readonly graph: Graph;
  readonly roles: ReadonlyMap<Node, Role>;
  readonly centres: ReadonlyMap<Node, PerChannel>;
  readonly restored: ReadonlySet<Node>;
  readonly values = new Map<Node, PerChannel>();
  readonly constants = new Map<Node, PerChannel>();
  /** The answers of `mustBeBare` so far. */
  readonly #bare = new Map<Node, boolean>();

  constructor(
    graph: Graph,
    roles: ReadonlyMap<Node, Role>,
    centres: ReadonlyMap<Node, PerChannel>,
    restored: ReadonlySet<Node>,
  ) {
    this.graph = graph;
    this.roles = roles;
    this.centres = centres;
    this.restored = restored;
  }

  /** Chooses the offset of a node whose inputs have theirs; false where the node must have none but gets one. */
  visit(node: Node): boolean {
    const role = this.roles.get(node);
    if (role === undefined || role.result === 'fixed') return true;
    const x = node.inputs[0] as Node;
    if (node.op === 'add') return this.#visitSum(node);
    if (node.op === 'mul') {
      const [value, factor] = role.inputs[0] === 'absorbed' ? [x, node.inputs[1]] : [node.inputs[1], x];
      const offset = value && this.values.get(value);
      if (offset && factor?.op === 'constant') this.#set(node, timesFactor(offset, perChannel(factor.tensor)));
    } else if (role.result === 'same') this.#set(node, this.values.get(x) ?? null);
    else if (canChoose(node)) this.#set(node, this.#wish(node));
    return true;
  }

  #visitSum(node: Call<'add'>): boolean {
    let offset: PerChannel | null = null;
    for (const input of node.inputs) offset = sum(offset, this.values.get(input) ?? null);
    const wish = this.#wish(node);
    const side = node.inputs.find((input) => this.#isAdjustable(input));
    if (side === undefined || (wish === null && !this.#mustBeBare(node))) {
      this.#set(node, offset);
      return offset === null || !this.#mustBeBare(node);
    }
    const missing = difference(wish, offset);
    if (side.op === 'constant') {
      if (missing) this.constants.set(node, missing);
    } else this.#set(side, sum(this.values.get(side) ?? null, missing));
    this.#set(node, wish);
    return true;
  }

  /** The offset that would be best for a node, null for none. */
  #wish(node: Node): PerChannel | null {
    return this.#mustBeBare(node) ? null : (this.centres.get(node) ?? null);
  }

  /** Whether the constants of a sum's side can shift it, and nothing else reads that side. */
  #isAdjustable(side: Node): boolean {
    if (side.op === 'constant') return true;
    const isFree = this.roles.get(side)?.result === 'free' && canChoose(side);
    return isFree && hasOneUse(this.graph, side) && !this.centres.has(side);
  }

  /** Whether a reader needs the node without an offset, or the node is an output that nobody restores. */
  #mustBeBare(node: Node): boolean {
    const answer = this.#bare.get(node);
    if (answer !== undefined) return answer;
    const isExposed = this.graph.isOutput(node) && !this.restored.has(node);
    const bare = isExposed || [...node.users].some((user) => this.#needsBare(user, node));
    this.#bare.set(node, bare);
    return bare;
  }

  #needsBare(user: Node, node: Node): boolean {
    const relation = this.roles.get(user)?.inputs[user.inputs.indexOf(node)] ?? 'fixed';
    const rule = streamRule(user);
    if (relation === 'fixed' || rule === 'fixed') return true;
    if (user.op === 'mul') return !this.#carriesOffset(user);
    if (rule !== 'moved') return false;
    // A shift pads with zeros, which an offset would change; parts of a concat have offsets of their own.
    return user.op === 'shift' || user.op === 'concat' || this.#mustBeBare(user);
  }

  /** Whether a product may carry an offset: k (x + e) = k x + k e, and the sums that it goes into can take up k e. */
  #carriesOffset(product: Node): boolean {
    if (this.graph.isOutput(product)) return false;
    return [...product.users].every(
      (user) =>
        user.op === 'add' &&
        this.roles.get(user)?.result === 'same' &&
        user.inputs.some((side) => side !== product && this.#isAdjustable(side)),
    );
  }

  #set(node: Node, offset: PerChannel | null): void {
    if (offset) this.values.set(node, offset);
  }
}

/**
 * Whether the constants of a node can give it any offset. A bias, beta or table can; after a relu it is too late, and a
 * product has nothing to add.
 */
function canChoose(node: Node): boolean {
  if (node.op === 'mul') return false;
  return node.op !== 'linear' || node.attrs.activation === 'none';
}

function difference(a: PerChannel | null, b: PerChannel | null): PerChannel | null {
  return b
    ? sum(
        a,
        b.map((value) => -value),
      )
    : a;
}

/** Multiplies an offset with a factor for each channel, or one for all. */
function timesFactor(offset: PerChannel, factor: PerChannel): PerChannel {
  return offset.map((value, c) => value * (factor[factor.length === 1 ? 0 : c] as number));
}
