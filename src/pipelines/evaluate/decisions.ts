import type { Graph, Node } from '../../ir/graph.ts';
import { opDef } from '../../ir/ops/index.ts';
import { argmaxRows } from '../../metrics/metrics.ts';
import type { LogitsKind, Task } from '../../models/index.ts';

/** What the choices of an output are: the place of each row's largest value, or a decision for each value by itself. */
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
export function thresholdOf({ outputs }: Graph, name = outputs[0]?.name): number {
  let node: Node | undefined = outputs.find((output) => output.name === name)?.node;
  while (node !== undefined && isSameValues(node)) node = node.inputs[0];
  return node?.op === 'sigmoid' ? 0.5 : 0;
}

/** Whether a node gives the values that it reads, in another order or type. */
function isSameValues({ op }: Node): boolean {
  if (op === 'input' || op === 'constant') return false;
  return op === 'dequantize' || op === 'cast' || opDef(op).moves !== undefined;
}
