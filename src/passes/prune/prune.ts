import { MbertError } from '../../errors.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import { usualSizes } from '../../ir/operation-costs.ts';
import type { Pass } from '../../ir/pass.ts';
import { fitTogether, noText } from '../fit/fit.ts';
import { planPruning, pruneTo } from './prune-plan.ts';

/**
 * Takes out the heads and feed-forward neurons that the answers need least, until a share of the graph's operations is
 * left, and fits the linears that remain to what the whole graph computes. Which units go is decided over all layers at
 * once.
 */
export const prune: Pass = {
  name: 'prune',
  summary: 'heads and neurons that answers need least  ->  none; prune=0.5 leaves half of the operations',
  keeps: 'shapes',
  async run(graph, context) {
    const { runs, operationShare, teacher = copyGraph(graph), keeps } = context;
    if (runs === undefined) throw noText(prune.name);
    if (operationShare === undefined)
      throw new MbertError('USAGE', 'prune: of how many operations? prune=0.5 leaves half');
    const options = { keeps, runs, bindings: usualSizes(graph), runtime: 'onnx', progress: () => undefined } as const;
    const plan = await planPruning(graph, options);
    const { cuts, groups } = pruneTo(graph, plan, operationShare);
    await fitTogether(graph, [], { keeps, runs, teacher, cuts });
    return { rewrites: groups.filter(({ count, kept }) => kept < count).length, declined: plan.declined };
  },
};
