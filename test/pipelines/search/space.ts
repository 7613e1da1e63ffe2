import { onTestFinished } from 'vitest';
import { openRuns } from '../../../src/calibration/token-runs.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { usualSizes } from '../../../src/ir/operation-costs.ts';
import { keepNothing } from '../../../src/ir/pass.ts';
import { openModel } from '../../../src/opened/open-model.ts';
import { fuseLinear } from '../../../src/passes/fuse-linear.ts';
import { planPruning } from '../../../src/passes/prune/prune-plan.ts';
import { findBlocks } from '../../../src/pipelines/search/blocks.ts';
import type { Space } from '../../../src/pipelines/search/space.ts';
import { countTokens } from '../../../src/samples/count-tokens.ts';
import type { TokenRow } from '../../../src/samples/feeds.ts';
import { random } from '../../core.ts';

const next = random(5);

/** Random texts. */
export const ROWS: readonly TokenRow[] = Array.from({ length: 96 }, (_, i) => {
  const inputIds = Array.from({ length: 4 + (i % 3) }, () => 5 + Math.floor(next() * 90));
  return { inputIds, tokenTypeIds: inputIds.map(() => 0) };
});

/** The graph of a model of the fixtures, with its layers found. */
export async function spaceOf(fixture: string): Promise<Space> {
  const model = await openModel(`fixtures/${fixture}`);
  onTestFinished(() => model.close());
  const teacher = model.reference();
  fuseLinear.run(teacher, keepNothing);
  const runs = await runsOn(teacher, ROWS.slice(0, 24));
  const plan = await planPruning(teacher, {
    keeps: () => false,
    runs,
    bindings: usualSizes(teacher, model.maxPositions),
    runtime: 'onnx',
    progress: () => undefined,
  });
  const tokenCounts = countTokens(ROWS);
  return { tokenCounts, teacher, maxPositions: model.maxPositions, plan, blocks: findBlocks(teacher, plan) };
}

export async function runsOn(graph: Graph, rows: readonly TokenRow[]) {
  const runs = await openRuns(graph, rows, { pad: 0, threads: 1 });
  onTestFinished(() => runs.close());
  return runs;
}
