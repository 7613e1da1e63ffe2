import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import { buildModel } from '../../src/models/index.ts';
import { badCase } from '../bad-case.ts';
import { differences, openCheckpoint } from '../models/corpus.ts';
import { type BadRow, expectAnswer } from './answers.ts';

const DYNAMIC = { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' } as const;

/** The manifests leave room for runtimes that sum in f32; the evaluator sums in f64. */
const LIMIT = 0.1;

const CASES = readdirSync('fixtures').filter(
  (name) =>
    existsSync(`fixtures/${name}/inputs`) &&
    readdirSync(`fixtures/${name}`).some((file) => file.startsWith('tf_model.h5')),
);

describe('computes what TensorFlow computes', () => {
  test.each(CASES)('%s', async (name) => {
    const checkpoint = await openCheckpoint(name);
    const { graph, warnings, unused } = buildModel(checkpoint, DYNAMIC);
    verifyGraph(graph, 'import');
    const ratios = differences(name, graph);
    checkpoint.close();
    for (const [output, ratio] of ratios) expect(ratio, output).toBeLessThan(LIMIT);
    expect(warnings).toEqual([]);
    expect(unused).toEqual([]);
  });
});

const BAD: readonly BadRow[] = [
  ['h5-truncated', 'MALFORMED', 'tf_model.h5: has 156008 bytes, should have 312016'],
  ['h5-badmagic', 'MALFORMED', 'does not begin as an HDF5 file does'],
  ['h5-bitrot', 'MALFORMED', 'tf_model.h5'],
];

describe('each damaged file gets its own answer', () => {
  test.each(BAD)('%s', (name, code, ...parts) => expectAnswer(badCase(name), code, parts));
});
