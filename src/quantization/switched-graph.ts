import { type Call, type Constant, Graph, type Node } from '../ir/graph.ts';
import type { Attrs } from '../ir/op.ts';
import { computedTensor, readF32 } from '../ir/tensor.ts';
import { isCall, type Plan, type ValueClass } from './plan.ts';
import { type PlanChoices, PlanNumbers } from './plan-numbers.ts';
import { realValues } from './row-errors.ts';
import { hasWeight } from './settings.ts';
import type { QuantizedWeight, WeightOptions } from './weights.ts';

/**
 * The name of a switched graph's additional input: f32 [groups], 1 where a group's values are rounded, 0 where they are
 * not.
 */
export const SWITCHES = 'switches';

/** The choices that a plan leaves open, and its groups. */
export interface SwitchedOptions extends PlanChoices {
  /** Gives the switch that rules what a node reads and writes as integers. */
  readonly groupOf: (node: Node) => number;
  /** The number of switches. */
  readonly groups: number;
  /** Whether the switch of a node, if it is not 0, rules its weight as well: w + switch·(rounded(w) - w). */
  readonly switchesWeights?: boolean;
}

/**
 * Builds a float graph that computes what the plan's integers would: weights are rounded, and each value v that the
 * plan stores as integers is v + switch·(rounded(v) - v). So one loaded model measures every subset of the plan.
 */
export function switchedGraph(plan: Plan, options: SwitchedOptions): Graph {
  return new Switchboard(plan, options).run();
}

class Switchboard {
  readonly #plan: Plan;
  readonly #numbers: PlanNumbers;
  readonly #groupOf: SwitchedOptions['groupOf'];
  readonly #graph: Graph;
  readonly #rebuilt = new Map<Node, Node>();
  readonly #errors = new Map<Node, Node>();
  readonly #blends = new Map<string, Node>();
  readonly #switches: Node;
  readonly #switchesWeights: boolean;
  readonly #parts = new Map<number, Node>();

  constructor(plan: Plan, options: SwitchedOptions) {
    this.#plan = plan;
    this.#numbers = new PlanNumbers(plan, options);
    this.#groupOf = options.groupOf;
    this.#switchesWeights = options.switchesWeights === true;
    this.#graph = new Graph(plan.graph.name);
    for (const input of plan.graph.inputs) this.#rebuilt.set(input, this.#graph.input(input.name, input.type));
    this.#switches = this.#graph.input(SWITCHES, { dtype: 'f32', shape: [options.groups] });
  }

  run(): Graph {
    const { graph } = this.#plan;
    for (const node of graph.nodes()) if (isCall(node)) this.#rebuilt.set(node, this.#call(node));
    for (const { name, node } of graph.outputs) this.#graph.output(name, this.#value(node));
    return this.#graph;
  }

  #call(node: Call): Node {
    const inputs = node.inputs.map((input, place) => this.#operand(node, input, place));
    const bias = this.#numbers.bias(node, () => this.#rounded(node));
    if (bias) inputs[2] = this.#graph.constant(bias.tensor, bias.name);
    const call = this.#graph.add(node.op, inputs, node.attrs as Attrs, node.name);
    const stored = this.#plan.stored.get(node);
    // The result of an op that only moves stored values is rounded already.
    const isRounded = node.inputs.some((input) => this.#plan.stored.get(input) === stored);
    return stored && !isRounded
      ? this.#blend(call, stored, this.#groupOf(this.#plan.storedFor.get(node) ?? node))
      : call;
  }

  #operand(node: Call, input: Node, place: number): Node {
    const options = this.#numbers.weightOptions(node, input, place);
    if (options) return this.#weight(node, input as Constant, options);
    const value = this.#value(input);
    const copy = this.#plan.copies.get(input);
    const reads = this.#plan.integer.has(node) && (place === 0 || !hasWeight(node));
    return copy && reads ? this.#blend(value, copy, this.#groupOf(node)) : value;
  }

  /** Builds the weight as it will be after rounding, in f32; one that has a switch is so only where that is on. */
  #weight(node: Call, weight: Constant, options: WeightOptions): Node {
    const stored = this.#numbers.round(node, weight, options);
    const { tensor } = stored;
    const rounded = () => realValues(stored);
    const group = this.#groupOf(node);
    if (!this.#switchesWeights || group === 0) {
      return this.#graph.constant(computedTensor('f32', tensor.shape, rounded), weight.name);
    }
    const error = computedTensor('f32', tensor.shape, () => {
      const values = rounded();
      const real = readF32(weight.tensor);
      for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) - (real[i] as number);
      return values;
    });
    const switched = this.#graph.add('mul', [this.#graph.constant(error), this.#switch(group)]);
    return this.#graph.add('add', [this.#value(weight), switched]);
  }

  /** The integers of a linear's weight; undefined where it stays float. */
  #rounded(node: Call): QuantizedWeight | undefined {
    const weight = node.inputs[1];
    const options = this.#numbers.weightOptions(node, weight, 1);
    return options && this.#numbers.round(node, weight as Constant, options);
  }

  #value(node: Node): Node {
    const known = this.#rebuilt.get(node);
    if (known) return known;
    const { tensor, name } = node as Constant;
    const constant = this.#graph.constant(tensor, name);
    this.#rebuilt.set(node, constant);
    return constant;
  }

  /** Builds v + switch·(rounded(v) - v). */
  #blend(value: Node, values: ValueClass, group: number): Node {
    const key = `${group} ${value.name}`;
    const known = this.#blends.get(key);
    if (known) return known;
    const graph = this.#graph;
    const blend = graph.add('add', [value, graph.add('mul', [this.#error(value, values), this.#switch(group)])]);
    this.#blends.set(key, blend);
    return blend;
  }

  /** Builds rounded(v) - v. */
  #error(value: Node, values: ValueClass): Node {
    const known = this.#errors.get(value);
    if (known) return known;
    const graph = this.#graph;
    const stored = graph.add('quantize', [value]);
    const quant = this.#numbers.quantOf(values);
    graph.setType(stored, { dtype: values.dtype, shape: value.type.shape, quant });
    const error = graph.add('sub', [graph.add('dequantize', [stored]), value]);
    this.#errors.set(value, error);
    return error;
  }

  #switch(group: number): Node {
    const known = this.#parts.get(group);
    if (known) return known;
    const part = this.#graph.add('slice', [this.#switches], { axis: 0, start: group, end: group + 1 });
    this.#parts.set(group, part);
    return part;
  }
}
