import { onnx } from '../../exporters/onnx.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph } from '../../ir/graph.ts';
import { countOperations, usualSizes } from '../../ir/operation-costs.ts';
import { runPasses } from '../../ir/pass.ts';
import type { Dim } from '../../ir/shape.ts';
import { selectPasses, type Target } from '../../passes/index.ts';
import { compareFiles } from '../evaluate/compare-files.ts';
import { type FeedOptions, withFolder } from '../evaluate/loaded-model.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';
import type { HeldOut, Operations } from './types.ts';

/** Options of `measureHeldOut`. */
export interface MeasureOptions extends FeedOptions {
  readonly samples: SampleSets;
  readonly progress: (done: number, total: number) => void;
}

/**
 * Compares the original with a changed graph in ONNX Runtime, on the proof samples, which were not fitted to; undefined
 * where there are none.
 */
export function measureHeldOut(
  original: Graph,
  changed: Graph,
  { samples, progress, ...feeds }: MeasureOptions,
): Promise<HeldOut | undefined> {
  const { proof, labels } = samples;
  if (proof.length === 0) return Promise.resolve(undefined);
  return withFolder(async (write) => {
    const options = { ...onnx.defaults, name: 'model.onnx' };
    const [a, b] = [await write(onnx.write(original, options)), await write(onnx.write(changed, options))];
    return heldOutOf(await compareFiles(a, b, original, { ...feeds, rows: proof, labels, progress }), proof.length);
  });
}

/** What a comparison of the original's file with a changed one says of held-out samples. */
export function heldOutOf(
  { agreement, agreementOf, sqnrDb, accuracy, embeddings, drop }: Awaited<ReturnType<typeof compareFiles>>,
  samples: number,
): HeldOut {
  return {
    samples,
    agreement,
    agreementOf,
    sqnrDb,
    accuracy: accuracy && { original: accuracy.float, changed: accuracy.quantized },
    ...(embeddings && { embeddings }),
    drop,
  };
}

/** Counts the operations that the default passes leave of both graphs. */
export async function compareOperations(
  original: Graph,
  changed: Graph,
  { target, maxPositions }: { readonly target: Target; readonly maxPositions: number },
): Promise<Operations> {
  const bindings = usualSizes(original, maxPositions);
  const last = original.inputs[0]?.type.shape.at(-1) as Dim;
  const sequence = typeof last === 'number' ? last : (bindings[last] as number);
  const count = async (graph: Graph) => {
    const copy = copyGraph(graph, { bindings });
    await runPasses(copy, selectPasses(undefined, target));
    const { multiplyAdds, others } = countOperations(copy, {}, target);
    return multiplyAdds + others;
  };
  const [before, after] = [await count(original), await count(changed)];
  return { target, sequence, original: before, changed: after, speedup: before / after };
}
