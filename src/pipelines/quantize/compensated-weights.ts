import type { Call, Constant, Node } from '../../ir/graph.ts';
import type { Gram, NodeStatistics } from '../../ir/statistics.ts';
import {
  type Compensation,
  compensationOf,
  dampingFor,
  largestFirst,
  quantizeByGram,
} from '../../quantization/compensation.ts';
import type { Plan } from '../../quantization/plan.ts';
import { type PlanChoices, weightOptionsOf } from '../../quantization/plan-numbers.ts';
import { isCompensated } from '../../quantization/settings.ts';
import { type QuantizedWeight, storageKey, type WeightOptions } from '../../quantization/weights.ts';
import type { Collect } from './calibration-runs.ts';

/**
 * Widest input of a linear that is compensated: the feed-forward width of BERT large, whose Gram matrix and factor take
 * 134 MB each, and 7 seconds of Cholesky.
 */
const MAX_WIDTH = 4096;

/** Bytes of Gram matrices that are held at once; every group of them costs a run over the samples. */
const GROUP_BYTES = 200e6;

const gramBytes = (width: number) => 8 * width * width;

/** A weight that is to be rounded by the Gram matrix of its linear's input. */
interface WeightToRound {
  readonly node: Call<'linear'>;
  readonly weight: Constant;
  readonly options: WeightOptions;
}

/** A weight that was rounded, with the scales that were required for it. */
interface RoundedWeight {
  readonly leastScales: Float64Array | undefined;
  readonly weight: QuantizedWeight;
}

/** The integer weights of linears that are rounded by the Gram matrix of their input, by the linear's name. */
export class CompensatedWeights {
  readonly #collect: Collect;
  readonly #groupBytes: number;
  readonly #maxWidth: number;
  readonly #rounded = new Map<string, RoundedWeight[]>();
  readonly #tooWide = new Set<string>();

  /** Takes the function that collects Gram matrices and does not keep them. */
  constructor(collect: Collect, { groupBytes = GROUP_BYTES, maxWidth = MAX_WIDTH } = {}) {
    this.#collect = collect;
    this.#groupBytes = groupBytes;
    this.#maxWidth = maxWidth;
  }

  /** Names of linears whose weights are rounded to the nearest because their input is too wide. */
  get tooWide(): ReadonlySet<string> {
    return this.#tooWide;
  }

  /** Rounds the weights that the plan wants compensated and that were not rounded before; `get` then has them. */
  async prepare(plan: Plan, quants: PlanChoices['quants']): Promise<void> {
    const toRound = this.#weightsToRound(plan, quants);
    for (const group of groupsOf([...toRound.keys()], this.#groupBytes)) {
      const statistics = await this.#collect(
        plan.graph,
        group.map((node) => ({ node, gram: true })),
      );
      for (const x of group) {
        const { gram } = statistics.get(x.name) as NodeStatistics & { readonly gram: Gram };
        // Mostly one: linears of one input have as many bits.
        const compensations = new Map<number, Compensation>();
        for (const { node, weight, options } of toRound.get(x) ?? []) {
          const damping = dampingFor(options.dtype);
          const compensation =
            compensations.get(damping) ?? compensationOf(gram.products, largestFirst(gram.products), damping);
          compensations.set(damping, compensation);
          this.#add(node, options, quantizeByGram(weight.tensor, options, compensation));
        }
      }
    }
  }

  /** The linears to round, by their input: those of one input share a factor. */
  #weightsToRound(plan: Plan, quants: PlanChoices['quants']): Map<Node, WeightToRound[]> {
    const toRound = new Map<Node, WeightToRound[]>();
    for (const [node, settings] of plan.settings) {
      if (!isCompensated(node, settings)) continue;
      const [x, weight] = node.inputs as readonly [Node, Constant];
      const options = weightOptionsOf(plan, quants, node, weight);
      if (!options || this.#find(node, options)) continue;
      if ((weight.tensor.shape[1] as number) > this.#maxWidth) this.#tooWide.add(node.name);
      else toRound.set(x, [...(toRound.get(x) ?? []), { node, weight, options }]);
    }
    return toRound;
  }

  /** The rounded weight of a linear; undefined for one whose input is too wide. */
  get(node: Call, options: WeightOptions): QuantizedWeight | undefined {
    const found = this.#find(node, options);
    if (!found && !this.#tooWide.has(node.name)) throw new Error(`${node.name} was not prepared`);
    return found;
  }

  #add(node: Call, options: WeightOptions, weight: QuantizedWeight): void {
    const key = keyOf(node, options);
    this.#rounded.set(key, [...(this.#rounded.get(key) ?? []), { leastScales: options.leastScales, weight }]);
  }

  #find(node: Call, options: WeightOptions): QuantizedWeight | undefined {
    return this.#rounded
      .get(keyOf(node, options))
      ?.find(({ leastScales }) => areEqual(leastScales, options.leastScales))?.weight;
  }
}

function keyOf({ name }: Call, options: WeightOptions): string {
  return `${name} ${storageKey(options)}`;
}

function areEqual(a: Float64Array | undefined, b: Float64Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** Splits nodes into groups, in order, whose Gram matrices fit `most` bytes; one alone always does. */
function groupsOf(nodes: readonly Node[], most: number): Node[][] {
  const groups: Node[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const node of nodes) {
    const own = gramBytes(node.type.shape.at(-1) as number);
    if (bytes + own > most) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(node);
    bytes += own;
  }
  return groups;
}
