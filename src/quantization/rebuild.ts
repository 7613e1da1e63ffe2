import { type Call, type Constant, Graph, type Node } from '../ir/graph.ts';
import type { Attrs } from '../ir/op.ts';
import { storedRange } from '../ir/quantized.ts';
import { type Quant, readF32, scalarTensor } from '../ir/tensor.ts';
import { correctedBias } from './bias.ts';
import { isCall, type Plan, type ValueClass } from './plan.ts';
import { hasWeight, isTable } from './settings.ts';
import { fitsBlocks, type QuantizedWeight, quantizeWeight, type WeightOptions } from './weights.ts';

type TensorQuant = Quant & { readonly per: 'tensor' };

/** The largest int32 bias in units of s_x·s_w: the sum that starts with it needs the rest of the range. */
const MOST_BIAS = 2 ** 30;

/** A function that turns a weight or table into stored integers; GPTQ and others have their own. */
export type WeightRounding = (node: Call, weight: Constant, options: WeightOptions) => QuantizedWeight;

/**
 * A function that gives the mean of each channel that a linear reads, where its bias is to make up for what rounding
 * its weight does to the mean.
 */
export type MeanOf = (node: Call) => Float64Array | undefined;

/** The choices that a plan leaves open. */
export interface RebuildOptions {
  /** The scale and zero point of each class of the plan. */
  readonly quants: ReadonlyMap<ValueClass, TensorQuant>;
  /** The rounding of weights; by default each element to its nearest integer. */
  readonly roundWeight?: WeightRounding;
  /** The means for the correction of biases; by default biases stay as they are. */
  readonly meanOf?: MeanOf;
  /** Whether outputs stay integers where their nodes are stored so. */
  readonly integerOutputs?: boolean;
}

/** Decides how a weight or table of a plan is rounded; undefined where it stays float. */
export function weightOptionsOf(
  plan: Plan,
  quants: RebuildOptions['quants'],
  node: Call,
  weight: Constant,
): WeightOptions | undefined {
  const settings = plan.settings.get(node);
  if (settings === undefined || settings.scheme === 'float') return undefined;
  const isInBlocks = settings.granularity === 'block' && hasWeight(node) && fitsBlocks(weight.tensor.shape);
  const granularity = settings.granularity === 'block' && !isInBlocks ? 'channel' : settings.granularity;
  const leastScales = hasWeight(node) ? leastScalesOf(plan, quants, node) : undefined;
  return { dtype: settings.scheme === 'w4' ? 'i4' : 'i8', granularity, ...(leastScales && { leastScales }) };
}

/** The smallest weight scales that keep an int32 bias in its range, or undefined where every scale will do. */
function leastScalesOf(plan: Plan, quants: RebuildOptions['quants'], node: Call): Float64Array | undefined {
  const [x, , bias] = node.inputs as readonly [Node, Node, Node?];
  const values = plan.stored.get(x) ?? plan.copies.get(x);
  if (!plan.integer.has(node) || !values || bias?.op !== 'constant') return undefined;
  const quant = quants.get(values);
  if (!quant) throw new Error(`no range is given for ${x.name}`);
  return Float64Array.from(readF32(bias.tensor), (value) => Math.abs(value) / (quant.scale * MOST_BIAS));
}

/** Builds a new graph that stores and computes as the plan says; the plan's own stays as it is. */
export function rebuild(plan: Plan, options: RebuildOptions): Graph {
  return new Rebuilder(plan, options).run();
}

class Rebuilder {
  readonly #plan: Plan;
  readonly #options: RebuildOptions;
  readonly #graph: Graph;
  /** New nodes by the old ones. */
  readonly #rebuilt = new Map<Node, Node>();
  /** Dequantized copies by the old nodes, or by the new weights. */
  readonly #floats = new Map<Node, Node>();
  /** Quantized copies by the old nodes. */
  readonly #integers = new Map<Node, Node>();
  readonly #weights = new Map<string, Constant[]>();

  constructor(plan: Plan, options: RebuildOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#graph = new Graph(plan.graph.name);
  }

  run(): Graph {
    for (const input of this.#plan.graph.inputs) this.#rebuilt.set(input, this.#graph.input(input.name, input.type));
    for (const node of this.#plan.graph.nodes()) if (isCall(node)) this.#rebuilt.set(node, this.#call(node));
    for (const { name, node } of this.#plan.graph.outputs) {
      const isInteger = this.#options.integerOutputs === true && this.#plan.stored.has(node);
      this.#graph.output(name, isInteger ? this.#integer(node) : this.#float(node));
    }
    return this.#graph;
  }

  #call(node: Call): Node {
    const inputs = node.inputs.map((input, i) => this.#operand(node, input, i));
    const bias = this.#correctedBias(node, inputs[1]);
    if (bias) inputs[2] = bias;
    const call = this.#graph.add(node.op, inputs, node.attrs as Attrs, node.name);
    const stored = this.#plan.stored.get(node);
    if (stored)
      this.#graph.setType(call, { dtype: stored.dtype, shape: node.type.shape, quant: this.#quantOf(stored) });
    return call;
  }

  #operand(node: Call, input: Node, place: number): Node {
    const isNumbers = (hasWeight(node) && place === 1) || (isTable(node) && place === 0);
    const options =
      isNumbers && input.op === 'constant' ? weightOptionsOf(this.#plan, this.#options.quants, node, input) : undefined;
    if (options) {
      const stored = this.#stored(node, input as Constant, options);
      const isOnlyStored = this.#plan.settings.get(node)?.scheme === 'w8' && hasWeight(node);
      return isOnlyStored ? this.#real(stored) : stored;
    }
    if (hasWeight(node) && place === 2) return this.#float(input);
    const readsIntegers = this.#plan.integer.has(node) && place === 0;
    return readsIntegers || this.#readsIntegers(node) ? this.#integer(input) : this.#float(input);
  }

  /** Whether a node reads all its operands as integers, as integer ops other than linears do. */
  #readsIntegers(node: Call): boolean {
    return this.#plan.integer.has(node) && !hasWeight(node);
  }

  #quantOf(values: ValueClass): TensorQuant {
    const quant = this.#options.quants.get(values);
    if (!quant) throw new Error(`no range is given for ${values.members.map(({ name }) => name).join(', ')}`);
    return quant;
  }

  /** The new node of an old one, as floats. */
  #float(node: Node): Node {
    const value = this.#value(node);
    if (!value.type.quant || node.op === 'constant') return value;
    const known = this.#floats.get(node);
    if (known) return known;
    const float = this.#graph.add('dequantize', [value], {}, `${node.name}.float`);
    this.#floats.set(node, float);
    return float;
  }

  /** The new node of an old one, as integers. */
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

  /**
   * Clamps a value from below before it is quantized: max(v, least) = relu(v - least) + least, in ops that every target
   * has. Quantizing -3·10³⁸ is undefined in C.
   */
  #clamped(node: Node, copy: ValueClass): Node {
    const { scale, zeroPoint } = this.#quantOf(copy);
    const least = this.#graph.constant(scalarTensor(scale * (storedRange(copy.dtype)[0] - zeroPoint)));
    const above = this.#graph.add('relu', [this.#graph.add('sub', [this.#value(node), least])]);
    return this.#graph.add('add', [above, least], {}, `${node.name}.clamped`);
  }

  /** Builds the floats that a stored weight stands for. */
  #real(stored: Constant): Node {
    const known = this.#floats.get(stored);
    if (known) return known;
    const real = this.#graph.add('dequantize', [stored], {}, `${stored.name}.real`);
    this.#floats.set(stored, real);
    return real;
  }

  /** The new node of an old one. */
  #value(node: Node): Node {
    const known = this.#rebuilt.get(node);
    if (known) return known;
    const { tensor, name, type } = node as Constant;
    const constant = this.#graph.constant(tensor, name, type.quant);
    this.#rebuilt.set(node, constant);
    return constant;
  }

  /**
   * Builds a stored weight. One that several nodes share is stored once, as the first of them needs it; where a bias
   * needs larger scales than these, once more.
   */
  #stored(node: Call, weight: Constant, options: WeightOptions): Constant {
    const { leastScales } = options;
    const key = `${weight.name} ${options.dtype} ${options.granularity}${leastScales ? ' with biases' : ''}`;
    const known = this.#weights.get(key) ?? [];
    const fitting = known.find(({ type }) => !leastScales || holdsScales(type.quant as Quant, leastScales));
    if (fitting) return fitting;
    const { tensor, quant } =
      this.#options.roundWeight?.(node, weight, options) ?? quantizeWeight(weight.tensor, options);
    const constant = this.#graph.constant(tensor, weight.name, quant);
    this.#weights.set(key, [...known, constant]);
    return constant;
  }

  /** Builds the corrected bias of a linear; undefined where the bias stays as it is. */
  #correctedBias(node: Call, stored: Node | undefined): Node | undefined {
    const [, weight, bias] = node.inputs;
    if (node.op !== 'linear' || weight?.op !== 'constant' || stored?.op !== 'constant' || !stored.type.quant)
      return undefined;
    if (bias !== undefined && bias.op !== 'constant') return undefined;
    const mean = this.#options.meanOf?.(node);
    if (!mean) return undefined;
    const rounded = { tensor: stored.tensor, quant: stored.type.quant };
    const tensor = correctedBias(weight.tensor, rounded, bias?.tensor, mean);
    return this.#graph.constant(tensor, bias?.name ?? `${node.name}.bias`);
  }
}

function holdsScales(quant: Quant, least: Float64Array): boolean {
  const scales = quant.per === 'tensor' ? [quant.scale] : [...quant.scales];
  return scales.every((scale, group) => scale >= Math.fround(least[group] ?? 0));
}
