import type { Graph } from '../../ir/graph.ts';
import type { TextRuns } from '../../ir/text-runs.ts';
import { fitTogether } from '../../passes/fit/fit.ts';
import { fittedPasses } from '../../passes/index.ts';
import { applyChanges, type Candidate, convertedNodes } from './changes.ts';
import type { Space } from './space.ts';

/** How a changed graph is fitted. */
interface FitOptions {
  readonly runs: TextRuns;
  /** Whether what ends at a node is fitted. Default: everywhere. */
  readonly fitsIn?: ((graph: Graph) => (end: string) => boolean) | undefined;
  readonly progress?: ((done: number, total: number) => void) | undefined;
}

/** Changes a copy of the teacher and fits it to the teacher's values. */
export async function fitChanges(
  graph: Graph,
  changes: readonly Candidate[],
  space: Space,
  { runs, fitsIn, progress }: FitOptions,
): Promise<void> {
  const { teacher, blocks } = space;
  const cuts = applyChanges(graph, changes, space);
  const converted = convertedNodes(changes, blocks);
  const keeps = ({ name }: { readonly name: string }) => !converted.has(name);
  const passes = converted.size > 0 ? fittedPasses : [];
  await fitTogether(graph, passes, { keeps, runs, teacher, cuts, fits: fitsIn?.(graph) }, progress);
}
