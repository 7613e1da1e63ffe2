import type { Call, Graph, Node } from '../../ir/graph.ts';
import type { OpName } from '../../ir/ops/index.ts';
import { isCall, isMover, type Plan, type ValueClass } from '../plan.ts';
import { fixedQuant } from '../qparams.ts';
import { hasWeight, isNarrow, isTable, type Settings, type SettingsMap } from '../settings.ts';
import type { Form, FormRequest } from './form.ts';
import { weightSettings } from './weights-only.ts';

/** Sums and products of values, which are integers only between integers: else two roundings gain nothing. */
const ELEMENTWISE: ReadonlySet<string> = new Set<OpName>(['add', 'sub', 'mul']);

/**
 * A form that computes everything between the embeddings and the head in integers, but softmax and the mask, which
 * XNNPACK has in float only: one partition of its delegate. Norms and GELU stay float between dequantize and quantize,
 * which costs no partition.
 */
export const integerGraph: Form = {
  name: 'integer-graph',
  summary: 'products, sums and residual streams in i8; softmax, mask, norms and GELU in float',
  settingsOf: (node, request) => settingsOf(node, request, false),
  plan: planGraph,
};

/**
 * A form like `integerGraph` with softmax, mask and embedding front in integers too, for accelerators that compute
 * nothing else.
 */
export const strictIntegerGraph: Form = {
  name: 'strict-integer-graph',
  summary: 'everything in integers, softmax and a clamped mask too',
  isStrict: true,
  settingsOf: (node, request) => settingsOf(node, request, true),
  plan: planGraph,
};

function settingsOf(node: Call, request: FormRequest, isStrict: boolean): Settings | undefined {
  const scheme = request.scheme === 'int16x8' ? 'int16x8' : 'int8';
  const { granularity, rounding, range } = request;
  const all: Settings = { scheme, granularity, rounding, range };
  if (isTable(node)) return weightSettings(node, 'dynamic', request);
  if (hasWeight(node)) {
    if (isStrict || (request.integerOutputs && isNarrow(node))) return all;
    return weightSettings(node, request.isDynamic ? 'dynamic' : scheme, request);
  }
  if (node.op === 'matmul' || ELEMENTWISE.has(node.op)) return request.isDynamic ? { ...all, scheme: 'float' } : all;
  if (node.op === 'softmax') return { ...all, scheme: isStrict ? scheme : 'float' };
  return undefined;
}

function planGraph(graph: Graph, settings: SettingsMap, request: FormRequest): Plan {
  const dtype = request.scheme === 'int16x8' ? 'i16' : 'i8';
  const integer = integerNodes(graph, settings, request.integerOutputs);
  const classes = new Classes(dtype, request, settings);
  const stored = new Map<Node, ValueClass>();
  const copies = new Map<Node, ValueClass>();
  const nodes = graph.nodes().filter((node) => integer.has(node));
  for (const node of nodes) {
    if (!isMover(node)) classes.add(node);
    else for (const input of node.inputs) classes.join(node, input);
    const read = hasWeight(node) ? node.inputs.slice(0, 1) : node.inputs;
    if (node.op === 'matmul') classes.makeSymmetric(node.inputs[1] as Node);
    for (const input of read) if (!integer.has(input)) copies.set(input, classes.add(input));
    const masked = maskOf(node, integer);
    if (masked) {
      classes.addAttention(node, masked, 'masked');
      copies.set(masked.mask, classes.addAttention(masked.mask, masked, 'mask'));
    }
  }
  for (const node of nodes) stored.set(node, classes.of(node));
  for (const node of copies.keys()) copies.set(node, classes.of(node));
  return { graph, settings, blocks: request.blocks, integer, stored, copies, storedFor: new Map() };
}

interface Masked {
  readonly mask: Node;
  readonly scores: Node;
}

/** Whether a mask is added to each pair of tokens by itself, and not to all queries alike. */
function isBias({ type: { shape } }: Node): boolean {
  return shape.at(-2) !== 1;
}

/** Finds the mask, a float, in a sum of scores and mask that an integer softmax reads. */
function maskOf(node: Node, integer: ReadonlySet<Node>): Masked | null {
  const isMasked = node.op === 'add' && [...node.users].some((user) => user.op === 'softmax' && integer.has(user));
  const mask = node.inputs.find((input) => !integer.has(input));
  const scores = node.inputs.find((input) => integer.has(input));
  return isMasked && mask && scores ? { mask, scores } : null;
}

/**
 * Finds the nodes that compute on integers: those that the settings choose, without sums that would stand alone between
 * floats.
 */
function integerNodes(graph: Graph, settings: SettingsMap, integerOutputs: boolean): ReadonlySet<Node> {
  const isChosen = (node: Call) => {
    const scheme = settings.get(node)?.scheme;
    return (scheme === 'int8' || scheme === 'int16x8') && !isTable(node);
  };
  const outputs = new Set(graph.outputs.map(({ node }) => node));
  const nodes = graph.nodes().filter(isCall);
  const integer = new Set<Node>(nodes.filter((node) => isChosen(node) || isMover(node)));
  const readsIntegers = (node: Node) => node.inputs.some((input) => integer.has(input));
  const feedsIntegers = (node: Node): boolean =>
    (integerOutputs && outputs.has(node)) ||
    [...node.users].some((user) => integer.has(user) && (!isMover(user) || feedsIntegers(user)));
  // Each round removes the nodes that the last one isolated, until nothing changes: a chain of sums goes link by link.
  for (let before = -1; before !== integer.size; ) {
    before = integer.size;
    for (const node of nodes) {
      if (isMover(node) && !node.inputs.every((input) => integer.has(input))) integer.delete(node);
      if (ELEMENTWISE.has(node.op) && !(readsIntegers(node) && feedsIntegers(node))) integer.delete(node);
    }
  }
  return integer;
}

/** Values joined by movers (union-find); each class ends with one scale. */
class Classes {
  readonly #dtype: 'i8' | 'i16';
  readonly #request: FormRequest;
  readonly #settings: SettingsMap;
  readonly #parents = new Map<Node, Node>();
  readonly #classes = new Map<Node, ValueClass>();

  constructor(dtype: 'i8' | 'i16', request: FormRequest, settings: SettingsMap) {
    this.#dtype = dtype;
    this.#request = request;
    this.#settings = settings;
  }

  /** Gives the class of a value that an op computes, which is made when it is first asked for. */
  add(node: Node): ValueClass {
    const root = this.#root(node);
    const known = this.#classes.get(root);
    if (known) return known;
    const method = this.#settings.get(node as Call)?.range ?? this.#request.range;
    // Softmax is the only op with a fixed scale that the form computes in integers.
    const fixed = node.op === 'softmax' ? fixedQuant(node.op, this.#dtype) : undefined;
    const values: ValueClass = {
      dtype: this.#dtype,
      members: [node],
      symmetric: false,
      method,
      ...(fixed && { fixed }),
    };
    this.#classes.set(root, values);
    return values;
  }

  /** Puts a moved value into the class of its source; several that are moved into one share a class. */
  join(moved: Node, source: Node): void {
    const from = this.add(source);
    const target = this.#root(moved);
    const root = this.#root(source);
    if (target === root) return;
    const earlier = this.#classes.get(target);
    this.#parents.set(target, root);
    if (!earlier) return;
    from.members.push(...earlier.members);
    from.symmetric ||= earlier.symmetric;
    this.#classes.delete(target);
  }

  /**
   * Gives the class of a mask or a masked sum. Its range comes from the scores; one mask serves all layers, and is held
   * below the scores of each.
   */
  addAttention(node: Node, { scores, mask }: Masked, attention: 'mask' | 'masked'): ValueClass {
    const known = this.#classes.get(this.#root(node));
    if (known?.attention) {
      known.members.push(scores);
      return known;
    }
    const values: ValueClass = { ...this.add(node), members: [scores], attention, ...(isBias(mask) && { bias: mask }) };
    this.#classes.set(this.#root(node), values);
    return values;
  }

  makeSymmetric(node: Node): void {
    this.add(node).symmetric = true;
  }

  of(node: Node): ValueClass {
    return this.#classes.get(this.#root(node)) ?? this.add(node);
  }

  #root(node: Node): Node {
    let root = node;
    for (let parent = this.#parents.get(root); parent; parent = this.#parents.get(root)) root = parent;
    return root;
  }
}
