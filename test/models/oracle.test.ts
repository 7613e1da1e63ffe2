import { describe, expect, test } from 'vitest';
import { buildModel } from '../../src/models/index.ts';
import { verifyGraph } from '../../src/verify-graph.ts';
import { CHECKPOINTS, differences, openCheckpoint } from './corpus.ts';

const DYNAMIC = { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' } as const;

describe('agrees with torch on', () => {
  test.each(CHECKPOINTS)('%s', async (name) => {
    const checkpoint = await openCheckpoint(name);
    const { graph, warnings } = buildModel(checkpoint, DYNAMIC);
    verifyGraph(graph, 'import');
    const ratios = differences(name, graph);
    checkpoint.close();
    expect(warnings).toEqual([]);
    for (const [output, ratio] of ratios) expect(ratio, output).toBeLessThanOrEqual(1);
  });
});
