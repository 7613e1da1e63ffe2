import type { Graph } from '../../ir/graph.ts';
import { readF32, type Tensor } from '../../ir/tensor.ts';

/** Rows of an output that are compared, one behind the other; a row is what has one largest value. */
export interface Rows {
  readonly values: Float32Array;
  /** Values of a row. */
  readonly width: number;
}

/** Outputs of question answering, whose two axes are sequences even where their sizes do not tell. */
const SPANS = ['start_logits', 'end_logits'];

/** Names of the outputs with values for each token, [batch, sequence, …]. */
export function tokenOutputs({ inputs, outputs }: Graph): ReadonlySet<string> {
  const sequence = inputs[0]?.type.shape.at(-1);
  const isOfTokens = outputs.filter(({ name, node: { type } }) => {
    const isTold = typeof sequence === 'string' || type.shape.length > 2 || SPANS.includes(name);
    return isTold && type.shape[1] === sequence;
  });
  return new Set(isOfTokens.map(({ name }) => name));
}

/** All rows of an output. */
export function allRows(output: Tensor): readonly Rows[] {
  return [{ values: readF32(output), width: output.shape.length > 1 ? (output.shape.at(-1) as number) : 1 }];
}

/**
 * Rows of tokens without padding: what stands behind a sequence is nobody's answer, and exact passes may change it. Each
 * token of [batch, sequence, …] has rows of its own, a sequence of [batch, sequence] is one row.
 */
export function validRows(output: Tensor, mask: Tensor): readonly Rows[] {
  const [batch = 0, sequence = 0, ...inner] = output.shape;
  const size = inner.reduce((product, dim) => product * dim, 1);
  const [values, kept] = [readF32(output), readF32(mask)];
  return Array.from({ length: batch }, (_, row) => {
    const tokens = Array.from({ length: sequence }, (_, t) => row * sequence + t).filter((at) => kept[at] !== 0);
    const valid = new Float32Array(tokens.length * size);
    for (const [i, at] of tokens.entries()) valid.set(values.subarray(at * size, (at + 1) * size), i * size);
    return { values: valid, width: inner.at(-1) ?? tokens.length };
  });
}
