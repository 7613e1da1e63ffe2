import { describe, expect, test } from 'vitest';
import { collectStatistics } from '../../src/calibration/statistics.ts';
import { type PassContext, runPasses } from '../../src/ir/pass.ts';
import { buildModel } from '../../src/models/index.ts';
import { selectPasses } from '../../src/passes/index.ts';
import type { TokenRow } from '../../src/samples/feeds.ts';
import { CHECKPOINTS, differences, openCheckpoint } from '../models/corpus.ts';

const EQUALIZE = [
  'equalize-streams',
  'equalize-linears',
  'equalize-value-output',
  'equalize-query-key',
  'centre-attention',
];

/** Sequences with one token type, which every model has, and ids that every fixture's vocabulary has. */
const SAMPLES: readonly TokenRow[] = Array.from({ length: 4 }, (_, i) => {
  const inputIds = Array.from({ length: 6 + i }, (_, t) => 1 + ((t * 37 + i * 11) % 59));
  return { inputIds, tokenTypeIds: inputIds.map(() => 0) };
});

/** The pass runs over a graph; then it must still compute what the framework computed. */
async function equalized(name: string, target: 'onnx' | 'tflite', isCalibrated: boolean) {
  const checkpoint = await openCheckpoint(name);
  const indexType = target === 'onnx' ? 'i64' : 'i32';
  const { graph } = buildModel(checkpoint, { batch: 'batch', sequenceLength: 'sequence', indexType });
  const context: PassContext = {
    keeps: () => false,
    ...(isCalibrated && {
      statistics: (requests) => collectStatistics(graph, requests, SAMPLES, { pad: 0, threads: 1 }),
    }),
  };
  const reports = await runPasses(graph, selectPasses(EQUALIZE.join(','), target), context);
  const worst = Math.max(...differences(name, graph).values());
  checkpoint.close();
  const rewrites = Object.fromEntries(
    reports.filter(({ pass }) => EQUALIZE.includes(pass.name)).map((report) => [report.pass.name, report.rewrites]),
  );
  return { worst, rewrites };
}

/** Those that differ in more than how the same weights are stored. */
const CASES = CHECKPOINTS.filter((name) => !/sharded|bf16|untied|epstrap|regression|nsp|relu$/.test(name));

describe('equalized models compute what their framework computed', () => {
  test.each(CASES)('%s', async (name) => {
    expect((await equalized(name, 'onnx', true)).worst).toBeLessThan(1);
    expect((await equalized(name, 'tflite', false)).worst).toBeLessThan(1);
  });
});

test('every stream of a NoNorm network is equalized, none of a network with LayerNorm', async () => {
  // Two layers of three linears in a row, three streams of two widths, and as many attentions.
  expect((await equalized('hf-seqcls', 'onnx', true)).rewrites).toMatchInlineSnapshot(`
    {
      "centre-attention": 4,
      "equalize-linears": 10,
      "equalize-query-key": 2,
      "equalize-streams": 3,
      "equalize-value-output": 2,
    }
  `);
  expect((await equalized('bert-seqcls', 'onnx', true)).rewrites).toMatchInlineSnapshot(`
    {
      "centre-attention": 4,
      "equalize-linears": 0,
      "equalize-query-key": 2,
      "equalize-streams": 0,
      "equalize-value-output": 2,
    }
  `);
});
