import { describe, expect, test } from 'vitest';
import type { OpenedModel } from '../../../src/opened/opened-model.ts';
import { startRun } from '../../../src/options/run.ts';
import { NO_SAMPLES } from '../../../src/pipelines/evaluate/sample-sets.ts';
import { fitProperties } from '../../../src/pipelines/fit/change-function.ts';
import { compareOperations, measureHeldOut } from '../../../src/pipelines/fit/measure.ts';
import type { FitReport } from '../../../src/pipelines/fit/types.ts';
import { writtenResult } from '../../../src/pipelines/fit/written-result.ts';
import type { WrittenFile } from '../../../src/pipelines/write/write-model.ts';
import { graphOf } from '../../core.ts';

describe('operations', () => {
  const model = (shape: string, op: string) =>
    graphOf(`graph g (input_ids: i64[${shape}])
  words = gather(table f32[9, 16] #1, input_ids)
  act = ${op}(words)
  out = linear(act, w f32[16, 16] #2)
return y: out`);

  test.each([
    ['at the length that is fixed', '1, 24', 512, 24],
    ['at 64 tokens where none is', 'batch, sequence', 512, 64],
    ['at fewer where there are no more positions', '1, sequence', 40, 40],
  ])('are counted %s', async (_, shape, maxPositions, sequence) => {
    const found = await compareOperations(model(shape, 'gelu'), model(shape, 'relu'), { target: 'onnx', maxPositions });
    expect(found.sequence).toBe(sequence);
    expect(found.speedup).toBeCloseTo(found.original / found.changed, 12);
    expect(found.original).toBeGreaterThan(found.changed);
    expect(found.changed).toBeGreaterThan(sequence * 16 * 16 - 1);
  });
});

test('without held-out texts nothing is measured', async () => {
  const graph = graphOf('graph g (x: f32[1])\n  y = relu(x)\nreturn y: y');
  const options = { samples: NO_SAMPLES, progress: () => {}, task: undefined, pad: 0, mask: undefined };
  expect(await measureHeldOut(graph, graph, options)).toBeUndefined();
});

const REPORT: FitReport = {
  passes: [{ name: 'gelu-to-relu', rewrites: 3, declined: ['why'] }],
  refitted: 4,
  embeddings: [],
  kept: [],
  distillation: undefined,
  calibration: { source: 'texts.txt', sha256: 'abc', count: 7, seed: null },
  heldOut: undefined,
  transfer: undefined,
  operations: [],
  pareto: undefined,
  failures: [],
  warnings: ['fit: w'],
};

test('a file says which passes have changed it, what they kept and what they were fitted to', () => {
  expect(fitProperties(undefined)).toEqual({});
  const said = (fit: FitReport) => JSON.parse(fitProperties(fit)['mbert.fit'] ?? '');
  expect(said(REPORT)).toEqual({
    passes: [{ name: 'gelu-to-relu', rewrites: 3 }],
    calibration: REPORT.calibration,
  });
  const distillation = { steps: 5, batch: 32, texts: 9, trial: undefined, curve: [], isKept: true };
  expect(said({ ...REPORT, kept: ['a1'], distillation })).toMatchObject({ kept: ['a1'], distillation: { steps: 5 } });
});

test('a result warns of what the model and the fit warn of', () => {
  const model = { architecture: 'bert', task: 'qa', unused: ['u'], warnings: ['model: w'] } as unknown as OpenedModel;
  const files: WrittenFile[] = [];
  expect(writtenResult('s', { model, fit: REPORT }, files, { run: startRun({}), warnings: ['asked: w'] })).toEqual({
    source: 's',
    architecture: 'bert',
    task: 'qa',
    results: [],
    warnings: ['model: w', 'asked: w', 'fit: w'],
    unused: ['u'],
    fit: REPORT,
  });
  expect(writtenResult('s', { model, fit: undefined }, files, { run: startRun({}), warnings: [] })).not.toHaveProperty(
    'fit',
  );
});
