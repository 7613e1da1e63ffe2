import { type Call, type Constant, Graph, type Node } from '../graph.ts';
import type { Attrs } from '../op.ts';
import { storedRange } from '../quantized.ts';
import { type Quant, readF32, scalarTensor } from '../tensor.ts';
import { isCall, type Plan, type ValueClass } from './plan.ts';
import { hasWeight, isTable, type Settings } from './settings.ts';
import { fitsBlocks, type Granularity, type QuantizedWeight, quantizeWeight, type WeightDType } from './weights.ts';

type TensorQuant = Quant & { readonly per: 'tensor' };

/** An int32 bias in units of s_x·s_w may use this much of its range: the sum it starts needs the rest. */
const MOST_BIAS = 2 ** 30;

/** Turns a weight or table into stored integers; what GPTQ and others replace. */
export type WeightRounding = (
  node: Call,
  weight: Constant,
  options: { readonly dtype: WeightDType; readonly granularity: Granularity; readonly leastScales?: Float64Array },
) => QuantizedWeight;

export interface RebuildOptions {
  /** Scale and zero point of each class of the plan. */
  readonly quants: ReadonlyMap<ValueClass, TensorQuant>;
  /** Default: each weight to its nearest integer. */
  readonly roundWeight?: WeightRounding;
  /** Outputs stay integers where their nodes are stored so. */
  readonly integerOutputs?: boolean;
}

/** A new graph that stores and computes as the plan says; the plan's own stays as it is. */
export function rebuild(plan: Plan, options: RebuildOptions): Graph {
  return new Rebuilder(plan, options).run();
}

class Rebuilder {
  readonly #plan: Plan;
  readonly #options: RebuildOptions;
  readonly #graph: Graph;
  readonly #made = new Map<Node, Node>();
  readonly #floats = new Map<Node, Node>();
  readonly #integers = new Map<Node, Node>();
  readonly #weights = new Map<string, Constant>();

  constructor(plan: Plan, options: RebuildOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#graph = new Graph(plan.graph.name);
  }

  run(): Graph {
    for (const input of this.#plan.graph.inputs) this.#made.set(input, this.#graph.input(input.name, input.type));
    for (const node of this.#plan.graph.nodes()) if (isCall(node)) this.#made.set(node, this.#call(node));
    for (const { name, node } of this.#plan.graph.outputs) {
      const isInteger = this.#options.integerOutputs === true && this.#plan.stored.has(node);
      this.#graph.output(name, isInteger ? this.#integer(node) : this.#float(node));
    }
    return this.#graph;
  }

  #call(node: Call): Node {
    const inputs = node.inputs.map((input, i) => this.#operand(node, input, i));
    const made = this.#graph.add(node.op, inputs, node.attrs as Attrs, node.name);
    const stored = this.#plan.stored.get(node);
    if (stored)
      this.#graph.setType(made, { dtype: stored.dtype, shape: node.type.shape, quant: this.#quantOf(stored) });
    return made;
  }

  #operand(node: Call, input: Node, place: number): Node {
    const settings = this.#plan.settings.get(node);
    if (settings && settings.scheme !== 'float' && input.op === 'constant') {
      if (hasWeight(node) && place === 1) return this.#weight(node, input, settings);
      if (isTable(node) && place === 0) return this.#table(node, input, settings);
    }
    if (hasWeight(node) && place === 2) return this.#float(input);
    const readsIntegers = this.#plan.integer.has(node) && place === 0;
    return readsIntegers || this.#readsIntegers(node) ? this.#integer(input) : this.#float(input);
  }

  /** Integer ops other than linears read all their operands as integers. */
  #readsIntegers(node: Call): boolean {
    return this.#plan.integer.has(node) && !hasWeight(node);
  }

  #quantOf(values: ValueClass): TensorQuant {
    const quant = this.#options.quants.get(values);
    if (!quant) throw new Error(`no range is given for ${values.members.map(({ name }) => name).join(', ')}`);
    return quant;
  }

  #float(node: Node): Node {
    const made = this.#value(node);
    if (!made.type.quant || node.op === 'constant') return made;
    const known = this.#floats.get(node);
    if (known) return known;
    const float = this.#graph.add('dequantize', [made], {}, `${node.name}.float`);
    this.#floats.set(node, float);
    return float;
  }

  #integer(node: Node): Node {
    if (this.#plan.stored.has(node)) return this.#value(node);
    const known = this.#integers.get(node);
    if (known) return known;
    const copy = this.#plan.copies.get(node);
    if (!copy) throw new Error(`${node.name} is read as integers but has no integer copy`);
    const quant = this.#quantOf(copy);
    const value = copy.attention ? this.#clamped(node, copy) : this.#value(node);
    const integer = this.#graph.add('quantize', [value], {}, `${node.name}.quantized`);
    this.#graph.setType(integer, { dtype: copy.dtype, shape: node.type.shape, quant });
    this.#integers.set(node, integer);
    return integer;
  }

  /** max(v, least) = relu(v - least) + least, in ops that every target has: quantizing -3·10³⁸ is undefined in C. */
  #clamped(node: Node, copy: ValueClass): Node {
    const { scale, zeroPoint } = this.#quantOf(copy);
    const least = this.#graph.constant(scalarTensor(scale * (storedRange(copy.dtype)[0] - zeroPoint)));
    const above = this.#graph.add('relu', [this.#graph.add('sub', [this.#value(node), least])]);
    return this.#graph.add('add', [above, least], {}, `${node.name}.clamped`);
  }

  #value(node: Node): Node {
    const known = this.#made.get(node);
    if (known) return known;
    const { tensor, name, type } = node as Constant;
    const made = this.#graph.constant(tensor, name, type.quant);
    this.#made.set(node, made);
    return made;
  }

  #weight(node: Call, weight: Constant, { scheme, granularity }: Settings): Node {
    const dtype = scheme === 'w4' ? 'i4' : 'i8';
    const leastScales = this.#leastScales(node);
    return this.#stored(node, weight, dtype, granularity, leastScales);
  }

  #table(node: Call, table: Constant, { scheme, granularity }: Settings): Node {
    return this.#stored(node, table, scheme === 'w4' ? 'i4' : 'i8', granularity === 'block' ? 'channel' : granularity);
  }

  /** The weight that several nodes share is stored once, as the first of them wants it. */
  #stored(node: Call, weight: Constant, dtype: WeightDType, wanted: Granularity, leastScales?: Float64Array): Node {
    const granularity = wanted === 'block' && !fitsBlocks(weight.tensor.shape) ? 'channel' : wanted;
    const key = `${weight.name} ${dtype} ${granularity}`;
    const known = this.#weights.get(key);
    if (known && !leastScales) return known;
    const options = { dtype, granularity, ...(leastScales && { leastScales }) };
    const { tensor, quant } =
      this.#options.roundWeight?.(node, weight, options) ?? quantizeWeight(weight.tensor, options);
    const made = this.#graph.constant(tensor, weight.name, quant);
    if (!leastScales) this.#weights.set(key, made);
    return made;
  }

  /** The smallest weight scales that keep an int32 bias in its range, or undefined where every scale will do. */
  #leastScales(node: Call): Float64Array | undefined {
    const [x, , bias] = node.inputs as readonly [Node, Node, Node?];
    const values = this.#plan.stored.get(x) ?? this.#plan.copies.get(x);
    if (!this.#plan.integer.has(node) || !values || bias?.op !== 'constant') return undefined;
    const { scale } = this.#quantOf(values);
    return Float64Array.from(readF32(bias.tensor), (value) => Math.abs(value) / (scale * MOST_BIAS));
  }
}
