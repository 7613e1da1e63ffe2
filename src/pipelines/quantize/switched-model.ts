import { minimumOpset, onnx } from '../../exporters/onnx.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { type Quant, tensorOf } from '../../ir/tensor.ts';
import type { Plan, ValueClass } from '../../quantization/plan.ts';
import type { WeightRounding } from '../../quantization/plan-numbers.ts';
import { SWITCHES, switchedGraph } from '../../quantization/switched-graph.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { type Answer, Comparison } from '../evaluate/answers.ts';
import { type FeedOptions, type LoadedModel, loadModel, withFolder } from '../evaluate/loaded-model.ts';

/** Options of a switched model: what it rounds, and the rows that it runs on. */
export interface SwitchOptions extends FeedOptions {
  readonly plan: Plan;
  readonly quants: ReadonlyMap<ValueClass, Quant & { readonly per: 'tensor' }>;
  readonly roundWeight: WeightRounding;
  /** Groups of nodes with a switch each, numbered from 1; what is in none shares switch 0. */
  readonly groups: readonly (readonly Node[])[];
  readonly rows: readonly TokenRow[];
  /** Whether switches rule the weights of their nodes as well. */
  readonly switchesWeights?: boolean;
  /** What the float model answered before. */
  readonly floatAnswers: FloatAnswers;
}

/** The answers of float graphs, each found once: one graph is compared with several of its plans. */
export class FloatAnswers {
  readonly #known = new Map<Graph, Map<TokenRow, Answer>>();

  async of(graph: Graph, rows: readonly TokenRow[], options: FeedOptions): Promise<readonly Answer[]> {
    const known = this.#known.get(graph) ?? new Map<TokenRow, Answer>();
    this.#known.set(graph, known);
    const missing = rows.filter((row) => !known.has(row));
    if (missing.length > 0) {
      const answers = await withFolder(async (write) =>
        answersOf(await write(exported(graph)), graph, missing, options),
      );
      for (const [i, row] of missing.entries()) known.set(row, answers[i] as Answer);
    }
    return rows.map((row) => known.get(row) as Answer);
  }
}

/** A loaded model whose roundings are switched on and off, so that it answers as every subset of a plan would. */
export interface SwitchedModel {
  /**
   * Compares the answers with these groups rounded (0 is everything in no group) to those with nothing rounded but
   * weights, or to the float model's.
   */
  measure(on: readonly number[], against: 'weights' | 'float'): Promise<Comparison>;
  /** Number of switches. */
  readonly groups: number;
}

/**
 * Exports the float graph and its switched twin and runs both in ONNX Runtime; `work` gets the switched model, which is
 * closed when it ends.
 */
export function withSwitchedModel<T>(options: SwitchOptions, work: (model: SwitchedModel) => Promise<T>): Promise<T> {
  const { plan, groups, rows, floatAnswers } = options;
  return withFolder(async (write) => {
    const groupOf = groupsByNode(groups);
    const count = groups.length + 1;
    const switched = switchedGraph(plan, { ...options, groups: count, groupOf });
    const path = await write(exported(switched));
    const model = await loadModel(path, plan.graph, options);
    try {
      const answers = new Map<string, readonly Answer[]>();
      const answer = async (on: readonly number[]) => {
        const key = on.toSorted((a, b) => a - b).join();
        const known = answers.get(key) ?? (await answersWith(model, rows, on, count));
        answers.set(key, known);
        return known;
      };
      return await work({
        groups: count,
        async measure(on, against) {
          const reference = against === 'float' ? await floatAnswers.of(plan.graph, rows, options) : await answer([]);
          const actual = await answer(on);
          const comparison = new Comparison();
          reference.forEach((each, i) => {
            comparison.add(each, actual[i] as Answer);
          });
          return comparison;
        },
      });
    } finally {
      await model.close();
    }
  });
}

/** Writes a graph as ONNX; values of 16 bits need a newer opset than the default. */
function exported(graph: Graph) {
  return onnx.write(graph, { ...onnx.defaults, opset: Math.max(onnx.defaults.opset, minimumOpset(graph)) });
}

/** The switch of a node: it rules what the node reads as integers and what it writes. */
function groupsByNode(groups: readonly (readonly Node[])[]): (node: Node) => number {
  const byNode = new Map<Node, number>();
  groups.forEach((nodes, i) => {
    for (const node of nodes) byNode.set(node, i + 1);
  });
  return (node) => byNode.get(node) ?? 0;
}

async function answersOf(path: string, graph: Graph, rows: readonly TokenRow[], options: FeedOptions) {
  const model = await loadModel(path, graph, options);
  try {
    const answers: Answer[] = [];
    for (const row of rows) answers.push(await model.answer(row));
    return answers;
  } finally {
    await model.close();
  }
}

async function answersWith(
  model: LoadedModel,
  rows: readonly TokenRow[],
  on: readonly number[],
  count: number,
): Promise<Answer[]> {
  const switches = new Float32Array(count);
  for (const group of on) switches[group] = 1;
  const more = new Map([[SWITCHES, tensorOf('f32', [count], switches)]]);
  const answers: Answer[] = [];
  for (const row of rows) answers.push(await model.answer(row, more));
  return answers;
}
