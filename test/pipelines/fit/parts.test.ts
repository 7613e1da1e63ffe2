import { describe, expect, test } from 'vitest';
import type { Constant, Input, Node } from '../../../src/ir/graph.ts';
import { readF32, readIntegers, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import type { OpenedModel } from '../../../src/opened/opened-model.ts';
import { startRun } from '../../../src/options/run.ts';
import { NO_SAMPLES } from '../../../src/pipelines/evaluate/sample-sets.ts';
import { fitProperties } from '../../../src/pipelines/fit/change-function.ts';
import type { DistillGraph } from '../../../src/pipelines/fit/distill-graph.ts';
import { GradientRuns } from '../../../src/pipelines/fit/gradient-runs.ts';
import { compareOperations, measureHeldOut } from '../../../src/pipelines/fit/measure.ts';
import type { FitReport } from '../../../src/pipelines/fit/types.ts';
import { writtenResult } from '../../../src/pipelines/fit/written-result.ts';
import type { WrittenFile } from '../../../src/pipelines/write/write-model.ts';
import type { RuntimeSession } from '../../../src/runtimes/runtime.ts';
import { graphOf } from '../../core.ts';

describe('gradients', () => {
  const ofLength = (length: number, id: number) => ({
    inputIds: Array<number>(length).fill(id),
    tokenTypeIds: Array<number>(length).fill(0),
  });

  /** A run whose gradient is the mean of its first ids; a token has so many values that two of length 3 fit in memory. */
  function gradientRuns(fixed?: number) {
    const runs: { shape: readonly number[]; rows: number; length: number; weight: readonly number[] }[] = [];
    const session: RuntimeSession = {
      inputs: [{ name: 'input_ids', dtype: 'i64', shape: ['batch', fixed ?? 'sequence'] }],
      outputs: [],
      async run(feeds) {
        const ids = feeds.get('input_ids') as Tensor;
        const [rows = 0, length = 0] = ids.shape;
        const scalar = (name: string) => readF32(feeds.get(name) as Tensor)[0] as number;
        const weight = [...readF32(feeds.get('w.now') as Tensor)];
        runs.push({ shape: ids.shape, rows: scalar('rows'), length: scalar('length'), weight });
        const firsts = readIntegers(ids).filter((_, i) => i % length === 0);
        const mean = firsts.reduce((sum, id) => sum + id, 0) / rows;
        return new Map([['gradient', tensorOf('f32', [2], Float32Array.of(mean, -mean))]]);
      },
      close: async () => {},
    };
    const constant = { name: 'w', tensor: tensorOf('f32', [2], new Float32Array(2)) } as Constant;
    const step: DistillGraph = {
      graph: graphOf('graph g (x: f32[1])\nreturn y: x'),
      parameters: [{ constant, input: { name: 'w.now' } as Input, gradient: { name: 'gradient' } as Node }],
      sizes: new Map([
        ['batch', { name: 'rows' } as Input],
        ['sequence', { name: 'length' } as Input],
      ]),
      valuesPerToken: 350e6 / 6,
      batch: 'batch',
    };
    return { runs, gradients: new GradientRuns(session, step, [Float32Array.of(5, 6)], 0) };
  }

  test('are the mean over all texts, in as many runs as memory asks for', async () => {
    const { runs, gradients } = gradientRuns();
    const [found] = await gradients.gradients([ofLength(3, 1), ofLength(3, 2), ofLength(3, 9)]);
    expect(runs.map(({ shape }) => shape)).toEqual([
      [2, 3],
      [1, 3],
    ]);
    expect([...(found ?? [])].map((value) => Math.round(1e5 * value))).toEqual([4e5, -4e5]);
    expect(runs[0]).toMatchObject({ rows: 2, length: 3, weight: [5, 6] });
  });

  test('begin anew at each call, with one text at least', async () => {
    const { runs, gradients } = gradientRuns();
    await gradients.gradients([ofLength(2, 7)]);
    const [found] = await gradients.gradients([ofLength(50, 3)]);
    expect([...(found ?? [])]).toEqual([3, -3]);
    expect(runs.map(({ shape }) => shape)).toEqual([
      [1, 2],
      [1, 50],
    ]);
  });

  test('of a fixed length are padded to it, and take as much memory', async () => {
    const { runs, gradients } = gradientRuns(6);
    await gradients.gradients([ofLength(1, 1), ofLength(2, 2)]);
    expect(runs.map(({ shape }) => shape)).toEqual([
      [1, 6],
      [1, 6],
    ]);
  });
});

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
  const distillation = { steps: 5, batch: 32, trial: undefined, isKept: true };
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
