import type { Call, Constant, Node } from '../../ir/graph.ts';
import type { Gram, NodeStatistics } from '../../ir/statistics.ts';
import { compensationOf, largestFirst, quantizeByGram } from '../../quantization/compensation.ts';
import type { Plan } from '../../quantization/plan.ts';
import { type RebuildOptions, weightOptionsOf } from '../../quantization/rebuild.ts';
import { isCompensated } from '../../quantization/settings.ts';
import type { QuantizedWeight, WeightOptions } from '../../quantization/weights.ts';
import type { Collect } from './calibration-runs.ts';

/** The feed-forward width of BERT large. Its Gram matrix and the factor take 134 MB each, and 7 seconds of Cholesky. */
const MOST_WIDTH = 4096;

/** Gram matrices that are held at once; every group of them costs a run over the samples. */
const GROUP_BYTES = 200e6;

const gramBytes = (width: number) => 8 * width * width;

interface Wanted {
  readonly node: Call<'linear'>;
  readonly weight: Constant;
  readonly options: WeightOptions;
}

interface Rounded {
  readonly leastScales: Float64Array | undefined;
  readonly weight: QuantizedWeight;
}

/** The integers of linears that are rounded by the Gram matrix of what they read, by the linear's name. */
export class CompensatedWeights {
  readonly #collect: Collect;
  readonly #groupBytes: number;
  readonly #mostWidth: number;
  readonly #rounded = new Map<string, Rounded[]>();
  readonly #tooWide = new Set<string>();

  /** `collect` is asked for Gram matrices only, and must not keep them. */
  constructor(collect: Collect, { groupBytes = GROUP_BYTES, mostWidth = MOST_WIDTH } = {}) {
    this.#collect = collect;
    this.#groupBytes = groupBytes;
    this.#mostWidth = mostWidth;
  }

  /** Linears that keep plain rounding because what they read is too wide. */
  get tooWide(): ReadonlySet<string> {
    return this.#tooWide;
  }

  /** Rounds what the plan wants rounded in this way and was not before; `get` then has it. */
  async prepare(plan: Plan, quants: RebuildOptions['quants']): Promise<void> {
    const wanted = this.#wanted(plan, quants);
    for (const group of groupsOf([...wanted.keys()], this.#groupBytes)) {
      const found = await this.#collect(
        plan.graph,
        group.map((node) => ({ node, gram: true })),
      );
      for (const x of group) {
        const { gram } = found.get(x.name) as NodeStatistics & { readonly gram: Gram };
        const compensation = compensationOf(gram.products, largestFirst(gram.products));
        for (const { node, weight, options } of wanted.get(x) ?? []) {
          const rounded = quantizeByGram(weight.tensor, options, compensation);
          this.#add(node, options, rounded);
        }
      }
    }
  }

  /** Linears by what they read: those of one input share a factor. */
  #wanted(plan: Plan, quants: RebuildOptions['quants']): Map<Node, Wanted[]> {
    const wanted = new Map<Node, Wanted[]>();
    for (const [node, settings] of plan.settings) {
      if (!isCompensated(node, settings)) continue;
      const [x, weight] = node.inputs as readonly [Node, Constant];
      const options = weightOptionsOf(plan, quants, node, weight);
      if (!options || this.#find(node, options)) continue;
      if ((weight.tensor.shape[1] as number) > this.#mostWidth) this.#tooWide.add(node.name);
      else wanted.set(x, [...(wanted.get(x) ?? []), { node, weight, options }]);
    }
    return wanted;
  }

  /** Undefined for a linear that is too wide. */
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

function keyOf({ name }: Call, { dtype, granularity }: WeightOptions): string {
  return `${name} ${dtype} ${granularity}`;
}

function areEqual(a: Float64Array | undefined, b: Float64Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** In order, as many at once as fit; one alone always does. */
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
