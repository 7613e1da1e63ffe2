import { openRuns } from '../../calibration/token-runs.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import type { Call, Constant, Graph, Node } from '../../ir/graph.ts';
import { computedTensor } from '../../ir/tensor.ts';
import type { BatchValues, Matrix, TextRuns } from '../../ir/text-runs.ts';
import { constantLinear } from '../../passes/attention.ts';
import { addedTo, sitesOf } from '../../passes/fit/fit-sites.ts';
import { Prefix } from '../../passes/fit/prefix.ts';
import { isCall, type Plan } from '../../quantization/plan.ts';
import { type PlanChoices, PlanNumbers } from '../../quantization/plan-numbers.ts';
import { type RefittedLinear, refitLinear } from '../../quantization/refit-linear.ts';
import { realValues } from '../../quantization/row-errors.ts';
import { isCompensated, isTable, storedPlace } from '../../quantization/settings.ts';
import type { QuantizedWeight, WeightOptions } from '../../quantization/weights.ts';
import { exchangedRows } from '../../samples/exchanged-rows.ts';
import type { TokenRow } from '../../samples/feeds.ts';

/** Linears with their fitted weights and biases, by name. */
export type RefittedLinears = ReadonlyMap<string, RefittedLinear>;

/** Texts that are fitted to, made ones included. More are better and take longer: docs/quantization.md has a table. */
const ALL_TEXTS = 512;

/** Most values of one linear's input, 200 MB: float and rounded model hold some of such at a time. */
const MOST_VALUES = 50e6;

/** Widest input of a linear that is fitted by default: each costs two Cholesky factors of its Gram matrix. */
const MAX_WIDTH = 4096;

interface RefitRun {
  /** Texts of the user that nothing is judged by. */
  readonly rows: readonly TokenRow[];
  readonly pad: number;
  /** Widest input of a linear that is fitted. Default: 4096. */
  readonly maxWidth?: number;
  readonly progress: (done: number, total: number) => void;
}

/**
 * Rounds the linears of a plan anew, one after the other in the order in which they are computed. Each is fitted first,
 * so that the rounded model, run up to the sum that its result goes into, gives the float model's values there: what it
 * reads carries the errors of those before it. Tables, convolutions and weights that several nodes share are rounded as
 * `choices` says, and not fitted. None is where each text has more values than the limit.
 */
export async function refitLinears(
  plan: Plan,
  choices: PlanChoices,
  { rows, pad, maxWidth = MAX_WIDTH, progress }: RefitRun,
): Promise<RefittedLinears> {
  const texts = textsToFit(plan.graph, rows);
  if (texts.length === 0) return new Map();
  const runs = await openRuns(plan.graph, texts, { pad });
  try {
    const sweep = new Sweep(plan, choices, runs, maxWidth);
    const linears = sweep.linears();
    for (const [i, node] of linears.entries()) {
      await sweep.visit(node);
      progress(i + 1, linears.length);
    }
    return sweep.refitted;
  } finally {
    await runs.close();
  }
}

/**
 * Texts to fit to: the user's and as many made ones, or more where the user's are few. Fitted to the user's alone,
 * linears learn the errors of the tokens that are in them. None where each has more values than the limit.
 */
export function textsToFit(graph: Graph, rows: readonly TokenRow[]): TokenRow[] {
  const length = graph.inputs[0]?.type.shape.at(-1);
  const widths = graph
    .nodes()
    .map((node) => (node.op === 'linear' ? (node.inputs[0]?.type.shape.at(-1) as number) : 1));
  const most = MOST_VALUES / Math.max(...widths);
  const vocabulary = vocabularyOf(graph);
  const take = (from: readonly TokenRow[], tokens: number) => {
    let left = tokens;
    return from.filter((row) => {
      const size = typeof length === 'number' ? length : row.inputIds.length;
      if (size > left) return false;
      left -= size;
      return true;
    });
  };
  const own = take(rows.slice(0, ALL_TEXTS / 2), vocabulary === 0 ? most : most / 2);
  return [...own, ...take(exchangedRows(own, vocabulary === 0 ? 0 : ALL_TEXTS - own.length, vocabulary), most / 2)];
}

/** The number of ids that all tables of tokens have; 0 where none is read by ids as they come. */
function vocabularyOf(graph: Graph): number {
  const sizes = graph.nodes().flatMap((node) => {
    if (!isCall(node) || !isTable(node)) return [];
    const [table, ids] = node.inputs as readonly [Node, Node];
    let source = ids;
    while (isCall(source)) source = source.inputs[0] as Node;
    return source.name === 'input_ids' ? [table.type.shape[0] as number] : [];
  });
  return sizes.length === 0 ? 0 : Math.min(...sizes);
}

class Sweep {
  readonly refitted = new Map<string, RefittedLinear>();
  readonly #plan: Plan;
  readonly #numbers: PlanNumbers;
  readonly #runs: TextRuns;
  readonly #maxWidth: number;
  /** The float model and the one that is rounded from its inputs on, over the same names. */
  readonly #float: Prefix;
  readonly #rounded: Prefix;
  readonly #graph: Graph;
  readonly #floatNodes: ReadonlyMap<string, Node>;
  readonly #planned = new Map<string, Call>();
  /** The sum that a linear's result goes into, by the linear's name. */
  readonly #ends = new Map<string, Node>();

  constructor(plan: Plan, choices: PlanChoices, runs: TextRuns, maxWidth: number) {
    this.#plan = plan;
    this.#maxWidth = maxWidth;
    this.#numbers = new PlanNumbers(plan, choices);
    this.#runs = runs;
    const float = copyGraph(plan.graph);
    this.#graph = copyGraph(plan.graph);
    this.#float = new Prefix(float, runs);
    this.#rounded = new Prefix(this.#graph, runs);
    this.#floatNodes = new Map(float.nodes().map((node) => [node.name, node]));
    for (const node of plan.settings.keys()) this.#planned.set(node.name, node);
    for (const node of this.#graph.nodes()) if (isCall(node) && !this.#isFitted(node)) this.#roundAlone(node);
    for (const site of sitesOf(this.#graph, () => false))
      if (site.kind === 'linear') this.#ends.set(site.writer.name, site.end);
  }

  /** Lists the linears that are fitted, in the order in which they are computed. */
  linears(): Call<'linear'>[] {
    return this.#graph.nodes().filter((node): node is Call<'linear'> => isCall(node) && this.#isFitted(node));
  }

  async visit(node: Call<'linear'>): Promise<void> {
    const planned = this.#planned.get(node.name) as Call;
    const weight = planned.inputs[1] as Constant;
    const options = this.#optionsOf(planned) as WeightOptions;
    const x = node.inputs[0] as Node;
    const end = this.#ends.get(node.name);
    const wanted = end ? [x, ...addedTo(node, end), end] : [x];
    const values = await this.#rounded.compute(wanted, end);
    const place = {
      weight: weight.tensor,
      bias: (planned.inputs[2] as Constant | undefined)?.tensor,
      x: this.#runs.matrixOf(values.get(x) as BatchValues),
      missing: end && (await this.#missing(end, values.get(end) as BatchValues)),
    };
    const how = { options, isCompensated: isCompensated(planned, this.#plan.settings.get(planned)) };
    const refitted = await refitLinear(place, how, this.#runs);
    this.refitted.set(node.name, refitted);
    const bias = planned.inputs[2]?.name ?? `${node.name}.bias`;
    this.#graph.replace(node, () => {
      const inputs = [x, this.#real(refitted.weight, weight.name), this.#graph.constant(refitted.bias, bias)];
      return this.#graph.add('linear', inputs, node.attrs, node.name);
    });
  }

  /** Whether a node is a linear with a weight of its own that the plan rounds. */
  #isFitted(node: Call): node is Call<'linear'> {
    const planned = this.#planned.get(node.name);
    if (planned === undefined || constantLinear(planned) === null || this.#optionsOf(planned) === undefined)
      return false;
    const { users, tensor } = planned.inputs[1] as Constant;
    return users.size === 1 && (tensor.shape[1] as number) <= this.#maxWidth;
  }

  #optionsOf(planned: Call): WeightOptions | undefined {
    const place = storedPlace(planned);
    return place === undefined ? undefined : this.#numbers.weightOptions(planned, planned.inputs[place], place);
  }

  /** Gives a node that is not fitted its rounded weight or table. */
  #roundAlone(node: Call): void {
    const planned = this.#planned.get(node.name);
    const options = planned && this.#optionsOf(planned);
    if (planned === undefined || options === undefined) return;
    const place = storedPlace(planned) as number;
    const weight = planned.inputs[place] as Constant;
    const stored = this.#numbers.round(planned, weight, options);
    this.#graph.replace(node, () => {
      const inputs = node.inputs.map((input, i) => (i === place ? this.#real(stored, weight.name) : input));
      return this.#graph.add(node.op, inputs, node.attrs, node.name);
    });
  }

  #real(stored: QuantizedWeight, name: string): Constant {
    return this.#graph.constant(
      computedTensor('f32', stored.tensor.shape, () => realValues(stored)),
      name,
    );
  }

  /** The float model's values at a node less those of the rounded model. */
  async #missing(end: Node, values: BatchValues): Promise<Matrix> {
    const twin = this.#floatNodes.get(end.name) as Node;
    const float = this.#runs.matrixOf((await this.#float.compute([twin])).get(twin) as BatchValues);
    const rounded = this.#runs.matrixOf(values);
    const missing = new Float32Array(rounded.values.length);
    for (let i = 0; i < missing.length; i++) missing[i] = (float.values[i] as number) - (rounded.values[i] as number);
    return { values: missing, rows: rounded.rows, columns: rounded.columns };
  }
}
