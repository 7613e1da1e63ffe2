import type { Graph } from '../../ir/graph.ts';
import { argmaxRows } from '../../metrics/metrics.ts';
import type { LogitsKind, Task } from '../../models/index.ts';
import { probabilityMaker } from './probabilities.ts';

/** The kinds of choices that outputs give: the place of each row's largest value, or a decision on each value by itself. */
export type ChoicesBy = 'largest' | 'decisions';

/** A model's head, as far as it says how values are choices. */
interface Head {
  readonly task?: Task | undefined;
  readonly logitsKind?: LogitsKind | undefined;
}

/**
 * Tells what the choices of an output with so many axes are. ELECTRA's discriminator decides for each token of [batch,
 * sequence]; of labels of which any number applies, [batch, labels], each is decided by itself.
 */
export function choicesBy({ task, logitsKind }: Head, axes: number): ChoicesBy {
  const isDecided = task === 'replaced-tokens' || logitsKind === 'multi-label';
  return isDecided && axes === 2 ? 'decisions' : 'largest';
}

/** The choices of rows of `width` values, -1 for NaN. */
export function choicesOf(by: ChoicesBy, values: Float32Array, width: number, threshold: number): ArrayLike<number> {
  return by === 'decisions' ? decisions(values, threshold) : argmaxRows(values, width);
}

/** The number of choices that are made and equal. */
export function equalChoices(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let count = 0;
  for (let i = 0; i < a.length; i++) if ((a[i] as number) >= 0 && a[i] === b[i]) count++;
  return count;
}

/** Whether each value is above a threshold, as 1 or 0; -1 for NaN, which agrees with nothing. */
export function decisions(values: Float32Array, threshold = 0): number[] {
  return Array.from(values, (value) => (Number.isNaN(value) ? -1 : Number(value > threshold)));
}

/**
 * The value above which an output of a graph says yes: 0 for logits, a half where it gives their sigmoids. Default: the
 * first output.
 */
export function thresholdOf(graph: Graph, name?: string): number {
  return makerOf(graph, name) === 'sigmoid' ? 0.5 : 0;
}

/** Whether an output of a graph is probabilities already. Default: the first output. */
export function givesProbabilities(graph: Graph, name?: string): boolean {
  return makerOf(graph, name) !== undefined;
}

function makerOf({ outputs }: Graph, name = outputs[0]?.name) {
  return probabilityMaker(outputs.find((output) => output.name === name)?.node);
}
