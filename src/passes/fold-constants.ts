import { evaluateNode } from '../ir/evaluate.ts';
import { evaluationSteps } from '../ir/evaluation-steps.ts';
import type { Call, Constant, Graph } from '../ir/graph.ts';
import { opDef } from '../ir/ops/index.ts';
import type { Pass } from '../ir/pass.ts';
import { isStatic, sizeOf } from '../ir/shape.ts';
import { computedNow } from '../ir/tensor.ts';

/**
 * The largest result that may have more elements than the constants it is computed from: a repeated or padded constant
 * may have any size, even one that no memory holds. It is that of 16 heads' biases of 512 tokens, which MPNet's
 * distances are spread over.
 */
const MAX_GROWN_ELEMENTS = 1 << 22;

/**
 * Whether the result is too large to be stored in place of the node that computes it, or of a size known only at run
 * time.
 */
function grows(node: Call, constants: readonly Constant[]): boolean {
  const { shape } = node.type;
  if (!isStatic(shape)) return true;
  const inputElements = constants.reduce((total, { tensor }) => total + sizeOf(tensor.shape), 0);
  return sizeOf(shape) > Math.max(inputElements, MAX_GROWN_ELEMENTS);
}

/** Numbers that all grown results of a graph may have together beyond those of their constants: 64 MB of floats. */
const MAX_GROWN_TOTAL = 1 << 24;

/**
 * Steps of arithmetic for a graph, beside eight for each number of its constants: a second's work. Real graphs scale,
 * turn and round their weights once; a crafted chain of products could take hours.
 */
const MAX_STEPS = 2 ** 28;
const STEPS_PER_NUMBER = 8;

/**
 * Steps for a number beyond which a result is kept rather than computed anew whenever it is read: chains of results
 * that read one another twice would double with every link.
 */
const MAX_STEPS_AGAIN = 16;

/** What folding may do to a graph, and what reading the folded constants costs. */
class FoldingBudget {
  #stepsLeft: number;
  #grownLeft = MAX_GROWN_TOTAL;
  /** Steps to read constants that are computed on demand; others take one for each number. */
  readonly #readingSteps = new Map<Constant, number>();

  constructor(graph: Graph) {
    this.#stepsLeft = MAX_STEPS;
    for (const node of graph.nodes())
      if (node.op === 'constant') this.#stepsLeft += STEPS_PER_NUMBER * sizeOf(node.tensor.shape);
  }

  /** Steps of computing a node from what its inputs are computed from; null where that is too much. */
  take(node: Call, constants: readonly Constant[]): number | null {
    const size = isStatic(node.type.shape) ? sizeOf(node.type.shape) : 0;
    const steps = constants.reduce((total, constant) => total + this.#read(constant), evaluationSteps(node));
    // A constant that is read twice is there once.
    const inputSize = [...new Set(constants)].reduce((total, { tensor }) => total + sizeOf(tensor.shape), 0);
    const grown = Math.max(0, size - inputSize);
    if (steps > this.#stepsLeft || grown > this.#grownLeft) return null;
    this.#stepsLeft -= steps;
    this.#grownLeft -= grown;
    return steps;
  }

  /** Takes down what reading a folded constant costs. */
  note(constant: Constant, steps: number): void {
    if (constant.tensor.fresh) this.#readingSteps.set(constant, steps);
  }

  #read(constant: Constant): number {
    return this.#readingSteps.get(constant) ?? sizeOf(constant.tensor.shape);
  }
}

/** Computes nodes that depend on constants only. */
export const foldConstants: Pass = {
  name: 'fold-constants',
  summary: 'op(constants)  ->  constant',
  keeps: 'bits',
  run(graph, context) {
    const budget = new FoldingBudget(graph);
    const declined: string[] = [];
    let rewrites = 0;
    for (const node of graph.nodes()) {
      if (node.op === 'input' || node.op === 'constant' || context.keeps(node)) continue;
      const constants = node.inputs.flatMap((input) => (input.op === 'constant' ? [input] : []));
      if (constants.length < node.inputs.length || !opDef(node.op).evaluate || grows(node, constants)) continue;
      const steps = budget.take(node, constants);
      if (steps === null) {
        declined.push(`${node.name}: the graph has more to compute from constants than a model needs`);
        continue;
      }
      const tensors = constants.map((constant) => evaluateNode(constant, [], {}));
      graph.replace(node, () => {
        const value = evaluateNode(node, tensors, {});
        const isCostly = value.fresh === true && steps > MAX_STEPS_AGAIN * sizeOf(value.shape);
        const constant = graph.constant(isCostly ? computedNow(value) : value, node.name);
        budget.note(constant, steps);
        return constant;
      });
      rewrites++;
    }
    return { rewrites, declined };
  },
};
