import { addGradients } from '../../gradient/gradients.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import type { Constant, Graph, Node } from '../../ir/graph.ts';
import { isFloat } from '../../ir/op.ts';
import { type Bindings, bindDim, product, type Shape } from '../../ir/shape.ts';
import { readF32, scalarTensor, type Tensor, tensorOf } from '../../ir/tensor.ts';
import type { BatchValues, TextMatrix, TextRuns } from '../../ir/text-runs.ts';
import { randomNumbers } from '../../solve/random-numbers.ts';

/** The seed of the directions in which answers are differentiated: the same text gives the same result. */
const SEED = 1;

/**
 * Gradients of a graph's outputs by the values of some nodes, which are given and returned by name, on the text: those of
 * Σ ε y / rms(y), where ε is 1 or -1 at random for every number y of every output. Their squares are on average the
 * Fisher information of answers with Gaussian noise: what a small error of a value does to the squared error of all
 * outputs. Nodes that no output depends on are left out. Throws UNSUPPORTED where an op between has no gradient.
 */
export async function outputGradients(
  source: Graph,
  names: ReadonlySet<string>,
  runs: TextRuns,
): Promise<Map<string, TextMatrix>> {
  const graph = copyGraph(source);
  const outputs = [...new Set(graph.outputs.map(({ node }) => answerOf(node)))].filter(({ type }) =>
    isFloat(type.dtype),
  );
  const tokens = graph.add('cast', [graph.inputs[0] as Node], { to: 'f32' });
  const values = await runs.compute(graph, [...outputs, tokens], new Map());
  const sizes = new AxisSizes(graph, tokens.type.shape, values.get(tokens) as BatchValues);
  const known = new Map<Node, BatchValues>();
  const seeds = new Map<Node, Node>();
  const random = randomNumbers(SEED);
  for (const output of outputs) {
    // A node of the output's type, whatever it computes: its values are given.
    const seed = graph.add('add', [output, output]);
    known.set(seed, { batches: signsLike((values.get(output) as BatchValues).batches, random), rows: undefined });
    seeds.set(output, seed);
  }
  const nodes = graph.nodes().filter(({ name }) => names.has(name));
  const gradients = addGradients(graph, seeds, nodes, sizes.count);
  for (const [node, size] of sizes.values) known.set(node, size);
  const computed = await runs.compute(graph, [...gradients.values()], known);
  return new Map(
    [...gradients].map(([{ name }, gradient]) => [name, runs.matrixOf(computed.get(gradient) as BatchValues)]),
  );
}

/** Numbers of a token above which an output is held as what its linear reads: scores of all words are gigabytes. */
const WIDE = 4096;

function answerOf(output: Node): Node {
  const width = output.type.shape.at(-1);
  return output.op === 'linear' && typeof width === 'number' && width > WIDE ? (output.inputs[0] as Node) : output;
}

/** Makes ±1 / rms for each number of an output, which is as large a share of each output. */
function signsLike(batches: readonly Tensor[], random: () => number): Tensor[] {
  let [squares, count] = [0, 0];
  for (const tensor of batches) {
    const values = readF32(tensor);
    for (let i = 0; i < values.length; i++) squares += (values[i] as number) ** 2;
    count += values.length;
  }
  const size = squares > 0 ? Math.sqrt(count / squares) : 0;
  return batches.map(({ shape }) => {
    const signs = new Float32Array(shape.reduce((product, dim) => product * dim, 1));
    for (let i = 0; i < signs.length; i++) signs[i] = random() < 0.5 ? size : -size;
    return tensorOf('f32', shape, signs);
  });
}

/** Scalar nodes that hold the sizes of axes in each batch. */
class AxisSizes {
  readonly values = new Map<Node, BatchValues>();
  readonly #graph: Graph;
  readonly #batches: readonly Bindings[];
  readonly #nodes = new Map<string, Constant>();

  /** Reads the sizes of all symbols off values of a known shape. */
  constructor(graph: Graph, shape: Shape, { batches }: BatchValues) {
    this.#graph = graph;
    this.#batches = batches.map((tensor) =>
      Object.fromEntries(shape.map((dim, axis) => [String(dim), tensor.shape[axis] as number])),
    );
  }

  /** The number of elements of some axes. */
  readonly count = (axes: Shape): Node => {
    const dim = product(axes);
    const earlier = this.#nodes.get(String(dim));
    if (earlier) return earlier;
    const node = this.#graph.constant(scalarTensor(0));
    const sizes = this.#batches.map((bindings) => scalarTensor(bindDim(dim, bindings) ?? Number.NaN));
    this.values.set(node, { batches: sizes, rows: undefined });
    this.#nodes.set(String(dim), node);
    return node;
  };
}
