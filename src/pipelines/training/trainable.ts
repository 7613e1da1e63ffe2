import { tokenInputsOf } from '../../calibration/graph-session.ts';
import { MbertError } from '../../errors.ts';
import type { Graph } from '../../ir/graph.ts';
import { shapeText } from '../../ir/shape.ts';

/** Throws UNSUPPORTED for a graph that takes one sequence at a time, or has no padding mask. */
export function refuseUntrainable(graph: Graph, what = '--distill'): void {
  const { shape, names } = tokenInputsOf(graph);
  const refuse = (problem: string) => {
    const hint = `${what} takes checkpoints, and .onnx files of any batch size with an attention_mask`;
    throw new MbertError('UNSUPPORTED', `${graph.name}: ${problem}`, { hint });
  };
  if (typeof shape[0] === 'number' || shape.length !== 2)
    refuse(`takes inputs ${shapeText(shape)}, too few to learn from`);
  if (!names.includes('attention_mask')) refuse('has no input attention_mask');
}
