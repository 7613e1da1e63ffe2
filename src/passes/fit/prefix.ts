import type { Graph, Node } from '../../ir/graph.ts';
import type { BatchValues, TextRuns } from '../../ir/text-runs.ts';

/** A graph that is run on the text piece by piece: values that later nodes need are kept, others forgotten. */
export class Prefix {
  readonly #graph: Graph;
  readonly #runs: TextRuns;
  #kept = new Map<Node, BatchValues>();

  constructor(graph: Graph, runs: TextRuns) {
    this.#graph = graph;
    this.#runs = runs;
  }

  /** Computes the values of `nodes`; those of `passing` are not kept, as that node is about to change. */
  async compute(nodes: readonly Node[], passing?: Node): Promise<Map<Node, BatchValues>> {
    this.#forget();
    const values = await this.#runs.compute(this.#graph, nodes, this.#kept);
    for (const [node, value] of values) if (node !== passing && node.type.dtype === 'f32') this.#kept.set(node, value);
    return values;
  }

  /** Forgets the values that no path from an output back meets first: no later node reads them. */
  #forget(): void {
    const needed = new Map<Node, BatchValues>();
    const seen = new Set<Node>();
    const stack = this.#graph.outputs.map(({ node }) => node);
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (seen.has(node)) continue;
      seen.add(node);
      const value = this.#kept.get(node);
      if (value) needed.set(node, value);
      else stack.push(...node.inputs);
    }
    this.#kept = needed;
  }
}
