import { type Call, type Constant, Graph, type Node } from '../ir/graph.ts';
import type { Attrs } from '../ir/op.ts';
import { storedRange } from '../ir/quantized.ts';
import { type Quant, scalarTensor, tensorOf } from '../ir/tensor.ts';
import { isCall, type Plan, type ValueClass } from './plan.ts';
import { type PlanChoices, PlanNumbers } from './plan-numbers.ts';
import { hasWeight } from './settings.ts';
import { type QuantizedWeight, type RowErrors, storageKey, type WeightOptions } from './weights.ts';

/** The choices that a plan leaves open, and how the new graph gives its answers. */
export interface RebuildOptions extends PlanChoices {
  /** Whether outputs stay integers where their nodes are stored so. */
  readonly integerOutputs?: boolean;
}

/** Builds a new graph that stores and computes as the plan says; the plan's own stays as it is. */
export function rebuild(plan: Plan, options: RebuildOptions): Graph {
  return new Rebuilder(plan, options).run();
}

class Rebuilder {
  readonly #plan: Plan;
  readonly #numbers: PlanNumbers;
  readonly #integerOutputs: boolean;
  readonly #graph: Graph;
  /** New nodes by the old ones. */
  readonly #rebuilt = new Map<Node, Node>();
  /** Dequantized copies by the old nodes, or by the new weights. */
  readonly #floats = new Map<Node, Node>();
  /** Quantized copies by the old nodes. */
  readonly #integers = new Map<Node, Node>();
  readonly #weights = new Map<string, Constant[]>();
  /** Errors of the rows of new tables. */
  readonly #rowErrors = new Map<Constant, RowErrors>();

  constructor(plan: Plan, options: RebuildOptions) {
    this.#plan = plan;
    this.#numbers = new PlanNumbers(plan, options);
    this.#integerOutputs = options.integerOutputs === true;
    this.#graph = new Graph(plan.graph.name);
  }

  run(): Graph {
    for (const input of this.#plan.graph.inputs) this.#rebuilt.set(input, this.#graph.input(input.name, input.type));
    for (const node of this.#plan.graph.nodes()) if (isCall(node)) this.#rebuilt.set(node, this.#call(node));
    for (const { name, node } of this.#plan.graph.outputs) {
      const isInteger = this.#integerOutputs && this.#plan.stored.has(node);
      this.#graph.output(name, isInteger ? this.#integer(node) : this.#float(node));
    }
    return this.#graph;
  }

  #call(node: Call): Node {
    const inputs = node.inputs.map((input, i) => this.#operand(node, input, i));
    const bias = this.#numbers.bias(node, () => storedNumbers(inputs[1]));
    if (bias) inputs[2] = this.#graph.constant(bias.tensor, bias.name);
    const call = this.#withErrors(node, inputs) ?? this.#graph.add(node.op, inputs, node.attrs as Attrs, node.name);
    const stored = this.#plan.stored.get(node);
    if (stored)
      this.#graph.setType(call, { dtype: stored.dtype, shape: node.type.shape, quant: this.#numbers.quantOf(stored) });
    return call;
  }

  /** Builds a look-up in a table that some rows have errors to, which are looked up beside it and added. */
  #withErrors({ op, name, attrs }: Call, inputs: readonly Node[]): Node | undefined {
    const [table, ids] = inputs;
    const rowErrors = op === 'gather' && table?.op === 'constant' ? this.#rowErrors.get(table) : undefined;
    if (!table || !ids || !rowErrors) return undefined;
    const graph = this.#graph;
    const { places, errors } = rowErrors;
    const rows = graph.add('gather', [table, ids], attrs as Attrs, `${name}.rows`);
    const place = graph.constant(tensorOf('i32', [places.length], places), `${table.name}.places`);
    const found = graph.add('gather', [place, ids], {}, `${name}.places`);
    const missing = graph.constant(errors.tensor, `${table.name}.errors`, errors.quant);
    return graph.add('add', [rows, graph.add('gather', [missing, found], {}, `${name}.errors`)], {}, name);
  }

  #operand(node: Call, input: Node, place: number): Node {
    const options = this.#numbers.weightOptions(node, input, place);
    if (options) {
      const stored = this.#stored(node, input as Constant, options);
      const isOnlyStored =
        this.#plan.settings.get(node)?.scheme === 'w8' && hasWeight(node) && stored.type.quant?.per !== 'block';
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
    const quant = this.#numbers.quantOf(copy);
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
    const { scale, zeroPoint } = this.#numbers.quantOf(copy);
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
    const key = `${weight.name} ${storageKey(options)}${leastScales ? ' with biases' : ''}`;
    const known = this.#weights.get(key) ?? [];
    const fitting = known.find(({ type }) => !leastScales || holdsScales(type.quant as Quant, leastScales));
    if (fitting) return fitting;
    const { tensor, quant, rowErrors } = this.#numbers.round(node, weight, options);
    const constant = this.#graph.constant(tensor, weight.name, quant);
    if (rowErrors) this.#rowErrors.set(constant, rowErrors);
    this.#weights.set(key, [...known, constant]);
    return constant;
  }
}

/** The integers of a stored weight; undefined for one that stays float. */
function storedNumbers(weight: Node | undefined): QuantizedWeight | undefined {
  if (weight?.op !== 'constant' || !weight.type.quant) return undefined;
  return { tensor: weight.tensor, quant: weight.type.quant };
}

function holdsScales(quant: Quant, least: Float64Array): boolean {
  const scales = quant.per === 'tensor' ? [quant.scale] : [...quant.scales];
  return scales.every((scale, group) => scale >= Math.fround(least[group] ?? 0));
}
